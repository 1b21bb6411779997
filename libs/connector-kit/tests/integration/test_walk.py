"""A run from its command to its events, on real PostgreSQL and Kafka."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.testing import MemoryOrder
from suppli_contracts.events.sales import OrderState
from suppli_contracts.events.sync import Emptiness, RunKind, RunState

World = Any  # the fixture of conftest.py


async def test_a_command_becomes_sales_coverage_and_an_event_that_ends_the_run(world: World) -> None:
    """Without this walk nothing of a shop's sales arrives at all."""
    now = world.clock.now()
    stamps = [to_us(now - timedelta(hours=hours)) for hours in range(1, 8)]
    world.provider.put(*(MemoryOrder(f"O{i}", "L1", at) for i, at in enumerate(stamps)))
    await world.connect()

    command = await world.sync()

    sales = await world.sales()
    assert sorted(sale.order_id for _, sale in sales) == [f"O{i}" for i in range(7)]
    assert {sale.run_id for _, sale in sales} == {command.run_id}
    rows = await world.rows("select from_us, to_us from coverage")
    [(start, end)] = rows
    assert start < min(stamps)
    assert max(stamps) < end <= to_us(world.clock.now()) - 2_000_000
    ended = await world.ended()
    assert ended.state is RunState.SUCCEEDED
    assert ended.counts.orders_published == 7
    assert ended.coverage is not None
    assert len(ended.coverage) == 1


async def test_a_run_that_finds_nothing_is_doubted_by_what_is_recorded(world: World) -> None:
    """A till that is off reads as a quiet day, unless the weeks before, in SQL, say that it was none."""
    now = world.clock.now()
    weeks = [to_us(now - timedelta(days=7 * ago, hours=20)) for ago in (1, 2)]
    world.provider.put(*(MemoryOrder(f"O{at}", "L1", at) for at in weeks))
    await world.connect()
    await world.sync()
    assert (await world.ended()).nothing_found is None
    await world.sync(RunKind.SWEEP)
    found = (await world.ended(2)).nothing_found
    assert found is not None
    assert (found.outcome, found.location_ids) == (Emptiness.SUSPECT, ("L1",))


async def test_a_sweep_ends_vanished_orders_at_zero(world: World) -> None:
    """A sale deleted at the till would count for ever; the recorded orders are looked through in SQL."""
    now = world.clock.now()
    stamps = {"NEW": now - timedelta(hours=1), "GONE": now - timedelta(hours=2)}
    world.provider.put(*(MemoryOrder(key, "L1", to_us(at)) for key, at in stamps.items()))
    await world.connect()
    await world.sync()
    del world.provider.orders_by_key["GONE"]
    await world.sync(RunKind.SWEEP)
    await world.sync(RunKind.SWEEP)
    sales = [sale for _, sale in await world.sales()]
    assert len(sales) == 3, "two sales, and one deletion said once"
    last = [sale for sale in sales if sale.state is OrderState.DELETED]
    assert [(sale.order_id, sale.state, sale.location_id, sale.currency) for sale in last] == [
        ("GONE", OrderState.DELETED, "L1", "USD")
    ]
