"""Taking over, being fenced out, dropping and erasing, on real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from suppli_connector_kit.adapters.books import SqlBooks
from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.engine.ports import LeaseLost, PageEntry, Report, Tally
from suppli_connector_kit.testing import MemoryOrder
from suppli_connector_kit.workers import Workers
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.events.sync import CancelSync, Republish, RunKind, RunState, WaitsFor
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import PublishFailed
from suppli_service_kit.vault import VaultUnavailable

World = Any  # the fixture of conftest.py


def fill(world: World, count: int = 9) -> None:
    now = world.clock.now()
    stamps = [to_us(now - timedelta(hours=3, seconds=count - number)) for number in range(count)]
    world.provider.put(*(MemoryOrder(f"O{number}", "L1", at) for number, at in enumerate(stamps)))


def ids(sales: list[tuple[str, Any]]) -> list[str]:
    return sorted(sale.order_id for _, sale in sales)


class Freezing:
    """A publisher that, at its second page, is as good as stopped until it is told to go on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.frozen, self.go_on = asyncio.Event(), asyncio.Event()
        self.pages = 0

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float) -> None:
        await self.world.producer.publish(messages, timeout=timeout)
        self.pages += 1
        if self.pages == 2:
            self.frozen.set()
            await self.go_on.wait()


async def test_a_frozen_holder_is_taken_over_and_can_do_nothing_when_it_wakes(world: World) -> None:
    """Two processes would write the same connection, and the old one would undo what the new one did."""
    world.times = LeaseTimes(lease=1.0, renew=100)
    world.limits = type(world.limits)(publish_seconds=0.2)
    fill(world)
    await world.connect()
    await world.command()
    claimed = await world.claim(world.queue("old"))
    publisher = Freezing(world)
    old = asyncio.create_task(world.runner(publisher)(claimed))
    await publisher.frozen.wait()

    world.times = LeaseTimes(lease=30, renew=8)
    taken = await world.claim(world.queue("new"))
    assert taken.resumed
    assert taken.job.fence == claimed.job.fence + 1
    await world.runner()(taken)
    recorded = await world.rows("select order_id, content_hash, source_version from order_hashes order by 1")

    publisher.go_on.set()
    await old
    assert publisher.pages == 2, "the old holder published after its lease"
    assert claimed.hold.remaining() <= 0
    with pytest.raises(LeaseLost):
        await claimed.hold.renew()
    books = SqlBooks(world.database, claimed.hold, claimed.job, revision=1, clock=world.clock)
    with pytest.raises(LeaseLost):
        await books.record(PageEntry(Tally(pages=1), coverage={"L1": ((0, 1),)}), Report(Tally()))
    again = await world.rows("select order_id, content_hash, source_version from order_hashes order by 1")
    assert again == recorded
    assert len(recorded) == 9
    sales = await world.sales()
    assert set(ids(sales)) == {f"O{number}" for number in range(9)}
    assert len({event_id for event_id, _ in sales}) == 9, "what was published twice has the same id"
    assert (await world.ended()).state is RunState.SUCCEEDED


async def test_a_crash_between_publish_and_record_publishes_the_same_ids_again(world: World) -> None:
    """Sales would be lost where the crash fell in between, or would count twice."""
    fill(world, 3)
    world.times = LeaseTimes(lease=0.6, renew=100)
    world.limits = type(world.limits)(publish_seconds=0.1)
    await world.connect()
    await world.command()
    dying = asyncio.create_task(_dies_after_publishing(world))
    await dying
    assert await world.rows("select * from order_hashes") == []
    first = await world.sales()
    world.times = LeaseTimes()
    await world.runner()(await world.claim())
    second = await world.sales()
    assert len(first) == 3
    assert len(second) == 6
    assert {event_id for event_id, _ in first} == {event_id for event_id, _ in second}
    assert max(sale.observed for _, sale in second) >> 24 == 2


async def test_an_order_that_goes_back_after_an_unrecorded_publish_is_said_again(world: World) -> None:
    """Consumers would keep what the dead holder said, as the recorded hash says that nothing changed."""
    sold_at = world.clock.now() - timedelta(minutes=5)
    now = to_us(sold_at)
    world.provider.put(MemoryOrder("O1", "L1", now, net=500, occurred_at=sold_at))
    await world.connect()
    await world.sync()
    world.times = LeaseTimes(lease=0.6, renew=100)
    world.limits = type(world.limits)(publish_seconds=0.1)
    world.provider.put(MemoryOrder("O1", "L1", now + 10_000_000, net=900, occurred_at=sold_at))
    await world.command()
    await _dies_after_publishing(world)

    world.provider.put(MemoryOrder("O1", "L1", now + 20_000_000, net=500, occurred_at=sold_at))
    world.times = LeaseTimes()
    await world.runner()(await world.claim())
    sales = [sale for _, sale in await world.sales()]
    newest = max(sales, key=lambda sale: (sale.source_version, sale.observed))
    assert [sale.totals.total for sale in sales] == [500, 900, 500]
    assert newest.totals.total == 500

    world.provider.put(MemoryOrder("O1", "L1", now + 30_000_000, net=500, occurred_at=sold_at))
    await world.sync()
    assert len(await world.sales()) == 3, "after a run that finished, equal content is unchanged again"


async def _dies_after_publishing(world: World) -> None:
    claimed = await world.claim()
    publisher = Freezing(world)
    publisher.pages = 1
    work = asyncio.create_task(world.runner(publisher)(claimed))
    await publisher.frozen.wait()
    claimed.hold._database = _Gone()  # a killed process writes nothing more, not even on its way out
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


class _Gone:
    def transaction(self, *_: Any) -> Any:
        raise OSError("gone")


async def test_a_stopped_process_hands_its_runs_over_at_once(world: World) -> None:
    """Every deployment would hold up running syncs for the length of a lease."""
    fill(world)
    await world.connect()
    await world.command()
    publisher = Freezing(world)
    workers = Workers(world.queue("old"), world.runner(publisher), count=2)
    stop = asyncio.Event()
    working = asyncio.create_task(workers.run(stop))
    await publisher.frozen.wait()
    stop.set()
    await working
    taken = await asyncio.wait_for(world.claim(world.queue("new")), 3)
    await world.runner()(taken)
    assert set(ids(await world.sales())) == {f"O{number}" for number in range(9)}


class Away:
    """A broker that takes nothing."""

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float) -> None:
        raise PublishFailed("no broker")


async def test_a_run_says_what_it_waits_for_until_it_gets_further(world: World) -> None:
    """An owner would see a sync in progress for hours, and nobody would know that it stands still."""
    fill(world, 2)
    await world.connect()
    await world.command()
    read, world.store.read = world.store.read, unavailable
    await world.runner()(await world.claim())
    world.store.read = read
    await world.runner(Away())(await world.claim())
    await world.runner()(await world.claim())
    assert (await world.ended()).state is RunState.SUCCEEDED
    events = sorted(await world.run_events(), key=lambda event: event.sequence)
    said = [event.waits_for for event in events]
    secrets, messaging = WaitsFor.SECRETS, WaitsFor.MESSAGING
    assert said[:3] == [None, secrets, secrets], "also while it is tried again"
    assert said.index(messaging) > 2
    assert said[-1] is None
    assert all(event.state is RunState.RUNNING for event in events[:-1])


async def unavailable(path: str) -> None:
    raise VaultUnavailable("away")


async def test_one_connection_has_one_holder_and_people_go_first(world: World) -> None:
    """Two runs of a connection would race; somebody who waits would stand behind a backfill."""
    await world.connect()
    await world.command(RunKind.SWEEP)
    await world.command(RunKind.BACKFILL)
    manual = await world.command(RunKind.MANUAL)
    claimed = await world.claim()
    assert claimed.job.run_id == manual.run_id
    assert await world.queue("two").claim() is None
    await claimed.hold.finish(RunState.SUCCEEDED, Report(Tally()))
    assert await world.queue("two").claim(bulk=False) is None
    assert (await world.claim()).job.kind is RunKind.BACKFILL


async def test_a_repeated_command_changes_nothing_and_a_retry_starts_anew(world: World) -> None:
    """A repeated command would run twice; a retry would never run."""
    await world.connect()
    command = await world.sync()
    await world.book.store_commands([command])
    assert await world.queue().claim() is None
    await world.command(run_id=command.run_id, attempt=2)
    assert (await world.claim()).job.attempt == 2


async def test_a_republish_that_joins_a_run_is_done_whether_the_run_has_begun_or_not(world: World) -> None:
    """The run that serves both wishes would end without having said anything again."""
    fill(world, 5)
    await world.connect()
    await world.sync()
    asked = Republish(from_at=world.clock.now() - timedelta(days=1))
    more = {"kind": RunKind.REPUBLISH, "republish": asked}
    queued = await world.command()
    await world.command(run_id=queued.run_id, **more)
    claimed = await world.claim()
    assert (claimed.job.kind, claimed.job.republish) == (RunKind.REPUBLISH, asked)
    await world.book.store_commands([queued])
    await claimed.hold.renew()  # the first command again, as Kafka may repeat it: it takes nothing back
    await world.runner()(claimed)
    assert len(ids(await world.sales())) == 10

    started = await world.command()
    claimed = await world.claim()
    await world.command(run_id=started.run_id, **more)
    with pytest.raises(LeaseLost):
        await claimed.hold.renew()
    await world.runner()(await world.claim())
    assert len(ids(await world.sales())) == 15
    assert len({event_id for event_id, _ in await world.sales()}) == 5
    await world.command(run_id=started.run_id, **more)
    assert await world.queue().claim() is None, "a run that ended is over"


async def test_a_run_waits_for_the_settings_that_it_presumes(world: World) -> None:
    """A run would read with yesterday's choice of locations."""
    await world.connect()
    await world.command(settings_revision=2)
    assert await world.queue().claim() is None
    assert await world.queue().claim() is None
    await world.book.store_connections([world.settings(revision=2)])
    assert (await world.claim()).job.connection.revision == 2


async def test_a_cancelled_run_stops_at_its_next_page(world: World) -> None:
    """Nobody could stop a backfill that was started by mistake."""
    fill(world, 30)
    await world.connect()
    command = await world.command()
    claimed = await world.claim()
    publisher = Freezing(world)
    work = asyncio.create_task(world.runner(publisher)(claimed))
    await publisher.frozen.wait()
    cancel = CancelSync(
        tenant_id=world.tenant,
        connection_id=world.connection_id,
        provider="memory",
        run_id=command.run_id,
        requested_at=world.clock.now(),
    )
    await world.book.store_commands([cancel])
    publisher.go_on.set()
    await work
    ended = await world.ended()
    assert ended.state is RunState.CANCELLED
    assert ended.coverage
    assert 3 <= ended.counts.orders_published < 30
    queued = await world.command()
    await world.book.store_commands([type(cancel)(**{**_fields(cancel), "run_id": queued.run_id})])
    assert await world.queue().claim() is None
    assert (await world.ended(2)).state is RunState.CANCELLED


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def test_changed_settings_take_hold_of_a_running_sync(world: World) -> None:
    """A sync under way would go on with the old zone and cover what has to be read again."""
    fill(world)
    await world.connect()
    await world.command()
    claimed = await world.claim()
    await world.book.store_connections([world.settings(revision=2, start_date=world.clock.now().date())])
    with pytest.raises(LeaseLost):
        await claimed.hold.renew()
    taken = await world.claim()
    assert taken.job.connection.revision == 2


async def test_a_disconnected_and_erased_connection_leaves_nothing(world: World) -> None:
    """Data that a shop asked to erase would stay, or come back with a late message."""
    fill(world)
    await world.connect()
    await world.sync()
    await world.command()
    claimed = await world.claim()
    gone = world.settings(
        revision=5, state=ConnectionState.DISCONNECTED, disconnected_at=world.clock.now(), erase=True
    )
    await world.book.store_connections([gone])
    with pytest.raises(LeaseLost):
        await claimed.hold.renew()
    for table in ("order_hashes", "coverage", "runs", "connections", "catalog_items", "set_aside"):
        assert await world.rows(f"select 1 from {table}") == [], table
    await world.book.store_connections([world.settings(revision=6)])
    await world.command()
    assert await world.rows("select 1 from connections") == []
    assert await world.rows("select 1 from runs") == []
    assert len(await world.rows("select 1 from erased")) == 1


async def test_tenants_see_nothing_of_each_other(world: World) -> None:
    """One shop's sales would show up at another."""
    fill(world)
    await world.connect()
    await world.sync()
    tables = ("connections", "runs", "leases", "order_hashes", "coverage", "catalog_state")
    async with world.database.transaction([uuid4()]) as connection:
        for table in tables:
            assert (await connection.execute(sa.text(f"select count(*) from {table}"))).scalar_one() == 0, (
                table
            )
    async with world.queue_database.transaction() as connection:
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            await connection.execute(sa.text("select 1 from order_hashes"))
