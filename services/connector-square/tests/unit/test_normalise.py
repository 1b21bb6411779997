"""Each situation of a till, with figures worked out by hand."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from suppli_connector_kit.domain.sale import assured
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale, Zone
from suppli_connector_square.domain.models import READER
from suppli_connector_square.domain.normalise import normalise
from suppli_contracts.events.sales import AdjustmentKind, Disposition, LineKind, OrderState, Restock

FIXTURES = Path(__file__).parent.parent / "fixtures"
CONTEXT = LocationContext("LOC1", "USD", (Zone("America/Los_Angeles", "04:00"),))
NOW_US = 1_773_000_000_000_000
PAID = [{"created_at": "2026-03-08T20:00:00Z", "amount_money": {"amount": 10**9}}]


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def line(
    uid: str = "L1", gross: int = 1000, *, discount: int = 0, tax: int = 0, **more: Any
) -> dict[str, Any]:
    return {
        "uid": uid,
        "name": "Tea",
        "item_type": "ITEM",
        "quantity": "1",
        "catalog_object_id": "VAR_TEA",
        "base_price_money": usd(gross),
        "gross_sales_money": usd(gross),
        "total_discount_money": usd(discount),
        "total_tax_money": usd(tax),
        "total_money": usd(gross - discount + tax),
        **more,
    }


def order(
    *lines: dict[str, Any], total: int | None = None, tax: int | None = None, **more: Any
) -> dict[str, Any]:
    stated = sum(each["total_money"]["amount"] for each in lines) if total is None else total
    taxes = sum(each.get("total_tax_money", usd(0))["amount"] for each in lines) if tax is None else tax
    return {
        "id": "O1",
        "location_id": "LOC1",
        "state": "COMPLETED",
        "created_at": "2026-03-08T18:00:00Z",
        "updated_at": "2026-03-08T20:30:00Z",
        "closed_at": "2026-03-08T20:00:00Z",
        "line_items": list(lines),
        "total_money": usd(stated),
        "total_tax_money": usd(taxes),
        **more,
    }


def read(content: dict[str, Any], context: LocationContext = CONTEXT) -> Sale:
    """Understand an order through bytes, as a page does, and as the kit completes it."""
    (ref,), _ = READER.read(json.dumps({"orders": [content]}).encode())
    assert ref.raw is not None, (ref.problem, ref.problem_path)
    return assured(normalise(ref.raw, context), context, NOW_US)


def exact(sale: Sale) -> bool:
    """Return whether lines and adjustments make up the total less tax with nothing unexplained."""
    explained = sum(each.net for each in sale.lines) + sum(each.amount for each in sale.adjustments)
    known = all(each.kind is not AdjustmentKind.UNEXPLAINED for each in sale.adjustments)
    return known and explained == sale.totals.total - sale.totals.tax


def figures(sale: Sale) -> dict[str, tuple[str, str, int, int, int, int]]:
    return {
        each.line_id: (each.disposition.value, each.quantity, each.gross, each.discount, each.net, each.tax)
        for each in sale.lines
    }


def beside(sale: Sale) -> dict[str, int]:
    return {each.kind.value: each.amount for each in sale.adjustments}


def test_sale_with_everything_and_an_exchange() -> None:
    """The busiest ticket of a café: modifier, discount, weight, open amount, gift card, comp and a return."""
    sale = read(json.loads((FIXTURES / "exchange.json").read_text()))
    assert figures(sale) == {
        "cappuccino": ("sold", "3", 1650, 150, 1500, 120),
        "cheese": ("sold", "0.4", 960, 0, 960, 77),
        "open": ("sold", "1", 250, 0, 250, 0),
        "cake": ("comped", "1", 480, 480, 0, 0),
        "back": ("returned", "-1", -500, 0, -500, -40),
    }
    assert beside(sale) == {"gift_card": 2000, "service_charge": 90, "tip": 300, "rounding": -2}
    # 1500 + 960 + 250 + 0 - 500 + 2000 + 90 + 300 - 2 = 4598 = 4755 - (120 + 77 - 40)
    assert (sale.totals.total, sale.totals.tax) == (4755, 157)
    assert exact(sale)
    lines = {each.line_id: each for each in sale.lines}
    (milk, typed) = lines["cappuccino"].modifiers
    assert (milk.external_id, milk.name, milk.quantity, milk.gross) == ("MOD_OAT", "Oat milk", "3", 150)
    assert (typed.external_id, typed.name) == (None, None)
    assert (lines["cheese"].unit, lines["cheese"].variation_id) == ("kg", "VAR_CHEESE")
    assert lines["open"].kind is LineKind.CUSTOM_AMOUNT
    assert lines["open"].name == "catering for"
    assert lines["back"].restock is Restock.UNKNOWN
    assert lines["back"].returns is not None
    assert (lines["back"].returns.order_id, lines["back"].returns.line_id) == ("EARLIER", "cappuccino")
    assert {each.business_date for each in sale.lines} == {date(2026, 3, 7)}  # 03:59 by the shop's clock
    assert sale.channel == "Counter"


def test_refund_by_amount_is_money_not_a_product() -> None:
    """Five dollars back for a spilled coffee must not return a coffee."""
    sale = read(json.loads((FIXTURES / "refund_by_amount.json").read_text()))
    assert sale.lines == ()
    assert beside(sale) == {"refund_amount": -700}
    assert (sale.totals.total, sale.totals.tax) == (-700, 0)


@pytest.mark.parametrize(
    ("statuses", "counts"),
    [
        (["REJECTED"], False),
        (["FAILED", "REJECTED"], False),
        (["APPROVED"], True),
        (["PENDING"], True),
        (["FAILED", "APPROVED"], True),
        ([], True),
    ],
)
def test_refund_that_failed_returned_nothing(statuses: list[str], counts: bool) -> None:
    """A card refund that the bank rejected would take a sale back that was never given back."""
    back = line("R1", 500) | {"gross_return_money": usd(500)}
    amounts = {"total_money": usd(500)}
    refunds = [{"status": status} for status in statuses]
    net = {"total_money": usd(500)}
    sale = read(
        order(
            line(),
            returns=[{"return_line_items": [back]}],
            return_amounts=amounts,
            net_amounts=net,
            refunds=refunds,
        )
    )
    assert [each.line_id for each in sale.lines] == (["L1", "R1"] if counts else ["L1"])
    assert sale.totals.total == (500 if counts else 1000)
    assert exact(sale)


def test_return_amounts_without_lines() -> None:
    """A refund that Square states only as a sum must still reach the day's money."""
    amounts = {"total_money": usd(540), "tax_money": usd(40), "tip_money": usd(100)}
    sale = read(order(returns=[{"return_amounts": amounts}], return_amounts=amounts))
    assert beside(sale) == {"refund_amount": -400, "tip": -100}
    assert (sale.totals.total, sale.totals.tax, sale.totals.tip) == (-540, -40, -100)
    assert exact(sale)


def test_unlinked_return_and_what_goes_back_with_it() -> None:
    """A return without receipt counts; its tip, charge and rounding go back too."""
    back = line("R1", 500, tax=40) | {"gross_return_money": usd(500)}
    part = {
        "return_line_items": [back],
        "return_tips": [{"applied_money": usd(50)}],
        "return_service_charges": [{"uid": "S", "applied_money": usd(20), "total_money": usd(22),
                                    "total_tax_money": usd(2)}],
        "rounding_adjustment": {"amount_money": usd(1)},
    }  # fmt: skip
    amounts = {
        "total_money": usd(613),
        "tax_money": usd(42),
        "tip_money": usd(50),
        "service_charge_money": usd(20),
    }
    sale = read(order(returns=[part], return_amounts=amounts))
    assert figures(sale) == {"R1": ("returned", "-1", -500, 0, -500, -40)}
    assert beside(sale) == {"service_charge": -20, "rounding": -1, "tip": -50}
    assert sale.lines[0].returns is None
    assert exact(sale)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"state": "COMPLETED"}, Disposition.SOLD),
        ({"state": "OPEN"}, Disposition.NOT_YET),
        ({"state": "OPEN", "tenders": PAID, "net_amount_due_money": usd(0)}, Disposition.SOLD),
        ({"state": "OPEN", "tenders": PAID}, Disposition.SOLD),
        ({"state": "OPEN", "tenders": PAID, "net_amount_due_money": usd(1)}, Disposition.NOT_YET),
        ({"state": "OPEN", "tenders": [{"amount_money": usd(999)}]}, Disposition.NOT_YET),
        ({"state": "OPEN", "net_amount_due_money": usd(0)}, Disposition.NOT_YET),
        ({"state": "CANCELED"}, Disposition.CANCELLED),
        ({"state": "DRAFT"}, Disposition.NOT_YET),
        ({"state": "HIBERNATING"}, Disposition.UNKNOWN),
    ],
)
def test_what_counts_as_sold(more: dict[str, Any], expected: Disposition) -> None:
    """Unpaid tabs must not leave the shelf, paid ones waiting for pick-up must."""
    sale = read(order(line()) | more)
    assert [each.disposition for each in sale.lines] == [expected]


def test_price_on_the_modifier_of_an_open_paid_order() -> None:
    """Online shops sell passes whose price is on a modifier: they would count as given away."""
    modifier = {
        "uid": "m",
        "catalog_object_id": "MOD_PASS",
        "name": "30 visits",
        "total_price_money": usd(26500),
    }
    typed = {"uid": "pin", "name": "Pin of guest: 12345", "total_price_money": usd(0)}
    pass_ = line(gross=26500, base_price_money=usd(0), modifiers=[typed, modifier])
    sale = read(order(pass_, state="OPEN", tenders=PAID, closed_at=None, net_amount_due_money=usd(0)))
    assert figures(sale)["L1"] == ("sold", "1", 26500, 0, 26500, 0)
    assert [(each.name, each.gross) for each in sale.lines[0].modifiers] == [(None, 0), ("30 visits", 26500)]
    assert sale.state is OrderState.OPEN


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (line(gross=500, discount=500), Disposition.COMPED),
        (line(gross=0, base_price_money=usd(500)), Disposition.COMPED),
        (line(gross=0), Disposition.SOLD),
        (line(gross=0, name="Tea (Voided)", base_price_money=usd(500)), Disposition.VOID_UNKNOWN),
        (line(gross=500, name="Tea (Voided)"), Disposition.SOLD),
    ],
)
def test_given_away_free_and_voided(content: dict[str, Any], expected: Disposition) -> None:
    """A comped dish was made, a voided one perhaps not, a free one was sold."""
    assert [each.disposition for each in read(order(content)).lines] == [expected]


def test_identical_lines_stay_two() -> None:
    """Square gave two tickets of one order the same uid: one of them would be lost."""
    sale = read(order(line("SAME"), line("SAME"), line("SAME~2")))
    assert [each.line_id for each in sale.lines] == ["SAME", "SAME~2", "SAME~2~2"]
    assert exact(sale)


def test_line_without_uid_and_line_of_nothing() -> None:
    """A line that was taken off the order (quantity 0) is no sale; one without id still counts."""
    sale = read(order(line("GONE", 0, quantity="0"), {**line(), "uid": None}))
    assert [each.line_id for each in sale.lines] == ["line_items[1]"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ({"weight_unit": "METRIC_GRAM"}, "g"),
        ({"weight_unit": "IMPERIAL_WEIGHT_OUNCE"}, "oz"),
        ({"volume_unit": "METRIC_MILLILITER"}, "ml"),
        ({"length_unit": "METRIC_METER"}, "m"),
        ({"time_unit": "GENERIC_HOUR"}, "hour"),
        ({"generic_unit": "UNIT"}, "each"),
        ({"custom_unit": {"name": "Bunch", "abbreviation": "bn"}}, "Bunch"),
        ({"weight_unit": "IMPERIAL_SHED"}, "imperial_shed"),
        ({}, "unknown"),
    ],
)
def test_units(unit: dict[str, Any], expected: str) -> None:
    """Half a pound must not become half a piece, and a new unit must wait for a person."""
    weighed = line(quantity="0.50", quantity_unit={"measurement_unit": unit})
    (found,) = read(order(weighed)).lines
    assert (found.unit, found.quantity) == (expected, "0.5")


def test_tax_inside_the_price() -> None:
    """European prices have VAT in them: sales without it, to the cent, modifiers and comps too."""
    vat = [{"uid": "T", "type": "INCLUSIVE", "percentage": "20.0"}]
    applied = [{"tax_uid": "T", "applied_money": usd(167)}]
    modifiers = [{"uid": "m", "catalog_object_id": "M", "name": "Extra", "total_price_money": usd(240)}]
    eu = line(
        "EU", 1200, discount=200, tax=167, total_money=usd(1000), applied_taxes=applied, modifiers=modifiers
    )
    us = line("US", 1000, tax=200, total_money=usd(1200), applied_taxes=applied)
    comp = line("COMP", 1200, discount=1200, applied_taxes=applied)
    sale = read(order(eu, us, comp, taxes=vat))
    # EU: 1000 paid, 833 + 167; discount 200 * 833 / 1000 = 166.6 -> 167, gross 833 + 167
    assert figures(sale) == {
        "EU": ("sold", "1", 1000, 167, 833, 167),
        "US": ("sold", "1", 1000, 0, 1000, 200),
        "COMP": ("comped", "1", 1000, 1000, 0, 0),
    }
    assert all(each.tax_included for each in sale.lines)
    assert sale.lines[0].modifiers[0].gross == 200
    assert exact(sale)


def test_tax_on_top_is_not_taken_out() -> None:
    """An American price must not lose its tax twice."""
    added = [{"uid": "T", "type": "ADDITIVE", "percentage": "8.0"}]
    taxed = line(gross=1000, tax=80, applied_taxes=[{"tax_uid": "T", "applied_money": usd(80)}])
    (found,) = read(order(taxed, taxes=added)).lines
    assert (found.gross, found.net, found.tax, found.tax_included) == (1000, 1000, 80, False)


def test_own_net_of_square_wins() -> None:
    """Where Square's sums disagree, the money that was paid is what counts."""
    odd = line(gross=1000, discount=100, total_money=usd(950))
    (found,) = read(order(odd)).lines
    assert (found.gross, found.discount, found.net) == (1000, 100, 950)


def test_tip_that_the_total_leaves_out() -> None:
    """Whether Square's total has the tip in it: either way the day adds up."""
    inside = read(order(line(), total=1150, total_tip_money=usd(150)))
    outside = read(order(line(), total=1000, total_tip_money=usd(150)))
    by_tender = read(order(line(), total=1150, tenders=[{"amount_money": usd(1150), "tip_money": usd(150)}]))
    assert beside(inside) == {"tip": 150} == beside(by_tender)
    assert beside(outside) == {}
    assert exact(inside)
    assert exact(outside)


def test_unexplained_money_is_named() -> None:
    """A cent that nobody can explain must be seen, not lost."""
    assert beside(read(order(line(), total=1001))) == {"unexplained": 1}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "2026-03-08T20:00:00+00:00"),
        (
            {"closed_at": None, "tenders": [{"created_at": "2026-03-08T19:00:00.5Z"}, *PAID]},
            "2026-03-08T20:00:00+00:00",
        ),
        ({"closed_at": None}, "2026-03-08T18:00:00+00:00"),
        ({"closed_at": "2026-03-08T22:00:00.123456789+02:00"}, "2026-03-08T20:00:00.123456+00:00"),
    ],
)
def test_when_it_happened(more: dict[str, Any], expected: str) -> None:
    """The day that a sale counts on follows from this instant."""
    assert read(order(line()) | more).lines[0].occurred_at.isoformat() == expected


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (order(line(quantity="two")), "line_items[0].quantity"),
        (order(line(quantity="-1")), "line_items[0].quantity"),
        (order(line(quantity="NaN")), "line_items[0].quantity"),
        (order(line(), closed_at="yesterday"), "closed_at"),
        (order(line() | {"total_money": usd(0)}) | {"line_items": [{"quantity": "1"}]}, "line_items[0]"),
    ],
)
def test_what_is_beyond_us_says_where(content: dict[str, Any], path: str) -> None:
    """Support must find the field in minutes, without ever seeing the order."""
    with pytest.raises(OrderNotUnderstood) as problem:
        read(content)
    assert problem.value.field_path == path


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"\\ud800"], ids=["no UTF-8", "half a character"])
def test_text_that_is_none_costs_nothing(damage: bytes) -> None:
    """Half an emoji in a name must neither block a shop's import for good nor cost the sale."""
    bad, good = (json.dumps(order(line(name="NAME"), id=key)).encode() for key in ("BAD", "GOOD"))
    refs, _ = READER.read(b'{"orders":[' + bad.replace(b"NAME", damage) + b"," + good + b"]}")
    assert [(ref.order_id, ref.raw is None) for ref in refs] == [("BAD", False), ("GOOD", False)]


def test_broken_shape_is_kept_by_id() -> None:
    """An order that Square sends in a shape we do not know is set aside, the page goes on."""
    bodies = [order(line()), {"id": "X", "location_id": "LOC1", "updated_at": 7}, {"location_id": "LOC1"}, 5]
    refs, cursor = READER.read(json.dumps({"orders": bodies, "cursor": "c"}).encode(), 9)
    assert cursor == "c"
    assert [(ref.order_id[:10], ref.raw is None) for ref in refs] == [
        ("O1", False),
        ("X", True),
        ("without-id", True),
        ("without-id", True),
    ]
    assert len({ref.modified_us for ref in refs}) == 1  # a broken stamp takes its predecessor's place
    assert refs[1].problem_path == "updated_at"
