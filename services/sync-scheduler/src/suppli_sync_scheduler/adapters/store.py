"""Connections, runs and due times in PostgreSQL, within one transaction.

What is saved is written together when the transaction's work is done, however many connections it is for:
claiming a due connection then costs its share of a few statements instead of a dozen round trips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState, Schedule
from suppli_contracts.events.sync import Republish, RunError, RunKind, RunState

from suppli_sync_scheduler.domain.connections import Connection
from suppli_sync_scheduler.domain.runs import Lane, Run

# Columns with their types in PostgreSQL.
_CONNECTION = {
    "connection_id": "uuid",
    "tenant_id": "uuid",
    "provider": "text",
    "revision": "bigint",
    "state": "text",
    "changed_at": "timestamptz",
    "schedule": "jsonb",
    "start_date": "date",
    "deleted": "boolean",
    "blocked_revision": "bigint",
    "planned_at": "timestamptz",
    "sweep_at": "timestamptz",
    "said_due_at": "timestamptz",
    "said_revision": "bigint",
}
_RUN = {
    "run_id": "uuid",
    "connection_id": "uuid",
    "tenant_id": "uuid",
    "provider": "text",
    "kind": "text",
    "state": "text",
    "attempt": "integer",
    "sequence": "bigint",
    "settings_revision": "bigint",
    "follow_up": "boolean",
    "requested_at": "timestamptz",
    "commanded_at": "timestamptz",
    "next_attempt_at": "timestamptz",
    "cancel_requested_at": "timestamptz",
    "started_at": "timestamptz",
    "finished_at": "timestamptz",
    "error": "jsonb",
    "republish": "jsonb",
}
_DUE = {"kind": "text", "id": "uuid", "connection_id": "uuid", "tenant_id": "uuid", "due_at": "timestamptz"}


def _upsert(table: str, columns: Mapping[str, str], key: tuple[str, ...]) -> str:
    """Return the statement that writes all of `:rows`, a JSON list of objects, in its sequence.

    JSON and not an array a column: msgspec encodes the records as they are, several times faster than
    psycopg the arrays.
    """
    names = ", ".join(columns)
    types = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    return (
        f"insert into {table} ({names}) select {names}"
        f" from json_to_recordset(cast(:rows as json)) as rows ({types})"
        f" on conflict ({', '.join(key)}) do update set {updates}"
    )


_LOCK = sa.text(
    f"select {', '.join(_CONNECTION)} from connections"
    " where connection_id = any(:ids) order by connection_id for update"
)
_CLAIM = sa.text(
    f"select {', '.join(_CONNECTION)} from connections"
    " where connection_id = any(:ids) order by connection_id for update skip locked"
)
_READ = sa.text(f"select {', '.join(_CONNECTION)} from connections where connection_id = :id")
_OPEN_RUNS = sa.text(
    f"select {', '.join(_RUN)} from runs"
    " where connection_id = any(:ids) and state in ('queued', 'running') order by requested_at"
)
_ONE_RUN = sa.text(f"select {', '.join(_RUN)} from runs where run_id = :id")
_SAVE_CONNECTIONS = sa.text(
    _upsert("connections", _CONNECTION, ("connection_id",))
    + " where connections.revision <= excluded.revision"
)
_SAVE_RUNS = sa.text(_upsert("runs", _RUN, ("run_id",)))
_SET_DUE = sa.text(_upsert("due", _DUE, ("kind", "id")))
_CLEAR_DUE = sa.text(
    "delete from due using json_to_recordset(cast(:rows as json)) as gone (kind text, id uuid)"
    " where due.kind = gone.kind and due.id = gone.id"
)
_DUE_OF = sa.text(
    "select connection_id, kind, id from due where connection_id = any(:ids) and due_at <= :now"
    " order by kind desc"
)
_FORGET_DUE = sa.text("delete from due where connection_id = any(:ids)")
_FORGET_RUNS = sa.text("delete from runs where connection_id = any(:ids)")
_PRUNE = sa.text("delete from runs where connection_id = any(:ids) and finished_at < :before")
_PEEK = sa.text("select connection_id, tenant_id from due where due_at <= :now order by due_at limit :limit")
_BACKLOG = sa.text("select count(*), min(due_at) from due where due_at <= :now")


@dataclass(frozen=True, slots=True)
class Due:
    """A time that has come: of a connection (`sync`, `sweep`) or of a run (`run`)."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class _Time:
    """A row of the due queue; without `due_at` there is to be none."""

    kind: str
    id: UUID
    connection_id: UUID
    tenant_id: UUID
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class DueConnection:
    """A connection with something due, as the due queue tells it."""

    connection_id: UUID
    tenant_id: UUID


class Store:
    """The tables, as the tenants of a transaction see them. A connection's row lock guards all it owns.

    What is saved is kept until `flush`; reading before it does not see it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._db = connection
        self._connections: dict[UUID, Connection] = {}
        self._runs: dict[UUID, Run] = {}
        self._times: dict[tuple[str, UUID], _Time] = {}
        self._ended: set[UUID] = set()
        self._erased: set[UUID] = set()

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Connection]:
        """Lock connections in one order, waiting for whoever holds them; unknown ones are left out."""
        rows = await self._db.execute(_LOCK, {"ids": list(ids)})
        return {row.connection_id: _connection(row) for row in rows}

    async def claim(self, ids: Iterable[UUID]) -> list[Connection]:
        """Lock connections; those that are unknown or that another process is at are left out."""
        return [_connection(row) for row in await self._db.execute(_CLAIM, {"ids": list(ids)})]

    async def connection(self, connection_id: UUID) -> Connection | None:
        """Read a connection without locking it."""
        row = (await self._db.execute(_READ, {"id": connection_id})).one_or_none()
        return None if row is None else _connection(row)

    async def lanes(self, ids: Iterable[UUID]) -> dict[UUID, Lane]:
        """Return what each connection has open; those without anything are left out."""
        lanes: dict[UUID, Lane] = {}
        for row in await self._db.execute(_OPEN_RUNS, {"ids": list(ids)}):
            run, lane = _run(row), lanes.get(row.connection_id, Lane())
            lanes[run.connection_id] = Lane(lane.active, run) if run.follow_up else Lane(run, lane.follow_up)
        return lanes

    async def run(self, run_id: UUID) -> Run | None:
        """Return a run, open or ended."""
        row = (await self._db.execute(_ONE_RUN, {"id": run_id})).one_or_none()
        return None if row is None else _run(row)

    async def due_of(self, ids: Iterable[UUID], now: datetime) -> dict[UUID, list[Due]]:
        """Return what is due of each connection: its own times before its runs'."""
        found: dict[UUID, list[Due]] = {}
        for row in await self._db.execute(_DUE_OF, {"ids": list(ids), "now": now}):
            found.setdefault(row.connection_id, []).append(Due(row.kind, row.id))
        return found

    def save_connection(self, connection: Connection) -> None:
        """Write a connection and its two due times at the next `flush`."""
        key = connection.connection_id
        self._connections[key] = connection
        self._set_time("sync", key, connection, connection.next_due_at)
        self._set_time("sweep", key, connection, connection.next_sweep_at)

    def save_run(self, run: Run, *, timer: datetime | None) -> None:
        """Write a run, and when to look at it again, at the next `flush`."""
        self._runs.pop(run.run_id, None)  # runs are written as they were saved: one ends, the next begins
        self._runs[run.run_id] = run
        self._set_time("run", run.run_id, run, timer)
        if run.ended:
            self._ended.add(run.connection_id)

    def erase(self, connection_id: UUID) -> None:
        """Delete the runs and due times of a connection at the next `flush`; its row stays as a marker."""
        self._erased.add(connection_id)

    async def flush(self, *, ended_before: datetime) -> None:
        """Write what was saved.

        Args:
            ended_before: of connections with a run that ended, runs that ended before this are deleted.
        """
        if self._connections:
            await self._db.execute(_SAVE_CONNECTIONS, _rows(self._connections.values()))
        if self._runs:
            await self._db.execute(_SAVE_RUNS, _rows(self._runs.values()))
        if gone := [time for time in self._times.values() if time.due_at is None]:
            await self._db.execute(_CLEAR_DUE, _rows(gone))
        if coming := [time for time in self._times.values() if time.due_at is not None]:
            await self._db.execute(_SET_DUE, _rows(coming))
        if self._ended:
            await self._db.execute(_PRUNE, {"ids": list(self._ended), "before": ended_before})
        if self._erased:
            await self._db.execute(_FORGET_DUE, {"ids": list(self._erased)})
            await self._db.execute(_FORGET_RUNS, {"ids": list(self._erased)})
        for saved in (self._connections, self._runs, self._times, self._ended, self._erased):
            saved.clear()

    def _set_time(self, kind: str, key: UUID, owner: Connection | Run, at: datetime | None) -> None:
        self._times[kind, key] = _Time(kind, key, owner.connection_id, owner.tenant_id, at)


async def peek_due(connection: AsyncConnection, now: datetime, limit: int) -> list[DueConnection]:
    """Return the connections of the `limit` times that have waited longest; any role that sees the queue may
    ask.
    """
    rows = await connection.execute(_PEEK, {"now": now, "limit": limit})
    return list(dict.fromkeys(DueConnection(row.connection_id, row.tenant_id) for row in rows))


async def due_backlog(connection: AsyncConnection, now: datetime) -> tuple[int, float]:
    """Return how many times have come and wait, and for how long the oldest does (seconds)."""
    count, oldest = (await connection.execute(_BACKLOG, {"now": now})).one()
    return int(count), 0.0 if oldest is None else (now - oldest).total_seconds()


def _rows(records: Iterable[Connection | Run | _Time]) -> dict[str, str]:
    return {"rows": msgspec.json.encode(list(records)).decode()}


def _connection(row: sa.Row[Any]) -> Connection:
    values = {name: getattr(row, name) for name in _CONNECTION}
    values["state"] = ConnectionState(values["state"])
    values["schedule"] = msgspec.convert(values["schedule"], Schedule)
    return Connection(**values)


def _run(row: sa.Row[Any]) -> Run:
    values = {name: getattr(row, name) for name in _RUN}
    values["kind"], values["state"] = RunKind(values["kind"]), RunState(values["state"])
    for name, model in (("error", RunError), ("republish", Republish)):
        values[name] = None if values[name] is None else msgspec.convert(values[name], model)
    return Run(**values)
