"""The connections that this service serves, and the commands it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.codec import decoder
from suppli_contracts.events.connections import ConnectionChanged, ConnectionState
from suppli_contracts.events.sync import CancelSync, RunCounts, RunKind, RunState, RunSync
from suppli_contracts.internal import SetAsideOrder
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.outbox import enqueue

from suppli_connector_kit.adapters.queue import LOWEST, PRIORITIES
from suppli_connector_kit.adapters.says import run_message
from suppli_connector_kit.adapters.token_times import GIVE_UP_AFTER
from suppli_connector_kit.domain.changes import reads_differently, to_read_again
from suppli_connector_kit.domain.freshness import fresh_within
from suppli_connector_kit.metrics import DROPPED

_ERASED = sa.text("select 1 from erased where connection_id = :connection")
_STORED = sa.text("select body from connections where connection_id = :connection for update")
_STORE = sa.text("""
    insert into connections (connection_id, tenant_id, revision, body)
    values (:connection, :tenant, :revision, :body)
    on conflict (connection_id) do update set revision = excluded.revision, body = excluded.body
    where connections.revision < excluded.revision
    returning revision
""")
_TIMES = sa.text("""
    insert into connection_times (connection_id, tenant_id, active, fresh_within, due_since)
    values (:connection, :tenant, :active, cast(:within as interval), cast(:at as timestamptz))
    on conflict (connection_id) do update
    set active = excluded.active, fresh_within = excluded.fresh_within,
        due_since = case when connection_times.fresh_within is distinct from excluded.fresh_within
            then excluded.due_since else connection_times.due_since end
""")
_REVOKE = sa.text("""
    update connection_times set revoke_at = :at, revoke_until = cast(:at as timestamptz) + :patience,
        refresh_at = null
    where connection_id = :connection
""")
_WAKE = sa.text("""
    update sync_queue set not_before = clock_timestamp() where connection_id = :connection
""")
_RAISE_FENCE = sa.text("""
    update leases set fence = fence + 1, expires_at = clock_timestamp() where connection_id = :connection
""")
_REQUEUE = sa.text("""
    update sync_queue set held_until = clock_timestamp() where connection_id = :connection
""")
_READ_AGAIN = (
    "delete from coverage "
    "where connection_id = :connection and location_id = :location and from_us >= :since",
    "update coverage set to_us = :since "
    "where connection_id = :connection and location_id = :location and to_us > :since",
)
_DROP_RUNS = sa.text("""
    update runs set state = 'cancelled', sequence = sequence + 1, finished_at = :at
    where connection_id = :connection and state in ('queued', 'running') returning command, sequence, counts
""")
_UNQUEUE_ALL = sa.text("delete from sync_queue where connection_id = :connection")
_MARK = sa.text("""
    insert into erased (connection_id, tenant_id) values (:connection, :tenant) on conflict do nothing
""")
_ERASE = (
    "order_hashes",
    "coverage",
    "set_aside",
    "catalog_items",
    "catalog_state",
    "exchanges",
    "runs",
    "connections",
    "sync_queue",
)
_ADD_RUN = sa.text("""
    insert into runs (run_id, tenant_id, connection_id, attempt, state, command)
    values (:run, :tenant, :connection, :attempt, 'queued', :command)
    on conflict (run_id) do update
    set attempt = excluded.attempt, state = 'queued', command = excluded.command, sequence = 0,
        counts = null, started_at = null, finished_at = null
    where runs.attempt < excluded.attempt and not runs.cancel_requested
    returning run_id
""")
_ADD_TO_QUEUE = sa.text("""
    insert into sync_queue (run_id, connection_id, tenant_id, priority, requested_at)
    values (:run, :connection, :tenant, :priority, :at)
    on conflict (run_id) do update set priority = excluded.priority, not_before = clock_timestamp()
""")
_ASKED = sa.text("select command, state from runs where run_id = :run and attempt = :attempt")
_ASK_MORE = sa.text("update runs set command = :command where run_id = :run")
_PROMOTE = sa.text("""
    update sync_queue set priority = least(priority, cast(:priority as smallint)) where run_id = :run
""")
_CANCEL = sa.text("update runs set cancel_requested = true where run_id = :run returning state")
_SET_ASIDE = sa.text("""
    select order_id, location_id, reason, field_path, normaliser_revision, since from set_aside
    where connection_id = :connection order by since, order_id limit 1000
""")


class ConnectionBook:
    """Stores connections and commands; each method is one part of its caller's transaction."""

    def __init__(self, database: Database, *, provider: str, clock: Clock) -> None:
        self._database, self._provider, self._clock = database, provider, clock

    async def store_connections(self, events: Sequence[ConnectionChanged]) -> list[ConnectionChanged]:
        """Store the events that are newer than what is known; return those."""
        mine = [event for event in events if event.provider == self._provider]
        async with self._database.transaction({event.tenant_id for event in mine}) as connection:
            return [event for event in mine if await self._store(connection, event)]

    async def store_commands(self, events: Sequence[RunSync | CancelSync]) -> int:
        """Store runs by their ids, and cancellations; return how many runs are new."""
        added = 0
        async with self._database.transaction({event.tenant_id for event in events}) as connection:
            for event in events:
                if await self._is_erased(connection, event.connection_id):
                    DROPPED.labels("erased").inc()
                elif isinstance(event, RunSync):
                    added += await self._add_run(connection, event)
                else:
                    await connection.execute(_CANCEL, {"run": event.run_id})
                    await connection.execute(_WAKE, {"connection": event.connection_id})
        return added

    async def drop_runs(self, tenant_id: UUID, connection_id: UUID) -> None:
        """Raise the connection's fence and end its runs: nothing more is read or recorded for it."""
        async with self._database.transaction([tenant_id]) as connection:
            await self._drop_runs(connection, connection_id)

    async def connection(self, tenant_id: UUID, connection_id: UUID) -> ConnectionChanged | None:
        """Return a connection as it was last said."""
        async with self._database.transaction([tenant_id]) as connection:
            row = (await connection.execute(_STORED, {"connection": connection_id})).first()
        return None if row is None else decoder(ConnectionChanged).decode(row.body)

    async def set_aside(self, tenant_id: UUID, connection_id: UUID) -> tuple[SetAsideOrder, ...]:
        """Return the orders that wait for a better reading, oldest first, at most 1,000."""
        async with self._database.transaction([tenant_id]) as connection:
            rows = (await connection.execute(_SET_ASIDE, {"connection": connection_id})).mappings().all()
        return tuple(SetAsideOrder(**row) for row in rows)

    async def _store(self, connection: AsyncConnection, event: ConnectionChanged) -> bool:
        ids: dict[str, Any] = {"connection": event.connection_id, "tenant": event.tenant_id}
        if await self._is_erased(connection, event.connection_id):
            DROPPED.labels("erased").inc()
            return False
        row = (await connection.execute(_STORED, ids)).first()
        body = {"revision": event.revision, "body": msgspec.json.encode(event)}
        if (await connection.execute(_STORE, ids | body)).first() is None:
            return False
        active = event.state not in (ConnectionState.DISCONNECTED, ConnectionState.PENDING)
        times = {"active": active, "within": fresh_within(event), "at": self._clock.now()}
        await connection.execute(_TIMES, ids | times)
        if event.state is ConnectionState.DISCONNECTED:
            await self._drop_runs(connection, event.connection_id)
            at = event.disconnected_at or event.changed_at
            await connection.execute(_REVOKE, ids | {"at": at, "patience": GIVE_UP_AFTER})
            if event.erase:
                await self._erase(connection, ids)
            return True
        if row is not None:
            await self._apply(connection, decoder(ConnectionChanged).decode(row.body), event)
        await connection.execute(_WAKE, ids)
        return True

    async def _apply(
        self, connection: AsyncConnection, old: ConnectionChanged, new: ConnectionChanged
    ) -> None:
        """Take changed settings into what is read: a run under way resumes with them, under a new fence."""
        ids = {"connection": new.connection_id}
        if reads_differently(old, new):
            await connection.execute(_RAISE_FENCE, ids)
            await connection.execute(_REQUEUE, ids)
        for location, since in to_read_again(old, new).items():
            for statement in _READ_AGAIN:
                await connection.execute(sa.text(statement), ids | {"location": location, "since": since})

    async def _drop_runs(self, connection: AsyncConnection, connection_id: UUID) -> None:
        ids, now = {"connection": connection_id}, self._clock.now()
        await connection.execute(_RAISE_FENCE, ids)
        messages = [
            run_message(
                decoder(RunSync).decode(command),
                state=RunState.CANCELLED,
                sequence=sequence,
                at=now,
                counts=msgspec.json.decode(counts, type=RunCounts) if counts else RunCounts(),
                finished_at=now,
            )
            for command, sequence, counts in await connection.execute(_DROP_RUNS, ids | {"at": now})
        ]
        await enqueue(connection, messages)
        await connection.execute(_UNQUEUE_ALL, ids)

    async def _erase(self, connection: AsyncConnection, ids: dict[str, Any]) -> None:
        await connection.execute(_MARK, ids)
        for table in _ERASE:
            await connection.execute(sa.text(f"delete from {table} where connection_id = :connection"), ids)

    async def _is_erased(self, connection: AsyncConnection, connection_id: UUID) -> bool:
        return (await connection.execute(_ERASED, {"connection": connection_id})).first() is not None

    async def _add_run(self, connection: AsyncConnection, command: RunSync) -> int:
        priority = PRIORITIES.get(command.kind, LOWEST)
        values = {
            "run": command.run_id,
            "tenant": command.tenant_id,
            "connection": command.connection_id,
            "attempt": command.attempt,
            "command": msgspec.json.encode(command),
            "priority": priority,
            "at": command.requested_at,
        }
        if (await connection.execute(_ADD_RUN, values)).first() is None:
            await connection.execute(_PROMOTE, {"run": command.run_id, "priority": priority})
            return await self._ask_more(connection, command, values)
        await connection.execute(_ADD_TO_QUEUE, values)
        return 1

    async def _ask_more(self, connection: AsyncConnection, command: RunSync, values: dict[str, Any]) -> int:
        """Take a republish into a run that was commanded without it; one under way resumes with it, under a
        new fence. Return whether there is something new to do.
        """
        row = (await connection.execute(_ASKED, values)).first()
        if row is None or command.kind is not RunKind.REPUBLISH or row.state not in ("queued", "running"):
            return 0
        if decoder(RunSync).decode(row.command).republish == command.republish:
            return 0
        await connection.execute(_ASK_MORE, values)
        if row.state == "running":
            await connection.execute(_RAISE_FENCE, values)
            await connection.execute(_REQUEUE, values)
        return 1
