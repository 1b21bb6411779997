"""The fast ways of saying things must say the same."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from suppli_contracts.codec import decode, encode, stable_id
from suppli_contracts.events import ProductSaleRecorded
from suppli_contracts.events.sales import Cause
from suppli_mapping.adapters.ledger import Order
from suppli_mapping.adapters.messages import SOURCE, Speaker
from suppli_mapping.domain.diff import Change
from suppli_mapping.domain.entries import Standing
from suppli_mapping.domain.ids import stable_text

AT = datetime(2026, 5, 4, 12, 30, 0, 123, tzinfo=UTC)


@given(st.lists(st.text()))
def test_ids_are_those_of_the_contract(parts: list[str]) -> None:
    """Ids that differ from the contract's would make every entry a new one after an update."""
    assert stable_text(*parts) == str(stable_id(*parts))


def test_message_is_the_codecs() -> None:
    """A consumer reads headers and body by the contract; a shortcut may not differ by a byte."""
    tenant = uuid4()
    row = Standing(
        str(uuid4()),
        "1",
        "",
        "line",
        "p",
        "bar",
        date(2026, 5, 4),
        "kg",
        "USD",
        AT,
        1_500_000,
        1_500_000,
        300,
        0,
        300,
        2,
    )
    order = Order(1, tenant, uuid4(), "O", "L1", "Kiosk", "raw", UUID(int=5))
    change = Change(row, 3, (500_000, 500_000, 100, 0, 100), Cause.EDIT)
    message = Speaker(tenant, at=AT, traceparent="00-1-2-01").product_sale(order, change, date(2026, 5, 5))
    envelope, event = decode({name: value.decode() for name, value in message.headers}, message.value or b"")
    assert isinstance(event, ProductSaleRecorded)
    key, value, headers = encode(
        event,
        event_id=str(stable_id("product-sale", row.entry_key, 3)),
        source=SOURCE,
        time=AT,
        traceparent="00-1-2-01",
    )
    assert (message.key, message.value, message.headers) == (key, value, headers)
    assert (event.standing.quantity, event.delta.quantity, event.historical) == ("1.5", "0.5", True)
    assert envelope.tenant == tenant
