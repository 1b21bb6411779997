"""A consumer that lost a week would stay without it, or count the rest twice, were a republish not exact."""

from __future__ import annotations

import asyncio

from suppli_contracts import codec
from suppli_contracts.events import SaleRecorded
from suppli_contracts.topics import SALES_RAW
from suppli_demo.consumer import everything_on
from suppli_demo.shop import wait_for

from tests.e2e.conftest import World


def test_what_is_published_again_is_the_same_sale_and_counts_once(world_with_sales: World) -> None:
    world = world_with_sales
    (connection,) = (each["id"] for each in world.shop.call("GET", "/v1/connections")["items"])
    first = raw(world, connection)
    sales = said(world, connection)
    wanted = sorted({order for order, _ in first})[:3]
    path = f"/v1/connections/{connection}/republish"

    run = run_of(world, world.shop.call("POST", path, json={"order_ids": wanted}))
    assert run["state"] == "succeeded"
    named = raw(world, connection)[len(first) :]
    assert sorted(order for order, _ in named) == wanted, "the orders that were named, and no other"

    window = {"from_at": "2026-03-01T00:00:00Z"}
    run = run_of(world, world.shop.call("POST", path, json=window))
    assert run["state"] == "succeeded"
    again = raw(world, connection)[len(first) + len(named) :]
    assert sorted(again) == sorted(set(first)), "all of the window, under the ids of the first time"
    assert set(named) <= set(first)

    world.sync(connection)
    world.settle(connection)
    assert said(world, connection) == sales, "mapping knows each of them and says nothing new"


def said(world: World, connection: str) -> list[tuple[str, str]]:
    """Return the product sales of a connection, each as its event id and what it says."""
    return sorted((event, repr(sale)) for event, sale in world.events(connection))


def run_of(world: World, answer: dict[str, object]) -> dict[str, object]:
    """Return the run of an answer once it has ended."""

    def ended() -> dict[str, object] | None:
        run = world.shop.run(str(answer["run_id"]))
        return run if run and run["state"] in {"succeeded", "failed", "cancelled"} else None

    return wait_for(ended, f"run {answer['run_id']}", 60)


def raw(world: World, connection: str) -> list[tuple[str, str]]:
    """Return the raw sales of a connection, oldest first per partition: order and event id."""

    async def read() -> list[tuple[int, str, str]]:
        found = []
        async for record in everything_on(world.system.bootstrap_servers, SALES_RAW):
            if connection.encode() in (record.key or b""):
                sale = codec.decode_as(SaleRecorded, record.value)
                found.append((record.timestamp, sale.order_id, dict(record.headers)["ce_id"].decode()))
        return found

    return [(order, event) for _, order, event in sorted(asyncio.run(read()))]
