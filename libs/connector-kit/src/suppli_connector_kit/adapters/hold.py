"""A run that this process holds: its lease by the database's clock, and every write fenced by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.sync import (
    Coverage,
    CoveredDays,
    RunCounts,
    RunError,
    RunState,
    RunSync,
    WaitsFor,
)
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.outbox import enqueue

from suppli_connector_kit.adapters.says import run_message
from suppli_connector_kit.engine.ports import LeaseLost, Report, RunCancelled

PROGRESS_SECONDS = 0.5  # a run says how far it is at most this often
IDLE_MS = 15_000  # a holder that freezes inside a transaction keeps its locks no longer than this

# The idle limit travels with the fence's own statement: one round trip less for every page.
_FENCE = sa.text("""
    update leases set expires_at = clock_timestamp() + make_interval(secs => :lease)
    where connection_id = :connection and fence = :fence and expires_at > clock_timestamp()
    returning set_config('idle_in_transaction_session_timeout', :idle, true)
""")
_HELD = sa.text("""
    update sync_queue set held_until = clock_timestamp() + make_interval(secs => :lease) where run_id = :run
""")
_CANCELLED = sa.text("select cancel_requested from runs where run_id = :run")
_ADVANCE = sa.text("""
    update runs set counts = :counts, sequence = sequence + :step, waits_for = null
    where run_id = :run and attempt = :attempt returning sequence, cancel_requested
""")
_FINISH = sa.text("""
    update runs set state = :state, counts = :counts, sequence = sequence + 1, finished_at = :at,
        waits_for = null
    where run_id = :run and attempt = :attempt returning sequence
""")
_UNQUEUE = sa.text("delete from sync_queue where run_id = :run")
_RELEASE = sa.text("""
    update leases set expires_at = clock_timestamp(), finished = :finished
    where connection_id = :connection and fence = :fence
""")
_WAITS = sa.text("""
    update runs set waits_for = :waits_for, sequence = sequence + 1
    where run_id = :run and attempt = :attempt returning sequence, counts
""")
_PUT_BACK = sa.text("""
    update sync_queue set held_until = clock_timestamp(),
        not_before = clock_timestamp() + make_interval(secs => :delay)
    where run_id = :run
""")


def steady_seconds() -> float:
    """Return a clock that nobody sets, and that goes on while the machine sleeps where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease lasts and how often it is renewed, in seconds."""

    lease: float = 30.0
    renew: float = 8.0


class Hold:
    """The lease of one claimed run (port `Lease`), and its fenced transactions."""

    def __init__(
        self,
        database: Database,
        command: RunSync,
        *,
        fence: int,
        claimed_at: float,
        started_at: datetime,
        times: LeaseTimes,
        clock: Clock,
    ) -> None:
        """Prepare.

        Args:
            claimed_at: `steady_seconds` from before the claim: the lease certainly lasts its time from
            then on.
        """
        self.command = command
        self.fence = fence
        self.started_at = started_at
        self._database, self._times, self._clock = database, times, clock
        self._ends = claimed_at + times.lease
        self._lock = asyncio.Lock()
        self._said_at = 0.0

    def remaining(self) -> float:
        """Return for how many seconds the lease is certainly held."""
        return self._ends - steady_seconds()

    async def renew(self) -> None:
        """Prolong the lease; raises `LeaseLost`, or `RunCancelled` when the run is to stop."""
        async with self.fenced() as connection:
            run = {"run": self.command.run_id}
            await connection.execute(_HELD, run | {"lease": self._times.lease})
            cancelled = (await connection.execute(_CANCELLED, run)).scalar_one()
        if cancelled:
            raise RunCancelled

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator[AsyncConnection]:
        """Run one transaction of the holder, which prolongs the lease; raises `LeaseLost`."""
        async with self._lock:
            before = steady_seconds()
            async with self._database.transaction([self.command.tenant_id]) as connection:
                held = await connection.execute(
                    _FENCE,
                    {
                        "lease": self._times.lease,
                        "connection": self.command.connection_id,
                        "fence": self.fence,
                        "idle": str(IDLE_MS),
                    },
                )
                if held.first() is None:
                    self._ends = 0.0
                    raise LeaseLost
                yield connection
            self._ends = before + self._times.lease

    async def advance(self, connection: AsyncConnection, report: Report) -> bool:
        """Store how far the run is, and say it where the last time was long enough ago; return whether
        to stop.
        """
        saying = steady_seconds() - self._said_at >= PROGRESS_SECONDS
        counts = report.tally.counts()
        row = (
            await connection.execute(
                _ADVANCE,
                {
                    "counts": msgspec.json.encode(counts),
                    "step": int(saying),
                    "run": self.command.run_id,
                    "attempt": self.command.attempt,
                },
            )
        ).first()
        if row is None:  # the run was dropped: its connection was disconnected or erased, or tried anew
            raise LeaseLost
        if saying:
            message = run_message(
                self.command,
                state=RunState.RUNNING,
                sequence=row.sequence,
                at=self._clock.now(),
                counts=counts,
                started_at=self.started_at,
                progress=report.progress,
            )
            await enqueue(connection, [message])
            self._said_at = steady_seconds()
        return bool(row.cancel_requested)

    async def finish(
        self,
        state: RunState,
        report: Report,
        *,
        error: RunError | None = None,
        coverage: tuple[Coverage, ...] | None = (),
        days: tuple[CoveredDays, ...] = (),
        also: Sequence[OutMessage] = (),
    ) -> None:
        """End the run, say so with the connection's whole coverage and the dates that a file covered, and
        let the lease go; raises `LeaseLost`.
        """
        now, counts = self._clock.now(), report.tally.counts()
        async with self.fenced() as connection:
            values = {"run": self.command.run_id, "attempt": self.command.attempt}
            ended = {"state": state.value, "counts": msgspec.json.encode(counts), "at": now}
            sequence = (await connection.execute(_FINISH, values | ended)).scalar_one_or_none()
            if sequence is None:
                raise LeaseLost
            message = run_message(
                self.command,
                state=state,
                sequence=sequence,
                at=now,
                counts=counts,
                started_at=self.started_at,
                finished_at=now,
                progress=1.0 if state is RunState.SUCCEEDED else report.progress,
                error=error,
                coverage=coverage,
                days=days,
                nothing_found=report.nothing_found,
            )
            await enqueue(connection, [message, *also])
            await connection.execute(_UNQUEUE, {"run": self.command.run_id})
            await self._let_go(connection, finished=state is RunState.SUCCEEDED)
        self._ends = 0.0

    async def put_back(self, delay: float, *, waits_for: WaitsFor | None = None) -> None:
        """Give the run back to the queue, for any process to resume after `delay` seconds, and say what it
        `waits_for`; raises `LeaseLost`.
        """
        async with self.fenced() as connection:
            if waits_for is not None:
                await self._say_waiting(connection, waits_for)
            await connection.execute(_PUT_BACK, {"run": self.command.run_id, "delay": delay})
            await self._let_go(connection, finished=False)
        self._ends = 0.0

    async def _say_waiting(self, connection: AsyncConnection, waits_for: WaitsFor) -> None:
        values = {
            "run": self.command.run_id,
            "attempt": self.command.attempt,
            "waits_for": waits_for.value,
        }
        row = (await connection.execute(_WAITS, values)).first()
        if row is None:
            raise LeaseLost
        message = run_message(
            self.command,
            state=RunState.RUNNING,
            sequence=row.sequence,
            at=self._clock.now(),
            counts=RunCounts() if row.counts is None else msgspec.json.decode(row.counts, type=RunCounts),
            started_at=self.started_at,
            waits_for=waits_for,
        )
        await enqueue(connection, [message])

    async def _let_go(self, connection: AsyncConnection, *, finished: bool) -> None:
        values = {"connection": self.command.connection_id, "fence": self.fence, "finished": finished}
        await connection.execute(_RELEASE, values)
