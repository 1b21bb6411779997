"""Orders over real HTTP: every page, every group, every single order, and the shop's own totals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from suppli_connector_kit.domain.instants import instant, to_us
from suppli_connector_kit.domain.sale import assured
from suppli_connector_kit.errors import CursorExpired, ProviderRefused
from suppli_connector_kit.protocol import LocationContext, OrderPage, Sale, Window, Zone
from suppli_connector_square.connector import SquareConnector
from suppli_connector_square.domain.models import Order
from suppli_contracts.events.sales import AdjustmentKind, Disposition
from suppli_sandbox.client import (
    FaultSpec,
    GenerateSpec,
    LocationSpec,
    MerchantSettings,
    RefundSpec,
    SandboxControl,
)

from .conftest import MERCHANT, HeldSession

SHARED = os.environ.get("SUPPLI_SHARED_DATA") or Path(__file__).resolve().parents[5] / "shared" / "data"
EXPORT = Path(SHARED) / "pos_exports" / "square_items_detail_us_2023-11.csv"
HAS_EXPORT = EXPORT.exists()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = Window(datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
CONTEXT = LocationContext("L1", "USD", (Zone("America/New_York", "04:00"),))


def simple(number: int, location: str = "L1") -> dict[str, Any]:
    at = (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    money = {"amount": 500, "currency": "USD"}
    line = {"uid": "L1", "name": "Tea", "quantity": "1", "gross_sales_money": money, "total_money": money}
    return {
        "id": f"O{number:05d}",
        "location_id": location,
        "created_at": at,
        "updated_at": at,
        "closed_at": at,
        "line_items": [line],
        "total_money": money,
    }


async def pages(
    connector: SquareConnector,
    session: HeldSession,
    locations: Sequence[str] = ("L1",),
    window: Window = EVER,
) -> list[OrderPage[Order]]:
    return [page async for page in connector.orders(session, locations, window)]


def ids(found: Sequence[OrderPage[Order]]) -> list[str]:
    return [ref.order_id for page in found for ref in page.orders]


def sales(found: Sequence[OrderPage[Order]], connector: SquareConnector) -> list[Sale]:
    read = []
    for ref in (ref for page in found for ref in page.orders):
        assert ref.raw is not None
        read.append(assured(connector.normalise(ref.raw, CONTEXT), CONTEXT, ref.modified_us))
    return read


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, [0]), (1, [1]), (999, [999]), (1000, [1000]), (1001, [1000, 1]), (2000, [1000] * 2)],
)
async def test_every_order_once_whatever_the_page_boundary(
    control: SandboxControl, connector: SquareConnector, session: HeldSession, count: int, sizes: list[int]
) -> None:
    """Otherwise a day with just so many sales would miss or double one."""
    if count:
        control.put_orders(MERCHANT, [simple(number) for number in range(count)])
    found = await pages(connector, session)
    assert [len(page.orders) for page in found] == sizes
    assert ids(found) == [f"O{number:05d}" for number in range(count)]
    assert [page.last for page in found] == [False] * (len(found) - 1) + [True]
    assert all(page.provider_now is not None for page in found)


@pytest.mark.parametrize("mode", ["keyset", "offset"])
async def test_order_that_changes_between_pages_is_never_lost(
    control: SandboxControl, connector: SquareConnector, session: HeldSession, mode: Any
) -> None:
    """Otherwise a tip added while we read would hide the sale behind it."""
    control.configure_merchant(MERCHANT, MerchantSettings(cursor_mode=mode))
    control.put_orders(MERCHANT, [simple(number) for number in range(1500)])
    control.set_faults(
        MERCHANT, FaultSpec(kind="touch_orders", operation="SearchOrders", after=1, order_ids=("O01200",))
    )
    found = await pages(connector, session)
    assert set(ids(found)) == {f"O{number:05d}" for number in range(1500)}


async def test_window_has_both_its_ends(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """Otherwise a sale exactly on the seam of two runs would be read by neither."""
    control.put_orders(MERCHANT, [simple(number) for number in range(5)])
    window = Window(START + timedelta(seconds=1), START + timedelta(seconds=3))
    assert ids(await pages(connector, session, window=window)) == ["O00001", "O00002", "O00003"]
    fine = (START + timedelta(seconds=9, microseconds=900)).isoformat().replace("+00:00", "Z")
    control.put_orders(MERCHANT, [simple(9) | {"updated_at": fine}])
    narrow = Window(
        START + timedelta(seconds=9, microseconds=850), START + timedelta(seconds=9, microseconds=950)
    )
    assert ids(await pages(connector, session, window=narrow)) == ["O00009"]


async def test_ten_locations_a_call_and_no_more(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A chain of eleven shops would otherwise get no sales at all."""
    shops = [f"S{number}" for number in range(11)]
    for number, shop in enumerate(shops):
        control.put_location(MERCHANT, LocationSpec(id=shop, name=shop))
        control.put_orders(MERCHANT, [simple(number, shop)])
    groups = [
        shops[at : at + connector.locations_per_call] for at in range(0, 11, connector.locations_per_call)
    ]
    found = [order for group in groups for order in ids(await pages(connector, session, group))]
    assert len(groups) == 2
    assert sorted(found) == [f"O{number:05d}" for number in range(11)]
    with pytest.raises(ProviderRefused, match="location_ids"):
        await pages(connector, session, shops)


async def test_expired_cursor_says_so(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A slow import would otherwise end as an error instead of going on where it stood."""
    control.put_orders(MERCHANT, [simple(number) for number in range(1001)])
    control.set_faults(MERCHANT, FaultSpec(kind="cursor_expired", operation="SearchOrders", after=1))
    with pytest.raises(CursorExpired):
        await pages(connector, session)


async def test_broken_order_is_named_and_the_rest_goes_on(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """One odd order must not stop a whole shop's import, nor vanish without a trace."""
    orders = [simple(number) for number in range(3)]
    orders[1]["line_items"][0]["total_money"]["amount"] = "five"
    control.put_orders(MERCHANT, orders)
    (page,) = await pages(connector, session)
    assert ids([page]) == ["O00000", "O00001", "O00002"]
    assert [ref.raw is None for ref in page.orders] == [False, True, False]
    broken = page.orders[1]
    assert broken.problem == "Expected `int`, got `str`"
    # line and order share the test's money
    assert broken.problem_path in ("line_items[0].gross_sales_money.amount", "total_money.amount")
    assert broken.modified_us == to_us(START) + 1_000_000


async def test_by_id_leaves_out_what_is_gone(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """Orders that were set aside are read again so; one that was deleted must not fail the others."""
    control.put_orders(MERCHANT, [simple(number) for number in range(connector.ids_per_call)])
    asked = [f"O{number:05d}" for number in range(connector.ids_per_call - 1)]
    page = await connector.orders_by_id(session, [*asked, "NOPE"])
    assert sorted(ids([page])) == asked
    assert page.last


async def test_generated_trade_adds_up_to_the_cent(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """What we say of a day must be what Square says of it, refunds, tips and charges included."""
    control.generate_orders(MERCHANT, GenerateSpec(count=1500, locations=("L1",)))
    truth = {order["id"]: order for order in control.orders(MERCHANT) if order["state"] != "DRAFT"}
    read = sales(await pages(connector, session), connector)
    assert {sale.order_id for sale in read} == set(truth)
    for sale in read:
        amounts = truth[sale.order_id]["net_amounts"]
        assert sale.totals.total == amounts["total_money"]["amount"]
        assert sale.totals.tax == amounts["tax_money"]["amount"]
        assert not [item for item in sale.adjustments if item.kind is AdjustmentKind.UNEXPLAINED]


async def test_refunded_and_voided_sales_end_where_they_should(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A refund must take back what was sold and a void must never have been a sale."""
    control.put_orders(MERCHANT, [simple(0), simple(1) | {"state": "OPEN"}])
    back = control.refund_order(MERCHANT, "O00000", RefundSpec(lines={"L1": "1"}))
    control.void_order(MERCHANT, "O00001")
    read = {sale.order_id: sale for sale in sales(await pages(connector, session), connector)}
    (line,) = read[back["id"]].lines
    assert (line.disposition, line.quantity, line.net) == (Disposition.RETURNED, "-1", -500)
    assert line.returns is not None
    assert (line.returns.order_id, line.returns.line_id) == ("O00000", "L1")
    assert [line.disposition for line in read["O00001"].lines] == [Disposition.CANCELLED]


@pytest.mark.shared_data
async def test_real_export_adds_up(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A restaurant's month must come out at the totals of its own Square report."""
    if not HAS_EXPORT:
        pytest.skip(f"no export at {EXPORT}: set SUPPLI_SHARED_DATA")
    loaded = control.load_csv(MERCHANT, str(EXPORT))
    places = [place["id"] if isinstance(place, dict) else place for place in loaded["locations"]]
    read = sales(await pages(connector, session, places), connector)
    lines = [line for sale in read for line in sale.lines]
    made = [line for line in lines if line.disposition is not Disposition.VOID_UNKNOWN]
    voided = [line for line in lines if line.disposition is Disposition.VOID_UNKNOWN]
    assert sum(line.gross for line in lines) == 37_321_43
    assert sum(line.discount for line in lines) == 359_72
    assert sum(line.net for line in lines) == 36_961_71
    assert sum(line.tax for line in lines) == 3_277_49
    assert sum(float(line.quantity) for line in made) == 3_748
    assert sum(float(line.quantity) for line in voided) == 264
    assert len(voided) == 222


def test_instants_with_any_fraction() -> None:
    """Square writes 0 to 9 fraction digits; one that we could not read would set a good sale aside."""
    for digits in range(10):
        text = f"2026-03-08T06:58:01{'.' if digits else ''}{'123456789'[:digits]}Z"
        assert instant(text).microsecond == int(f"{'123456'[: min(digits, 6)]:0<6}")
