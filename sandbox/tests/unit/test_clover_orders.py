"""The local Clover's money: what is measured against it is worth nothing unless it adds up as Clover does."""

import os
from pathlib import Path
from typing import Any

import pytest
from suppli_sandbox.clover.csv_import import import_sales
from suppli_sandbox.clover.generate import generate
from suppli_sandbox.clover.models import CloverGenerateSpec, CloverMerchantSpec
from suppli_sandbox.clover.pricing import less, line_gross, totals
from suppli_sandbox.clover.world import Merchant, World

_SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
_EXPORT = _SHARED / "pos_exports" / "square_items_detail_us_2023-11.csv"
TAXED = [{"id": "T", "name": "Tax", "rate": 825_000}]
Json = dict[str, Any]


def shop(*, vat: bool = False) -> tuple[World, Merchant]:
    world = World()
    return world, world.create_merchant(CloverMerchantSpec(id="CLOVERUNIT001", name="Shop", vat=vat))


def test_percentages_come_off_before_sums_and_half_a_cent_is_rounded_up() -> None:
    assert less(1000, [{"amount": -100}, {"percentage": 10}]) == 200
    assert less(5, [{"percentage": 10}]) == 1
    assert less(300, [{"amount": -500}]) == 300, "no line is sold for less than nothing"
    assert line_gross({"price": 1600, "unitQty": 750, "unitName": "lb"}) == 1200
    assert line_gross({"price": 300, "unitQty": 1}) == 300, "some apps write a unitQty that means nothing"


@pytest.mark.parametrize(("vat", "tax", "total"), [(False, 83, 1083), (True, 76, 1000)])
def test_tax_is_added_or_is_inside(vat: bool, tax: int, total: int) -> None:
    sums = totals({"isVat": vat, "lineItems": [{"id": "L", "price": 1000, "taxRates": TAXED}]})
    assert (sums.tax, sums.total) == (tax, total)


def test_exchanged_lines_and_gift_cards_carry_no_tax() -> None:
    lines = [
        {"id": "A", "price": 1000, "taxRates": TAXED, "exchanged": True},
        {"id": "B", "price": 2500, "taxRates": TAXED, "isRevenue": False},
    ]
    sums = totals({"lineItems": lines})
    assert (sums.lines, sums.tax, sums.total) == ((0, 2500), 0, 2500)


def test_generated_orders_repeat_and_are_paid_what_they_come_to() -> None:
    world, merchant = shop()
    spec = CloverGenerateSpec(
        count=800, seed=5, start_at="2026-03-01T00:00:00Z", end_at="2026-03-20T00:00:00Z"
    )
    assert generate(world, merchant, spec) == 800
    made = {order.id: order.data for order in merchant.orders}
    again, other = shop()
    generate(again, other, spec)
    assert {order.id for order in other.orders} == made.keys()
    assert {"OPEN", "PAID", "REFUNDED", "PARTIALLY_REFUNDED", "CREDITED"} == {
        order["paymentState"] for order in made.values()
    }
    for order in made.values():
        assert order["total"] == totals(order).total
        for payment in order.get("payments", ()):
            assert payment["amount"] == order["total"]
    assert any(line.get("unitQty") for order in made.values() for line in order["lineItems"])


@pytest.mark.shared_data
@pytest.mark.skipif(not _EXPORT.exists(), reason=f"{_EXPORT} is missing: set SUPPLI_SHARED_DATA")
def test_a_real_export_has_its_control_totals_as_clover_orders() -> None:
    """One file loaded into two providers must come to the same, or their connectors can't be compared."""
    world, merchant = shop()
    summary = import_sales(world, merchant, _EXPORT.read_bytes(), "USD")
    assert (summary["refund_rows"], summary["voided_rows"], len(merchant.voided_lines)) == (9, 222, 222)
    gross = discount = net = tax = pieces = 0
    for order in (order.data for order in merchant.orders):
        for line in order.get("lineItems", ()):
            sign_of = (1, -1) if line["refunded"] else (1,)
            off = -sum(each["amount"] for each in line.get("discounts", ()))
            for sign in sign_of:
                gross += sign * line["price"]
                discount += sign * off
                net += sign * (line["price"] - off)
                tax += sign * sum(each["taxAmount"] for each in line.get("taxRates", ()))
                pieces += sign
        for credit in order.get("credits", ()):
            gross -= credit["amount"] - credit["taxAmount"]
            net -= credit["amount"] - credit["taxAmount"]
            tax -= credit["taxAmount"]
    assert (gross, discount, net, tax) == (3732143, 35972, 3696171, 327749)
    assert pieces - summary["credits"] == 3748
