"""What happens when an event arrives, a time comes or somebody asks: one transaction each.

Each method locks its connections, asks the domain what follows, and writes state and messages together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events import ConnectionChanged, ReauthRequired, SyncRunChanged
from suppli_contracts.events.sync import ErrorClass, RunKind, RunState
from suppli_contracts.internal import RunRequest
from suppli_service_kit.clock import Clock
from suppli_service_kit.ids import new_id
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.outbox import enqueue

from suppli_sync_scheduler import metrics, speech
from suppli_sync_scheduler.adapters.store import Due, Store
from suppli_sync_scheduler.domain import plan, runs
from suppli_sync_scheduler.domain.connections import Connection, block, copy_of, refusal
from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.domain.runs import Decision, Lane, Requested, Run


class _Work:
    """One transaction's state: what is stored through it is also said through it, when it is finished."""

    def __init__(self, database: AsyncConnection, policy: Policy, now: datetime) -> None:
        self.store = Store(database)
        self.now = now
        self._database = database
        self._policy = policy
        self._messages: list[OutMessage] = []
        self._lanes: dict[UUID, Lane] = {}

    async def lock(self, connections: Iterable[UUID]) -> dict[UUID, Connection]:
        """Lock connections and read what they have open."""
        known = await self.store.lock(connections)
        await self.read_lanes(known)
        return known

    async def read_lanes(self, connections: Iterable[UUID]) -> None:
        self._lanes |= await self.store.lanes(connections)

    def lane(self, connection_id: UUID) -> Lane:
        """Return what a connection, whose lanes were read, has open by now."""
        return self._lanes.get(connection_id, Lane())

    def carry_out(self, decision: Decision) -> None:
        for run in decision.save:
            timer = runs.deadline(run, now=self.now, silent_after=self._policy.silent_after)
            self.store.save_run(run, timer=timer)
            self._lanes[run.connection_id] = self.lane(run.connection_id).after(run)
            if run.ended:
                metrics.RUNS.labels(run.kind.value, run.state.value).inc()
        if decision.silent:
            metrics.SILENT_RUNS.inc()
        self._messages += speech.messages_of(decision, now=self.now)

    def keep(self, connection: Connection) -> Connection:
        """Store a connection and say its next due time where that moved; return it as stored."""
        if connection.next_due_at != connection.said_due_at:
            connection = replace(
                connection, said_due_at=connection.next_due_at, said_revision=connection.said_revision + 1
            )
            self._messages.append(speech.next_sync(connection, now=self.now))
        self.store.save_connection(connection)
        return connection

    async def finish(self) -> None:
        await self.store.flush(ended_before=self.now - runs.KEPT)
        await enqueue(self._database, self._messages)


class NotKnown(Exception):
    """The connection or run is not known to this tenant here."""


class Refused(Exception):
    """A run may not be started now; says why, and what to do."""

    def __init__(self, slug: str, title: str, detail: str) -> None:
        super().__init__(slug)
        self.slug, self.title, self.detail = slug, title, detail


class Scheduler:
    """The service's work. `chance` gives random numbers (0 <= x < 1) for the back-off."""

    def __init__(self, policy: Policy, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self._policy = policy
        self._clock = clock
        self._chance = chance

    async def connections_changed(
        self, database: AsyncConnection, events: Sequence[ConnectionChanged]
    ) -> None:
        """Take over newer settings: plan, stop, or start again; one that is repeated changes nothing.

        Raises:
            BadSchedule: a schedule that names no time.
        """
        work = self._work(database)
        known = await work.lock({event.connection_id for event in events})
        for event in events:
            before = known.get(event.connection_id)
            after = copy_of(before, event)
            if after is None:
                continue
            after = plan.replanned(before, after, now=work.now, policy=self._policy)
            known[after.connection_id] = work.keep(after)
            if after.stopped:
                lane = work.lane(after.connection_id)
                work.carry_out(runs.stop_all(lane, now=work.now, revision=after.revision))
            if event.erase or event.deleted:
                work.store.erase(after.connection_id)
        await work.finish()

    async def runs_changed(
        self, database: AsyncConnection, events: Sequence[SyncRunChanged | ReauthRequired]
    ) -> None:
        """Take in what connectors say of runs; stale, repeated and unknown ones change nothing."""
        work = self._work(database)
        known = await work.lock({event.connection_id for event in events})
        for event in events:
            connection = known.get(event.connection_id)
            if connection is None or connection.tenant_id != event.tenant_id:
                continue
            if isinstance(event, ReauthRequired):
                found = event.works_until is None or event.works_until <= work.now
            else:
                found = self._hear(work, event)
            if found:
                known[event.connection_id] = self._block(work, connection, event.at)
        await work.finish()

    async def times_came(
        self, database: AsyncConnection, connections: Iterable[UUID], *, late_before: datetime | None = None
    ) -> int:
        """Do what is due of connections, and return of how many: of others nothing is due any more, or
        another replica is at them.

        Args:
            database: a transaction of the connections' tenants.
            connections: as the due queue told.
            late_before: after a downtime: times before this move to the connection's own moment from now.
        """
        work = self._work(database)
        claimed = await work.store.claim(connections)
        ids = [connection.connection_id for connection in claimed]
        due = await work.store.due_of(ids, work.now)
        await work.read_lanes(due)
        done = 0
        for connection in claimed:
            times = due.get(connection.connection_id, [])
            done += self._times_of(work, connection, times, late_before)
        await work.finish()
        return done

    async def request(
        self, database: AsyncConnection, connection_id: UUID, tenant_id: UUID, asked: RunRequest
    ) -> Requested:
        """Start a run for somebody who asks, promote the queued one, or book one follow-up.

        Raises:
            NotKnown: the connection is not known here (yet).
            Refused: paused, disconnected, not finished, the provider must be authorized again, or what is to
            be republished does not fit into the run that waits.
        """
        work = self._work(database)
        connection = (await work.lock([connection_id])).get(connection_id)
        if connection is None or connection.tenant_id != tenant_id:
            raise NotKnown(str(connection_id))
        refused = refusal(connection, settings_revision=asked.settings_revision)
        if refused is not None:
            raise Refused(refused.slug, refused.title, refused.detail)
        wanted = replace(
            self._new_run(connection, asked.kind, work.now, asked.settings_revision),
            republish=asked.republish,
        )
        try:
            requested = runs.request(work.lane(connection_id), wanted, now=work.now)
        except runs.NoRoom as error:
            raise Refused(
                "republish-waiting",
                "Another republish waits",
                f"It cannot take this one too: {error}. Wait until it has begun, or cancel it.",
            ) from None
        work.carry_out(requested.decision)
        await work.finish()
        return requested

    async def cancel(self, database: AsyncConnection, run_id: UUID, tenant_id: UUID) -> Run:
        """Stop a run; one that has ended stays as it is.

        Raises:
            NotKnown: there is no such run of this tenant.
        """
        work = self._work(database)
        run = await work.store.run(run_id)
        if run is None or run.tenant_id != tenant_id:
            raise NotKnown(str(run_id))
        await work.lock([run.connection_id])
        decision = runs.cancel(work.lane(run.connection_id), run_id, now=work.now)
        work.carry_out(decision)
        await work.finish()
        return await work.store.run(run_id) or run

    async def next_due_at(self, database: AsyncConnection, connection_id: UUID) -> datetime | None:
        """Return when a connection is due next by itself, None = not.

        Raises:
            NotKnown: there is no such connection of this tenant.
        """
        connection = await Store(database).connection(connection_id)
        if connection is None:
            raise NotKnown(str(connection_id))
        return connection.next_due_at

    def _work(self, database: AsyncConnection) -> _Work:
        return _Work(database, self._policy, self._clock.now())

    def _times_of(
        self, work: _Work, connection: Connection, due: Sequence[Due], late_before: datetime | None
    ) -> bool:
        """Do what is due of one connection; return whether anything was."""
        if late_before is not None and due:
            moved = plan.caught_up(connection, now=work.now, policy=self._policy, late_before=late_before)
            if moved != connection:
                connection = work.keep(moved)
        for item in due:
            if item.kind == "run":
                work.carry_out(runs.tick(work.lane(connection.connection_id), item.id, now=work.now))
            elif connection.is_due(work.now, sweep=item.kind == "sweep"):
                connection = self._own_time(work, connection, sweep=item.kind == "sweep")
            else:  # moved meanwhile; the queue is told its times anew, or it would show them for ever
                connection = work.keep(connection)
        return bool(due)

    def _own_time(self, work: _Work, connection: Connection, *, sweep: bool) -> Connection:
        lane = work.lane(connection.connection_id)
        kind = RunKind.SWEEP if sweep else RunKind.SCHEDULED
        wanted = self._new_run(connection, kind, work.now)
        if sweep:
            busy = lane.active is not None
            after = plan.after_sweep(connection, now=work.now, policy=self._policy, busy=busy)
            decision = runs.NOTHING if busy else runs.fall_due(lane, wanted, now=work.now)
        else:
            after = plan.after_due(connection, now=work.now, policy=self._policy)
            decision = runs.fall_due(lane, wanted, now=work.now)
        after = work.keep(after)
        work.carry_out(decision)
        return after

    def _hear(self, work: _Work, event: SyncRunChanged) -> bool:
        """Take in one event; return whether it says that the provider refuses us."""
        lane = work.lane(event.connection_id)
        decision = runs.hear(lane, event, now=work.now, policy=self._policy.retry, chance=self._chance())
        if decision is None:
            return False
        work.carry_out(decision)
        failed = event.state == RunState.FAILED and event.error is not None
        return failed and event.error is not None and event.error.error_class == ErrorClass.AUTH

    def _block(self, work: _Work, connection: Connection, found_at: datetime) -> Connection:
        blocked = block(connection, found_at=found_at)
        if blocked == connection:
            return connection
        blocked = work.keep(blocked)
        work.carry_out(runs.hold(work.lane(connection.connection_id), now=work.now))
        return blocked

    @staticmethod
    def _new_run(connection: Connection, kind: RunKind, now: datetime, settings_revision: int = 0) -> Run:
        return Run(
            run_id=new_id(),
            connection_id=connection.connection_id,
            tenant_id=connection.tenant_id,
            provider=connection.provider,
            kind=kind,
            requested_at=now,
            settings_revision=max(connection.revision, settings_revision),
        )
