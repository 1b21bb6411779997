"""Two processes of a connector: a shop would see old sales come back, or its authorization spent twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString
from uuid import UUID

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from suppli_contracts import codec
from suppli_contracts.events import SaleRecorded
from suppli_contracts.topics import SALES_RAW
from suppli_demo.shop import wait_for
from suppli_sandbox.client import FaultSpec

from tests.chaos.system import ChaosSystem
from tests.e2e.conftest import World, generate

ORDERS = 400
PREVIEWS = 6
RELAY_ACTIVE = "suppli_outbox_relay_active"
LEASE_LOST = "suppli_connector_leases_lost_total"


@pytest.mark.timeout(300)
def test_a_holder_that_wakes_up_after_its_lease_was_taken_over_harms_nothing(
    system: ChaosSystem, make_world: Callable[..., World]
) -> None:
    world = make_world(orders=60, locations=2)
    before = system.dead_letters()
    connection = world.connect(ties=world.ties()[:1])
    wait_for(lambda: world.shop.items(connection, "unmapped") or None, "items to map")
    world.map_everything(connection)
    generate(system, world.merchant, ORDERS, 2, world.locations[1])
    slow = FaultSpec(kind="slow", operation="SearchOrders", times=None, delay_seconds=3)
    system.control.set_faults(world.merchant, slow)
    world.shop.tie(connection, world.ties()[1:])
    _, before_it = _lease(system, connection)
    run_id = world.shop.sync(connection)["run_id"]
    holder, fence = wait_for(lambda: _taken_since(system, connection, before_it), "a holder", 60)
    lost = _metric(system, holder, LEASE_LOST)
    system.freeze(holder)  # while it waits for a page, which it will find answered when it wakes up
    _void_a_line_of_every_order(world)
    system.control.clear_faults(world.merchant)
    taken, _ = wait_for(lambda: _taken_since(system, connection, fence), "another holder", 60)
    assert taken != holder
    wait_for(lambda: _ended(world, run_id), "the end of the run", 60)
    assert world.sync(connection)["state"] == "succeeded"
    world.map_everything(connection)
    world.settle(connection)
    covered = _coverage(system, connection)

    system.thaw(holder)
    wait_for(lambda: _metric(system, holder, LEASE_LOST) > lost or None, "that it lost its lease")
    assert all(now >= then for now, then in zip(_coverage(system, connection), covered, strict=True))
    assert world.sync(connection)["state"] == "succeeded"
    assert _behind_newer_ones(system, connection) == 0, "the old page was never published"
    world.settle(connection)
    assert system.dead_letters() == before


@pytest.mark.timeout(120)
def test_a_run_is_told_of_although_the_process_that_publishes_for_all_is_frozen(
    system: ChaosSystem, make_world: Callable[..., World]
) -> None:
    world = make_world(orders=20)
    connection = world.connect()
    members = system.members("connector-square")
    relaying = next(name for name in members if _metric(system, name, RELAY_ACTIVE) == 1)
    system.freeze(relaying)
    try:
        assert world.sync(connection)["state"] == "succeeded"
    finally:
        system.thaw(relaying)
    assert world.sync(connection)["state"] == "succeeded"


@pytest.mark.timeout(120)
def test_of_two_processes_whose_token_is_refused_one_refreshes_it(
    system: ChaosSystem, make_world: Callable[..., World]
) -> None:
    world = make_world(orders=20)
    connection = world.connect()
    # Slow enough that the second process finds the token refused while the first one's call is under way.
    slow = FaultSpec(kind="slow", operation="ObtainToken", times=None, delay_seconds=1.5)
    system.control.set_faults(world.merchant, slow, FaultSpec(kind="token_expired"))
    system.control.clear_calls()
    with ThreadPoolExecutor(PREVIEWS) as pool:  # enough to reach both processes
        previews = [pool.submit(_preview, world, connection) for _ in range(PREVIEWS)]
    assert all(preview.result() for preview in previews)
    assert _obtained(system, world) == {200: 1}, "one call among all replicas"


def _preview(world: World, connection: str) -> Any:
    return world.shop.call("GET", f"/v1/connections/{connection}/preview")


def _ended(world: World, run_id: str) -> bool | None:
    run = world.shop.run(run_id)
    return True if run and run["state"] not in {"queued", "running"} else None


def _lease(system: ChaosSystem, connection: str) -> tuple[str, int]:
    """Return who holds a connection, and how often it was taken so far."""
    (row,) = _rows(system, "select holder, fence from leases where connection_id = %s", connection)
    return str(row[0]), int(row[1])


def _taken_since(system: ChaosSystem, connection: str, fence: int) -> tuple[str, int] | None:
    """Return who holds it now, if it was taken after `fence`; a change of settings raises that, too."""
    asked = "select holder, fence from leases where connection_id = %s and expires_at > clock_timestamp()"
    held = [(str(row[0]), int(row[1])) for row in _rows(system, asked, connection)]
    return held[0] if held and held[0][1] > fence else None


def _coverage(system: ChaosSystem, connection: str) -> list[int]:
    """Return until when each location is covered."""
    asked = (
        "select max(to_us) from coverage where connection_id = %s group by location_id order by location_id"
    )
    return [int(row[0]) for row in _rows(system, asked, connection)]


def _rows(system: ChaosSystem, asked: LiteralString, value: object) -> list[tuple[Any, ...]]:
    with system.runtime.postgres.connect("suppli_connector_square") as database:
        return database.execute(asked, (value,)).fetchall()


def _metric(system: ChaosSystem, process: str, name: str) -> float:
    url = f"http://127.0.0.1:{system.services[process].internal_port}/metrics"
    found = re.search(rf"^{name} (\S+)$", httpx.get(url).text, re.MULTILINE)
    assert found, name
    return float(found[1])


def _obtained(system: ChaosSystem, world: World) -> dict[int, int]:
    """Return how often tokens were asked for, by the answer's status."""
    calls = system.control.calls(world.merchant)
    return {call["status"]: call["count"] for call in calls if call["operation"] == "ObtainToken"}


def _void_a_line_of_every_order(world: World) -> None:
    control = world.system.control
    for order in control.orders(world.merchant):
        if len(order.get("line_items", ())) > 1:
            control.remove_line(world.merchant, order["id"], order["line_items"][0]["uid"])


def _behind_newer_ones(system: ChaosSystem, connection: str) -> int:
    """Return how many raw sales stand behind a newer version of the same order."""
    newest: dict[str, tuple[int, int]] = {}
    behind = 0
    for sale in asyncio.run(_raw_sales(system.bootstrap_servers, UUID(connection))):
        version = (sale.source_version, sale.observed)
        behind += version < newest.get(sale.order_id, version)
        newest[sale.order_id] = max(version, newest.get(sale.order_id, version))
    return behind


async def _raw_sales(bootstrap_servers: str, connection: UUID) -> list[SaleRecorded]:
    """Return a connection's raw sales; those of one order in the order in which they were written."""
    found: list[SaleRecorded] = []
    async with AIOKafkaConsumer(
        SALES_RAW, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        left = await consumer.end_offsets(consumer.assignment())
        while left:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                sales = (codec.decode_as(SaleRecorded, record.value) for record in records)
                found += [sale for sale in sales if sale.connection_id == connection]
            left = {part: end for part, end in left.items() if await consumer.position(part) < end}
    return found
