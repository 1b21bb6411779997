"""Claiming runs: a queue of ids and times across tenants, then the connection's lease in its own tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.codec import decoder
from suppli_contracts.events.connections import ConnectionChanged, ConnectionState
from suppli_contracts.events.sync import RunCounts, RunKind, RunState, RunSync, WaitsFor
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.outbox import enqueue

from suppli_connector_kit.adapters.hold import Hold, LeaseTimes, steady_seconds
from suppli_connector_kit.adapters.says import run_message
from suppli_connector_kit.domain.coverage import Spans, merge
from suppli_connector_kit.engine.ports import ORDERS, Job, Tally

PRIORITIES: dict[RunKind, int] = {
    RunKind.MANUAL: 0,
    RunKind.REPUBLISH: 1,
    RunKind.BACKFILL: 1,
    RunKind.SCHEDULED: 2,
    RunKind.SWEEP: 3,
}
BULK = (PRIORITIES[RunKind.BACKFILL], PRIORITIES[RunKind.SWEEP])
LOWEST = max(PRIORITIES.values())
WAIT_SECONDS = 0.5  # how long a run waits before it looks again whether its connection's settings are there

_CLAIM = sa.text("""
    with picked as (
        select run_id from sync_queue as q
        where not_before <= clock_timestamp() and held_until <= clock_timestamp()
        and not (priority = any(cast(:without as smallint[])))
        and not exists (
            select 1 from sync_queue as h
            where h.connection_id = q.connection_id and h.held_until > clock_timestamp()
        )
        order by priority, requested_at limit 1 for update skip locked
    )
    update sync_queue as q set held_until = clock_timestamp() + make_interval(secs => :lease)
    from picked where q.run_id = picked.run_id returning q.run_id, q.tenant_id
""")
_RUN = sa.text("""
    select command, attempt, state, sequence, counts, cancel_requested, started_at, waits_for from runs
    where run_id = :run for update
""")
_CONNECTION = sa.text("select body from connections where connection_id = :connection")
_LEASE = sa.text("""
    insert into leases (connection_id, tenant_id, fence, holder, expires_at, finished)
    values (:connection, :tenant, 1, :holder, clock_timestamp() + make_interval(secs => :lease), false)
    on conflict (connection_id) do update
    set fence = leases.fence + 1, holder = excluded.holder, expires_at = excluded.expires_at, finished = false
    where leases.expires_at <= clock_timestamp() returning new.fence, coalesce(old.finished, true) as finished
""")
_STARTED = sa.text("""
    update runs set state = 'running', sequence = sequence + 1, started_at = coalesce(started_at, :at)
    where run_id = :run returning sequence, started_at
""")
_DROPPED = sa.text("""
    update runs set state = 'cancelled', sequence = sequence + 1, finished_at = :at
    where run_id = :run returning sequence
""")
_UNQUEUE = sa.text("delete from sync_queue where run_id = :run")
_LATER = sa.text("""
    update sync_queue set held_until = clock_timestamp(),
        not_before = clock_timestamp() + make_interval(secs => :wait)
    where run_id = :run
""")
_COVERAGE = sa.text("""
    select location_id, from_us, to_us from coverage
    where connection_id = :connection and stream = :stream
""")
_WAITING = sa.text("select order_id, normaliser_revision from set_aside where connection_id = :connection")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run with its lease and what it works on."""

    hold: Hold
    job: Job
    resumed: bool


class RunQueue:
    """Hands out runs to this process's workers."""

    def __init__(
        self, database: Database, queue_database: Database, *, holder: str, times: LeaseTimes, clock: Clock
    ) -> None:
        """Prepare.

        Args:
            database: with the application's role, bound to tenants.
            queue_database: with the role that sees ids and times of all tenants, and nothing else.
            holder: names this process in the lease, for people.
        """
        self._database, self._queue = database, queue_database
        self._holder, self._times, self._clock = holder, times, clock

    async def claim(self, *, bulk: bool = True) -> Claimed | None:
        """Take the next run that nobody holds, None where there is none now.

        Args:
            bulk: whether a backfill, a republish or a sweep may be taken.
        """
        async with self._queue.transaction() as connection:
            values = {"without": [] if bulk else list(BULK), "lease": self._times.lease}
            row = (await connection.execute(_CLAIM, values)).first()
        if row is None:
            return None
        before = steady_seconds()
        async with self._database.transaction([row.tenant_id]) as connection:
            return await self._take(connection, row.run_id, before)

    async def _take(self, connection: AsyncConnection, run_id: UUID, before: float) -> Claimed | None:
        run = (await connection.execute(_RUN, {"run": run_id})).first()
        if run is None or run.state not in ("queued", "running"):
            await connection.execute(_UNQUEUE, {"run": run_id})
            return None
        command = decoder(RunSync).decode(run.command)
        ids = {"connection": command.connection_id}
        stored = (await connection.execute(_CONNECTION, ids)).scalar_one_or_none()
        settings = decoder(ConnectionChanged).decode(stored) if stored is not None else None
        if run.cancel_requested or (settings and settings.state is ConnectionState.DISCONNECTED):
            await self._drop(connection, command, _tally(run.counts))
            return None
        lease = None
        if settings is not None and settings.revision >= command.settings_revision:
            values = ids | {"tenant": command.tenant_id, "holder": self._holder, "lease": self._times.lease}
            lease = (await connection.execute(_LEASE, values)).first()
        if settings is None or lease is None:
            await connection.execute(_LATER, {"run": run_id, "wait": WAIT_SECONDS})
            return None
        return await self._start(connection, command, settings, lease, before, run)

    async def _start(
        self,
        connection: AsyncConnection,
        command: RunSync,
        settings: ConnectionChanged,
        lease: sa.Row[Any],
        before: float,
        run: sa.Row[Any],
    ) -> Claimed:
        now = self._clock.now()
        started = (await connection.execute(_STARTED, {"run": command.run_id, "at": now})).one()
        tally = _tally(run.counts)
        message = run_message(
            command,
            state=RunState.RUNNING,
            sequence=started.sequence,
            at=now,
            counts=tally.counts(),
            started_at=started.started_at,
            # until it gets further, what it waited for may still be away
            waits_for=None if run.waits_for is None else WaitsFor(run.waits_for),
        )
        await enqueue(connection, [message])
        ids = {"connection": command.connection_id}
        covered = (await connection.execute(_COVERAGE, ids | {"stream": ORDERS})).all()
        waiting = (await connection.execute(_WAITING, ids)).all()
        job = Job(
            connection=settings,
            run_id=command.run_id,
            attempt=command.attempt,
            kind=command.kind,
            fence=lease.fence,
            unfinished=not lease.finished,
            republish=command.republish,
            coverage=_covered(covered),
            waiting={row[0]: row[1] for row in waiting},
            tally=tally,
        )
        hold = Hold(
            self._database,
            command,
            fence=lease.fence,
            claimed_at=before,
            started_at=started.started_at,
            times=self._times,
            clock=self._clock,
        )
        return Claimed(hold, job, resumed=run.state == "running")

    async def _drop(self, connection: AsyncConnection, command: RunSync, tally: Tally) -> None:
        """End a run that is to stop, or whose connection is gone, before anything more is done for it."""
        now = self._clock.now()
        sequence = (await connection.execute(_DROPPED, {"run": command.run_id, "at": now})).scalar_one()
        message = run_message(
            command,
            state=RunState.CANCELLED,
            sequence=sequence,
            at=now,
            counts=tally.counts(),
            finished_at=now,
        )
        await enqueue(connection, [message])
        await connection.execute(_UNQUEUE, {"run": command.run_id})


def _covered(rows: Sequence[sa.Row[Any]]) -> dict[str, Spans]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        spans.setdefault(row.location_id, []).append((row.from_us, row.to_us))
    return {location: merge(found) for location, found in spans.items()}


def _tally(counts: bytes | None) -> Tally:
    if counts is None:
        return Tally()
    read = msgspec.json.decode(counts, type=RunCounts)
    return Tally(**{name: getattr(read, name) for name in RunCounts.__struct_fields__})
