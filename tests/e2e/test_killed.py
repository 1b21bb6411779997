"""A shop would lose or double sales if a process that dies in the middle of a sync took its work with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from suppli_demo.shop import wait_for
from suppli_sandbox.client import FaultSpec

from tests.e2e.conftest import World, generate

ORDERS = 5_000


@pytest.mark.timeout(300)
def test_killing_connector_mapping_and_scheduler_in_a_sync_of_5000_orders_loses_and_doubles_nothing(
    make_world: Callable[..., World],
) -> None:
    world = make_world(locations=2)
    before = world.system.dead_letters()
    small, large = world.locations
    generate(world.system, world.merchant, 150, 1, small)
    generate(world.system, world.merchant, ORDERS, 2, large)
    connection = world.connect(ties=world.ties()[:1])
    wait_for(lambda: world.shop.items(connection, "unmapped") or None, "items to map")
    world.map_everything(connection)

    world.shop.tie(connection, world.ties()[1:])
    slow = FaultSpec(kind="slow", operation="SearchOrders", times=None, delay_seconds=0.8)
    world.system.control.set_faults(world.merchant, slow)
    run_id = world.shop.sync(connection)["run_id"]
    for service in ("connector-square", "mapping", "sync-scheduler"):
        seen = published(world, run_id)
        wait_for(
            lambda seen=seen: published(world, run_id) > seen or None, f"progress before killing {service}"
        )
        assert published(world, run_id) < ORDERS, f"the sync was over before {service} was killed"
        world.system.kill(service)
        world.system.restart(service)
    world.system.control.clear_faults(world.merchant)

    wait_for(lambda: ended(world, run_id), "the end of the sync", 120)
    assert world.shop.call("GET", f"/v1/runs/{run_id}")["state"] == "succeeded"
    world.map_everything(connection)
    world.settle(connection, 120)
    assert len(world.truth()) > ORDERS, "the world is as large as the name says"
    assert world.system.dead_letters() == before, "nothing of it was taken for bad data"


def published(world: World, run_id: str) -> int:
    """Return how many orders a run has published so far."""
    run = world.shop.run(run_id)
    return int(run["counts"]["orders_published"]) if run else 0


def ended(world: World, run_id: str) -> bool | None:
    """Return True once a run has ended."""
    run = world.shop.run(run_id)
    return True if run and run["state"] not in {"queued", "running"} else None
