"""Due times and runs in a real database: what replicas, restarts and races must not break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from suppli_contracts.codec import encode
from suppli_contracts.events import ConnectionChanged, SyncRunChanged
from suppli_contracts.events.connections import ConnectionState, Schedule, ScheduleKind
from suppli_contracts.events.sync import ErrorClass, RunError, RunKind, RunState
from suppli_contracts.internal import RunRequest
from suppli_service_kit.clock import FixedClock
from suppli_service_kit.database import Database, database_at
from suppli_service_kit.kafka.consumer import BadMessage
from suppli_service_kit.kafka.messages import InMessage
from suppli_sync_scheduler.adapters.store import Store
from suppli_sync_scheduler.claimer import PAGE, Claimer
from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.domain.runs import Run
from suppli_sync_scheduler.handlers import Handlers
from suppli_sync_scheduler.scheduler import NotKnown, Scheduler

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOURLY = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=60)
POLICY = Policy()


@dataclass
class Bench:
    """The service's parts on one database, with a clock that stands still."""

    database: Database
    queue: Database
    clock: FixedClock
    scheduler: Scheduler
    owner_url: str

    def claimer(self, *, away: float = 0.0) -> Claimer:
        """Return a claimer; with `away` seconds since it looked last (0: it has just looked)."""
        claimer = Claimer(
            self.queue,
            self.database,
            self.scheduler,
            clock=self.clock,
            policy=POLICY,
            poll_seconds=0.01,
            monotonic=lambda: away,
        )
        claimer._looked_at = 0.0
        return claimer

    async def connect(
        self, count: int, schedule: Schedule = HOURLY, *, tenant: UUID | None = None
    ) -> list[ConnectionChanged]:
        events = [
            ConnectionChanged(
                tenant_id=tenant or uuid4(),
                connection_id=uuid4(),
                revision=1,
                provider="square",
                environment="sandbox",
                state=ConnectionState.CONNECTED,
                changed_at=START,
                schedule=schedule,
                start_date=date(2026, 5, 1),
            )
            for _ in range(count)
        ]
        async with self.database.transaction({event.tenant_id for event in events}) as connection:
            await self.scheduler.connections_changed(connection, events)
        return events

    async def runs(self, events: list[ConnectionChanged]) -> list[Run]:
        """Return the open runs of connections."""
        async with self.database.transaction({event.tenant_id for event in events}) as connection:
            lanes = await Store(connection).lanes([event.connection_id for event in events])
        return [run for lane in lanes.values() for run in (lane.active, lane.follow_up) if run is not None]

    async def ask(self, event: ConnectionChanged) -> Run:
        async with self.database.transaction([event.tenant_id]) as connection:
            requested = await self.scheduler.request(
                connection, event.connection_id, event.tenant_id, RunRequest()
            )
        return requested.run

    async def hear(self, run: Run, state: RunState, sequence: int = 1, **changes: Any) -> None:
        event = SyncRunChanged(
            tenant_id=run.tenant_id,
            connection_id=run.connection_id,
            provider="square",
            run_id=run.run_id,
            attempt=changes.pop("attempt", run.attempt),
            sequence=sequence,
            kind=run.kind,
            state=state,
            at=self.clock.now(),
            **changes,
        )
        async with self.database.transaction([run.tenant_id]) as connection:
            await self.scheduler.runs_changed(connection, [event])

    async def until_waiting(self, count: int) -> None:
        """Return when so many transactions wait for a lock, at most ten seconds from now."""
        waiting = sa.text(
            "select count(distinct pid) from pg_locks join pg_stat_activity using (pid)"
            " where not granted and datname = current_database()"
        )
        async with asyncio.timeout(10), self.queue.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            while (await connection.execute(waiting)).scalar_one() < count:  # noqa: ASYNC110 - other sessions
                await asyncio.sleep(0.02)

    def outbox(self) -> int:
        """Return how many messages wait to be published."""
        with psycopg.connect(self.owner_url.replace("+psycopg", "")) as connection:
            row = connection.execute("select coalesce(sum(message_count), 0) from outbox").fetchone()
        return int(row[0]) if row else 0


@pytest.fixture
async def bench(database: Any) -> AsyncIterator[Bench]:
    app, queue = database_at(database.app_url), database_at(database.relay_url, pool=2)
    clock = FixedClock(START)
    yield Bench(app, queue, clock, Scheduler(POLICY, clock, chance=lambda: 0.5), database.owner_url)
    await app.close()
    await queue.close()


async def test_two_replicas_claim_each_due_time_once(bench: Bench) -> None:
    """Otherwise every shop is synced twice as soon as the service is scaled."""
    events = await bench.connect(40)
    said = bench.outbox()
    bench.clock.advance(timedelta(hours=1))
    first, second = bench.claimer(), bench.claimer()
    async with asyncio.timeout(20):
        while len(await bench.runs(events)) < 40:
            await asyncio.gather(first.look(), second.look())
    assert len(await bench.runs(events)) == 40
    # A command, a queued event and the next due time for each; a second claim would say more.
    assert bench.outbox() - said == 3 * 40
    await first.look()
    assert bench.outbox() - said == 3 * 40


async def test_missed_times_make_one_run_each_spread_out(bench: Bench) -> None:
    """Otherwise an outage ends with a stampede that brings the next one."""
    events = await bench.connect(PAGE + 30)
    bench.clock.advance(timedelta(hours=30))
    claimer = bench.claimer(away=30 * 3600)
    await claimer.look()
    assert await bench.runs(events) == []
    started = []
    for _ in range(20):
        bench.clock.advance(POLICY.catch_up_spread / 20)
        await bench.claimer().look()
        started.append(len(await bench.runs(events)))
    assert started[-1] == PAGE + 30
    most = max(after - before for before, after in pairwise([0, *started]))
    assert most <= 2 * len(events) / 20, "twice the average"


async def test_moved_clock_is_no_downtime(bench: Bench) -> None:
    """Otherwise whoever moves the clock to see a scheduled run waits ten minutes for it."""
    events = await bench.connect(1)
    bench.clock.advance(timedelta(days=2))
    await bench.claimer().look()
    assert [run.kind for run in await bench.runs(events)] == [RunKind.SCHEDULED]


async def test_simultaneous_requests_make_one_run(bench: Bench) -> None:
    """Otherwise two people who press "sync now" start two runs of one account."""
    event = (await bench.connect(1))[0]
    async with bench.database.transaction([event.tenant_id]) as connection:
        requested = await bench.scheduler.request(
            connection, event.connection_id, event.tenant_id, RunRequest()
        )
        others = [asyncio.create_task(bench.ask(event)) for _ in range(3)]
        await bench.until_waiting(3)  # they have begun before the first is committed
    assert {run.run_id for run in await asyncio.gather(*others)} == {requested.run.run_id}
    assert len(await bench.runs([event])) == 1


async def test_database_itself_refuses_a_second_active_run(bench: Bench) -> None:
    """Otherwise the rule rests on every future code path remembering it."""
    event = (await bench.connect(1))[0]
    run = await bench.ask(event)
    copy = sa.text(
        "insert into runs (run_id, connection_id, tenant_id, provider, kind, state, attempt, sequence,"
        " settings_revision, follow_up, requested_at)"
        " select :id, connection_id, tenant_id, provider, kind, 'running', 1, 0, 1, false, now()"
        " from runs where run_id = :of"
    )
    with pytest.raises(sa.exc.IntegrityError, match="runs_one_active"):
        async with bench.database.transaction([event.tenant_id]) as connection:
            await connection.execute(copy, {"id": uuid4(), "of": run.run_id})


async def test_failed_run_is_tried_again_at_its_time(bench: Bench) -> None:
    """Otherwise a network fault at night leaves a shop without its day."""
    event = (await bench.connect(1))[0]
    run = await bench.ask(event)
    error = RunError(error_class=ErrorClass.NETWORK, message="The connection broke.")
    await bench.hear(run, RunState.FAILED, error=error)
    waiting = (await bench.runs([event]))[0]
    assert (waiting.state, waiting.attempt, waiting.commanded_at) == (RunState.QUEUED, 2, None)
    assert waiting.next_attempt_at == START + timedelta(seconds=15)
    await bench.claimer().look()
    assert (await bench.runs([event]))[0].commanded_at is None
    bench.clock.advance(timedelta(seconds=15))
    await bench.claimer().look()
    again = (await bench.runs([event]))[0]
    assert (again.run_id, again.attempt, again.commanded_at) == (run.run_id, 2, bench.clock.now())


async def test_failing_transaction_leaves_no_half(bench: Bench) -> None:
    """Otherwise a run is stored that no connector was told of, or the other way round."""
    event = (await bench.connect(1))[0]
    said = bench.outbox()

    async def interrupted() -> None:
        async with bench.database.transaction([event.tenant_id]) as connection:
            await bench.scheduler.request(connection, event.connection_id, event.tenant_id, RunRequest())
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await interrupted()
    assert await bench.runs([event]) == []
    assert bench.outbox() == said


async def test_tenants_see_only_their_own(bench: Bench) -> None:
    """Otherwise somebody starts, stops or sees another shop's runs."""
    event = (await bench.connect(1))[0]
    run = await bench.ask(event)
    stranger = uuid4()
    async with bench.database.transaction([stranger]) as connection:
        for attempt in (
            bench.scheduler.request(connection, event.connection_id, stranger, RunRequest()),
            bench.scheduler.cancel(connection, run.run_id, stranger),
            bench.scheduler.next_due_at(connection, event.connection_id),
        ):
            with pytest.raises(NotKnown):
                await attempt
    await bench.hear(
        Run(
            run_id=run.run_id,
            connection_id=run.connection_id,
            tenant_id=stranger,
            provider="square",
            kind=run.kind,
            requested_at=START,
            settings_revision=1,
        ),
        RunState.SUCCEEDED,
    )
    assert (await bench.runs([event]))[0].state == RunState.QUEUED


async def test_a_batch_of_two_tenants_does_not_mix_them(bench: Bench) -> None:
    """Otherwise a forged event that shares a batch with a shop's own ends its run or moves its schedule."""
    event, other = await bench.connect(2)
    run = await bench.ask(event)
    forged = SyncRunChanged(
        tenant_id=other.tenant_id,
        connection_id=event.connection_id,
        provider="square",
        run_id=run.run_id,
        attempt=1,
        sequence=9,
        kind=run.kind,
        state=RunState.SUCCEEDED,
        at=START,
    )
    taken_over = msgspec.structs.replace(event, tenant_id=other.tenant_id, revision=9, schedule=Schedule())
    async with bench.database.transaction([event.tenant_id, other.tenant_id]) as connection:
        await bench.scheduler.runs_changed(connection, [forged])
        await bench.scheduler.connections_changed(connection, [taken_over])
        due = await bench.scheduler.next_due_at(connection, event.connection_id)
    assert (await bench.runs([event]))[0].state == RunState.QUEUED
    assert due is not None


async def test_an_id_of_another_tenant_is_a_bad_message(bench: Bench) -> None:
    """Otherwise one wrong message stops every connection of its partition for good."""
    event = (await bench.connect(1))[0]
    stranger = msgspec.structs.replace(event, tenant_id=uuid4(), revision=9)
    _, value, headers = encode(stranger, event_id="1", source="suppli/gateway", time=START)
    message = InMessage("c", 0, 0, None, value, {name: text.decode() for name, text in headers}, 0)
    handlers = Handlers(bench.database, bench.scheduler, frozenset({"square"}))
    with pytest.raises(BadMessage, match="another tenant"):
        await handlers.on_connections([message])


async def test_the_queues_role_sees_nothing_else(bench: Bench) -> None:
    """Otherwise the one role without a tenant policy can read tenants' settings."""
    await bench.connect(1)
    for table in ("connections", "runs"):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            async with bench.queue.transaction() as connection:
                await connection.execute(sa.text(f"select * from {table}"))
    async with bench.database.transaction() as connection:
        assert (await connection.execute(sa.text("select count(*) from connections"))).scalar() == 0


async def test_erased_connection_leaves_only_its_marker(bench: Bench) -> None:
    """Otherwise what an owner asked to erase stays here, or is synced again."""
    event = (await bench.connect(1))[0]
    run = await bench.ask(event)
    gone = ConnectionChanged(
        tenant_id=event.tenant_id,
        connection_id=event.connection_id,
        revision=2,
        provider="square",
        environment="sandbox",
        state=ConnectionState.DISCONNECTED,
        changed_at=START,
        erase=True,
        deleted=True,
    )
    async with bench.database.transaction([event.tenant_id]) as connection:
        await bench.scheduler.connections_changed(connection, [gone])
        assert await Store(connection).run(run.run_id) is None
    said = bench.outbox()
    await bench.hear(run, RunState.RUNNING)
    bench.clock.advance(timedelta(days=2))
    await bench.claimer().look()
    assert await bench.runs([event]) == []
    assert bench.outbox() == said


async def test_daily_sweep_comes_and_yields_to_other_runs(bench: Bench) -> None:
    """Otherwise sales that a till sent late are never found, or the search for them holds up fresh ones."""
    daily = Schedule(kind=ScheduleKind.DAILY, daily_at="22:00")
    event = (await bench.connect(1, daily))[0]
    kinds = []
    for _ in range(24):
        bench.clock.advance(timedelta(hours=1))
        await bench.claimer().look()
        for run in await bench.runs([event]):
            kinds.append(run.kind)
            await bench.hear(run, RunState.SUCCEEDED)
    assert sorted(kinds) == [RunKind.SCHEDULED, RunKind.SWEEP]


async def test_a_connection_that_fails_holds_up_no_other(bench: Bench) -> None:
    """They are claimed together: otherwise one shop's broken row stops everybody's syncs."""
    events = await bench.connect(20)
    broken = events[7]
    unreadable = sa.text(
        'update connections set schedule = \'{"kind": "interval"}\' where connection_id = :id'
    )
    async with bench.database.transaction([broken.tenant_id]) as connection:
        await connection.execute(unreadable, {"id": broken.connection_id})
    bench.clock.advance(timedelta(hours=1))
    assert await bench.claimer().look() == 1
    assert len(await bench.runs(events)) == 19
    assert await bench.runs([broken]) == []
