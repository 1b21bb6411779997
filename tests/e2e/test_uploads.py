"""Files beside connections: what a shop uploads while its connection is down counts once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from suppli_demo.shop import Refused, wait_for
from suppli_sandbox.client import FaultSpec

from tests.e2e.conftest import FIRST_DAY, ZONE, World
from tests.e2e.test_changes import LATTE, MUFFIN, order, sums
from tests.e2e.truth import Figures

WEEK = [f"2026-03-{day:02}" for day in range(9, 16)]
ANSWERS = {"timezone": ZONE, "currency": "USD", "day_cutoff": "00:00", "prices_include_tax": "no"}


def export(days: list[str], *, lattes: int = 2) -> bytes:
    """Return the till's own export: lattes and a muffin at a discount on each day."""
    lines = ["order_id,datetime,item,quantity,gross,discount,net"]
    for number, day in enumerate(days):
        gross = f"{4.5 * lattes:.2f}"
        lines.append(f"{number},{day} 11:00:00,Latte,{lattes},{gross},0,{gross}")
        lines.append(f"{number},{day} 11:00:00,Muffin,1,3.25,0.25,3.00")
    return "\n".join((*lines, "")).encode()


def import_file(world: World, content: bytes, connection: str) -> str:
    """Upload a file that stands for a connection; return its till's connection."""
    shop = world.shop
    upload_id = shop.upload(content, "week.csv")["upload_id"]
    ready = shop.plan_upload(upload_id, ANSWERS, {"suppli_location_id": "shop-1", "stands_for": connection})
    assert ready["state"] == "ready", ready["problem"]
    done = shop.import_upload(upload_id)
    assert done["state"] == "imported", done
    return str(done["connection_id"])


def map_by_name(world: World, connection: str) -> None:
    """Map what a way sells to the same two products, however it names them."""
    products = [{"product_id": name, "name": name, "unit": "each"} for name in ("latte", "muffin")]
    world.shop.import_products(products)
    wait_for(lambda: len(world.shop.items(connection, "unmapped")) >= 2 or None, "two items to map")
    for item in world.shop.items(connection, "unmapped"):
        world.map_item(item["item_id"], str(item["name"]).lower())


def test_a_week_uploaded_while_the_connection_is_down_and_synced_later_counts_once(
    make_world: Callable[..., World],
) -> None:
    """The file keeps the shop's figures going; when the connection is back, nothing may stand twice."""
    world = make_world()
    (location,) = world.locations
    shop, control = world.shop, world.system.control
    for number, day in enumerate(WEEK):
        sale = order(location, number, f"{day}T15:00:00Z", (LATTE, "2", 450, 0), (MUFFIN, "1", 325, 25))
        control.put_orders(world.merchant, [sale])
    control.set_faults(world.merchant, FaultSpec(kind="server_error", operation="SearchOrders", times=None))
    connection = str(shop.connect(world.merchant)["connection"]["id"])
    shop.put_location("shop-1", "Shop 1", ZONE)
    shop.tie(connection, world.ties())
    shop.start(connection, FIRST_DAY)

    till = import_file(world, export(WEEK), connection)
    map_by_name(world, till)
    week = {"latte": Figures(Decimal(14), 14 * 450), "muffin": Figures(Decimal(7), 7 * 300)}

    def stands(wanted: dict[str, Figures]) -> bool | None:
        said = sums([*world.events(connection), *world.events(till)])
        return True if said == wanted else None

    wait_for(lambda: stands(week), "the file's week", 60)

    control.clear_faults(world.merchant)
    assert world.sync(connection)["state"] == "succeeded"
    map_by_name(world, connection)

    def of_the_connection() -> bool | None:
        return True if sums(world.events(connection)) == week else None

    wait_for(of_the_connection, "the connection's own week", 60)
    wait_for(lambda: stands(week), "the week to count once", 60)
    assert sums(world.events(till)) == {}, "the file is superseded, not forgotten"

    import_file(world, export(WEEK, lattes=3), connection)
    assert stands(week), "a corrected file changes nothing where the connection knows the day"


def test_what_only_files_fill_is_neither_connected_nor_authorized(make_world: Callable[..., World]) -> None:
    """Who tries must hear what to do instead."""
    shop = make_world().shop
    with pytest.raises(Refused) as refused:
        shop.begin("upload", "production")
    assert refused.value.type == "filled-by-files"
    assert "upload" in str(refused.value)
