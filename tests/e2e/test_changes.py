"""Stock would drift if a sale's later fate, or a decision on an item, did not arrive as deltas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from suppli_contracts.events import ProductSaleRecorded
from suppli_demo.shop import wait_for
from suppli_sandbox.client import RefundSpec

from tests.e2e.conftest import FIRST_DAY, ZONE, World
from tests.e2e.truth import Figures

LATTE, MUFFIN = "VAR_TEST_LATTE", "VAR_TEST_MUFFIN"


def order(location: str, number: int, at: str, *lines: tuple[str, str, int, int]) -> dict[str, Any]:
    """Return a paid Square order; a line is (variation, quantity, unit price, discount)."""

    def usd(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": "USD"}

    items = []
    for place, (variation, quantity, price, discount) in enumerate(lines, 1):
        gross = int(Decimal(quantity) * price)
        items.append(
            {
                "uid": f"l{place}",
                "catalog_object_id": variation,
                "name": variation.removeprefix("VAR_TEST_").title(),
                "item_type": "ITEM",
                "quantity": quantity,
                "base_price_money": usd(price),
                "gross_sales_money": usd(gross),
                "total_discount_money": usd(discount),
                "total_tax_money": usd(0),
                "total_money": usd(gross - discount),
            }
        )
    total = sum(line["total_money"]["amount"] for line in items)
    return {
        "id": f"ORDER{location}{number}",
        "location_id": location,
        "state": "COMPLETED",
        "created_at": at,
        "closed_at": at,
        "line_items": items,
        "total_money": usd(total),
        "total_tax_money": usd(0),
        "net_amount_due_money": usd(0),
        "tenders": [{"id": f"T{location}{number}", "type": "CASH", "amount_money": usd(total)}],
    }


def sums(events: list[tuple[str, ProductSaleRecorded]]) -> dict[str, Figures]:
    """Return quantity and net per product, by adding the deltas of distinct events."""
    found: dict[str, Figures] = {}
    for sale in dict(events).values():
        before = found.get(sale.product_id, Figures(Decimal(0), 0))
        quantity = before.quantity + Decimal(sale.delta.quantity)
        found[sale.product_id] = Figures(quantity, before.net + sale.delta.net)
    return {product: figures for product, figures in found.items() if figures != Figures(Decimal(0), 0)}


def reaches(world: World, connection: str, wanted: dict[str, tuple[str, int]]) -> None:
    """Wait until the products' sums are `wanted`; the deltas of every entry are checked on the way."""
    figures = {product: Figures(Decimal(quantity), net) for product, (quantity, net) in wanted.items()}
    try:
        wait_for(lambda: sums(world.events(connection)) == figures or None, "the sums", 30)
    except TimeoutError:
        assert sums(world.events(connection)) == figures
    world.said(connection)


def two_items(world: World, *days: str) -> str:
    """Connect a shop that sold 2 lattes and 1 muffin on each of `days`; return the connection, mapped."""
    (location,) = world.locations
    for number, day in enumerate(days):
        sale = order(location, number, f"{day}T15:00:00Z", (LATTE, "2", 450, 0), (MUFFIN, "1", 325, 25))
        world.system.control.put_orders(world.merchant, [sale])
    connection = world.connect()
    wait_for(lambda: len(world.shop.items(connection, "unmapped")) >= 2 or None, "two items to map")
    names = {f"id:{LATTE}": "latte", f"id:{MUFFIN}": "muffin"}
    products = [
        {"product_id": name, "name": name, "unit": "each"} for name in (*names.values(), "flat-white")
    ]
    world.shop.import_products(products)
    for item in world.shop.items(connection, "unmapped"):
        world.map_item(item["item_id"], names[item["item_key"]])
    return connection


def test_a_sale_changed_refunded_and_cancelled_after_the_first_sync_leads_to_the_right_deltas(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    (location,) = world.locations
    connection = two_items(world, "2026-03-03", "2026-03-04")
    reaches(world, connection, {"latte": ("4", 1800), "muffin": ("2", 600)})

    changed = order(location, 0, "2026-03-03T15:00:00Z", (LATTE, "3", 450, 0))
    world.system.control.put_orders(world.merchant, [changed])
    assert world.sync(connection)["state"] == "succeeded"
    reaches(world, connection, {"latte": ("5", 2250), "muffin": ("1", 300)})

    world.system.control.refund_order(world.merchant, f"ORDER{location}1", RefundSpec(lines={"l1": "1"}))
    assert world.sync(connection)["state"] == "succeeded"
    reaches(world, connection, {"latte": ("4", 1800), "muffin": ("1", 300)})

    cancelled = order(location, 0, "2026-03-03T15:00:00Z", (LATTE, "3", 450, 0)) | {"state": "CANCELED"}
    world.system.control.put_orders(world.merchant, [cancelled])
    assert world.sync(connection)["state"] == "succeeded"
    reaches(world, connection, {"latte": ("1", 450), "muffin": ("1", 300)})


def test_mapping_remapping_from_a_date_and_ignoring_move_the_sums_as_they_should(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    connection = two_items(world, "2026-03-03", "2026-03-04", "2026-03-05")
    reaches(world, connection, {"latte": ("6", 2700), "muffin": ("3", 900)})
    items = {item["item_key"]: item["item_id"] for item in world.shop.items(connection)}

    world.map_item(items[f"id:{LATTE}"], "flat-white", from_date=date(2026, 3, 4))
    reaches(world, connection, {"latte": ("2", 900), "flat-white": ("4", 1800), "muffin": ("3", 900)})

    world.shop.ignore(items[f"id:{MUFFIN}"])
    reaches(world, connection, {"latte": ("2", 900), "flat-white": ("4", 1800)})
    ignored = sum(day["ignored_net"] for day in world.shop.days(connection, FIRST_DAY))
    assert ignored == 900

    world.shop.map(items[f"id:{MUFFIN}"], "muffin", factor="1/2")
    reaches(world, connection, {"latte": ("2", 900), "flat-white": ("4", 1800), "muffin": ("1.5", 900)})


def test_disconnecting_and_connecting_the_same_account_again_counts_nothing_twice(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    (location,) = world.locations
    connection = two_items(world, "2026-03-03")
    reaches(world, connection, {"latte": ("2", 900), "muffin": ("1", 300)})

    world.shop.call("POST", f"/v1/connections/{connection}/disconnect", json={"erase": False})
    wait_for(
        lambda: world.shop.call("GET", f"/v1/connections/{connection}")["state"] == "disconnected" or None,
        "the disconnect",
    )
    late = order(location, 7, "2026-03-06T15:00:00Z", (LATTE, "1", 450, 0))
    world.system.control.put_orders(world.merchant, [late])

    again = world.shop.connect(world.merchant)
    assert again["revived"] is True
    assert again["connection"]["id"] == connection
    world.shop.start(connection, FIRST_DAY)
    world.shop.wait_for_runs(connection, at_least=2)
    reaches(world, connection, {"latte": ("3", 1350), "muffin": ("1", 300)})


def test_a_daily_run_happens_by_itself_at_its_local_time(make_world: Callable[..., World]) -> None:
    world = make_world()
    (location,) = world.locations
    connection = two_items(world, "2026-03-03")
    offset = timedelta(seconds=float(world.system.clock_file.read_text()))
    due = datetime.now(UTC) + offset + timedelta(hours=2)
    local = due.astimezone(ZoneInfo(ZONE))
    schedule = {"kind": "daily", "daily_at": f"{local:%H:%M}", "timezone": ZONE}
    world.shop.call("PATCH", f"/v1/connections/{connection}", json={"schedule": schedule})
    planned = wait_for(
        lambda: world.shop.call("GET", f"/v1/connections/{connection}").get("next_sync_at"),
        "the next due time",
    )
    wait_s = (datetime.fromisoformat(planned) - datetime.now(UTC) - offset).total_seconds()
    assert 6600 < wait_s < 7200 + 900, planned
    world.system.control.put_orders(
        world.merchant, [order(location, 9, "2026-03-07T15:00:00Z", (LATTE, "5", 450, 0))]
    )
    before = len(world.shop.runs(connection))

    world.system.move_clock(offset.total_seconds() + wait_s + 60)
    runs = world.shop.wait_for_runs(connection, at_least=before + 1)
    assert runs[0]["kind"] == "scheduled"
    reaches(world, connection, {"latte": ("7", 3150), "muffin": ("1", 300)})
