"""What Clover's orders mean: one line a unit, its money, and what went back."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from suppli_connector_clover.domain.models import READER, Order
from suppli_connector_clover.domain.normalise import normalise
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale, Zone
from suppli_contracts.events.sales import AdjustmentKind, Disposition, LineKind, OrderState

SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
PLACE = LocationContext("M", "USD", (Zone("America/New_York", "00:00"),))
SOLD_AT = 1772953080000  # 8 March 2026, 01:58 in New York: the clocks jump that night
REFUNDED_AT = 1773000000000


def understood(**order: Any) -> Sale:
    whole = {
        "id": "O1",
        "modifiedTime": REFUNDED_AT,
        "clientCreatedTime": SOLD_AT,
        "currency": "USD",
        "paymentState": "PAID",
        **order,
    }
    return normalise(msgspec.convert(whole, Order), PLACE)


def many(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"elements": list(elements)}


def paid(amount: int, tax: int = 0, tip: int = 0) -> dict[str, Any]:
    return many({"result": "SUCCESS", "amount": amount, "taxAmount": tax, "tipAmount": tip})


LATTE = {
    "id": "A",
    "item": {"id": "LATTE"},
    "name": "Latte",
    "price": 450,
    "modifications": many({"id": "M1", "name": "Oat milk", "amount": 50, "modifier": {"id": "OAT"}}),
    "discounts": many({"percentage": 10}),
}
SECOND = {"id": "B", "item": {"id": "LATTE"}, "name": "Latte", "price": 450, "refunded": True}
BEANS = {"id": "C", "item": {"id": "BEANS"}, "price": 1600, "unitQty": 750, "unitName": "lb"}
CUSTOM = {"id": "D", "name": "Custom item for jo@example.com", "price": 300}
CARD = {"id": "E", "item": {"id": "GIFT"}, "name": "Gift card", "price": 2500, "isRevenue": False}
REFUND = {"id": "R", "amount": 441, "clientCreatedTime": REFUNDED_AT, "lineItems": many({"id": "B"})}


def test_the_documented_example_comes_to_what_was_paid() -> None:
    """4,800 for five lines, less 441 that went back on a later day."""
    sale = understood(
        paymentState="PARTIALLY_REFUNDED",
        lineItems=many(LATTE, SECOND, BEANS, CUSTOM, CARD),
        discounts=many({"amount": -100}),
        payments=paid(4800),
        refunds=many(REFUND),
    )
    lines = {line.line_id: line for line in sale.lines}
    assert lines.keys() == {"A", "B", "C", "D", "B:refund"}
    assert [(lines[key].gross, lines[key].discount, lines[key].net) for key in "ABCD"] == [
        (500, 59, 441),
        (450, 9, 441),
        (1200, 25, 1175),
        (300, 6, 294),
    ]
    back = lines["B:refund"]
    assert (back.disposition, back.quantity, back.net) == (Disposition.RETURNED, "-1", -441)
    assert (back.occurred_at.timestamp() * 1000, back.business_date) == (REFUNDED_AT, date(2026, 3, 8))
    assert back.returns is not None
    assert back.returns.line_id == "B"
    assert (lines["C"].quantity, lines["C"].unit) == ("0.75", "lb")
    assert lines["D"].kind is LineKind.CUSTOM_AMOUNT
    (card,) = sale.adjustments
    assert (card.kind, card.amount) == (AdjustmentKind.GIFT_CARD, 2449)
    assert sale.totals.total == 4800 - 441
    assert sum(line.net for line in sale.lines) + card.amount == sale.totals.total - sale.totals.tax


def test_tax_is_what_payments_say_shared_by_rates() -> None:
    """Cents of rounding would appear as unexplained on every order."""
    rate = many({"rate": 825_000})
    lines = [{"id": key, "price": 333, "taxRates": rate} for key in "ABC"]
    sale = understood(lineItems=many(*lines), payments=paid(999 + 82, 82))
    assert sum(line.tax for line in sale.lines) == 82
    assert sale.totals.total - sale.totals.tax == sum(line.net for line in sale.lines) == 999
    taxless = understood(taxRemoved=True, lineItems=many(*lines), payments=paid(999))
    assert [line.tax for line in taxless.lines] == [0, 0, 0]


def test_tax_inside_the_price_is_taken_out() -> None:
    line = {
        "id": "A",
        "price": 1200,
        "taxRates": many({"rate": 2_000_000}),
        "discounts": many({"amount": -240}),
    }
    sale = understood(isVat=True, lineItems=many(line), payments=paid(960, 160))
    (sold,) = sale.lines
    assert (sold.gross, sold.discount, sold.net, sold.tax, sold.tax_included) == (1000, 200, 800, 160, True)


@pytest.mark.parametrize(
    ("order", "disposition", "state"),
    [
        ({"paymentState": "OPEN"}, Disposition.NOT_YET, OrderState.OPEN),
        ({"paymentState": "PARTIALLY_PAID"}, Disposition.NOT_YET, OrderState.OPEN),
        ({"paymentState": None, "total": 450, "payments": paid(450)}, Disposition.SOLD, OrderState.COMPLETED),
        ({"paymentState": None, "total": 450}, Disposition.NOT_YET, OrderState.OPEN),
        ({"testMode": True}, Disposition.TEST, OrderState.COMPLETED),
        ({"discounts": many({"percentage": 100})}, Disposition.COMPED, OrderState.COMPLETED),
    ],
)
def test_only_what_was_paid_is_sold(
    order: dict[str, Any], disposition: Disposition, state: OrderState
) -> None:
    """A ticket still open, or a trainer's test, would be sold."""
    sale = understood(**{"lineItems": many({"id": "A", "price": 450}), **order})
    assert ([line.disposition for line in sale.lines], sale.state) == ([disposition], state)


def test_refunds_by_amount_and_credits_name_no_line_and_failed_ones_are_none() -> None:
    sale = understood(
        lineItems=many({"id": "A", "price": 1000}),
        payments=paid(1000),
        refunds=many(
            {"id": "R1", "amount": 200},
            {"id": "R2", "amount": 300, "status": "FAIL"},
            {"id": "R3", "amount": 300, "voided": True},
        ),
        credits=many({"id": "C1", "amount": 50}),
    )
    assert {(each.adjustment_id, each.amount) for each in sale.adjustments} == {
        ("refund:R1", -200),
        ("credit:C1", -50),
    }
    assert sale.totals.total == 750


def test_an_exchanged_line_is_not_sold_and_a_tip_in_the_payment_is_told_apart() -> None:
    lines = many({"id": "A", "price": 450, "exchanged": True}, {"id": "B", "price": 450})
    sale = understood(lineItems=lines, payments=paid(550, tip=100))
    assert [line.line_id for line in sale.lines] == ["B"]
    assert [(each.kind, each.amount) for each in sale.adjustments] == [(AdjustmentKind.TIP, 100)]
    apart = understood(lineItems=lines, payments=paid(450, tip=100))
    assert not apart.adjustments
    assert apart.totals.tip == 100


def test_a_list_that_ends_at_the_limit_is_not_trusted() -> None:
    """The hundred-and-first refund would be missing without a word."""
    refunds = many(*({"id": f"R{number}", "amount": 1} for number in range(100)))
    with pytest.raises(OrderNotUnderstood) as refused:
        understood(lineItems=many({"id": "A", "price": 1000}), payments=paid(1000), refunds=refunds)
    assert refused.value.field_path == "refunds"


def test_a_broken_order_is_kept_with_its_reason_beside_the_good_ones() -> None:
    orders = [{"id": each, "modifiedTime": at} for each, at in (("A", 5), ("B", "now"), ("C", 7))]
    refs, _ = READER.read(msgspec.json.encode({"elements": orders}), location="M")
    assert [(ref.order_id, ref.location_id, ref.modified_us, ref.raw is None) for ref in refs] == [
        ("A", "M", 5000, False),
        ("B", "M", 5000, True),
        ("C", "M", 7000, False),
    ]
    assert refs[1].problem_path == "modifiedTime"


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="needs the folder of real exports")
def test_a_real_order_of_a_test_merchant_is_understood() -> None:
    """Lines of it differ in shape; it is open and unpaid."""
    content = (SHARED / "api_json" / "clover" / "order_expanded_us_open.json").read_bytes()
    sale = normalise(msgspec.json.decode(content, type=Order), PLACE)
    assert sale.state is OrderState.OPEN
    assert {line.disposition for line in sale.lines} == {Disposition.NOT_YET}
    assert len(sale.lines) == len(msgspec.json.decode(content)["lineItems"]["elements"])
