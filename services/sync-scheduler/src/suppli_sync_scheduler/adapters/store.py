"""Connections, runs and due times in PostgreSQL, within one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState, Schedule
from suppli_contracts.events.sync import RunError, RunKind, RunState

from suppli_sync_scheduler.domain.connections import Connection
from suppli_sync_scheduler.domain.runs import Lane, Run

_CONNECTION = (
    "connection_id",
    "tenant_id",
    "provider",
    "revision",
    "state",
    "changed_at",
    "schedule",
    "start_date",
    "deleted",
    "blocked_revision",
    "planned_at",
    "sweep_at",
    "said_due_at",
    "said_revision",
)
_RUN = (
    "run_id",
    "connection_id",
    "tenant_id",
    "provider",
    "kind",
    "state",
    "attempt",
    "sequence",
    "settings_revision",
    "follow_up",
    "requested_at",
    "commanded_at",
    "next_attempt_at",
    "cancel_requested_at",
    "started_at",
    "finished_at",
    "error",
)
_JSON = frozenset({"schedule", "error"})


def _upsert(table: str, columns: tuple[str, ...], key: str) -> sa.TextClause:
    values = ", ".join(f"cast(:{name} as jsonb)" if name in _JSON else f":{name}" for name in columns)
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != key)
    return sa.text(
        f"insert into {table} ({', '.join(columns)}) values ({values})"
        f" on conflict ({key}) do update set {updates}"
    )


_LOCK = sa.text(
    f"select {', '.join(_CONNECTION)} from connections"
    " where connection_id = any(:ids) order by connection_id for update"
)
_CLAIM = sa.text(
    f"select {', '.join(_CONNECTION)} from connections where connection_id = :id for update skip locked"
)
_READ = sa.text(f"select {', '.join(_CONNECTION)} from connections where connection_id = :id")
_OPEN_RUNS = sa.text(
    f"select {', '.join(_RUN)} from runs"
    " where connection_id = any(:ids) and state in ('queued', 'running') order by requested_at"
)
_ONE_RUN = sa.text(f"select {', '.join(_RUN)} from runs where run_id = :id")
_SAVE_CONNECTION = sa.text(
    f"{_upsert('connections', _CONNECTION, 'connection_id')} where connections.revision <= excluded.revision"
)
_SAVE_RUN = _upsert("runs", _RUN, "run_id")
_SET_DUE = sa.text(
    "insert into due (kind, id, connection_id, tenant_id, due_at)"
    " values (:kind, :id, :connection_id, :tenant_id, :at)"
    " on conflict (kind, id) do update set due_at = excluded.due_at"
)
_CLEAR_DUE = sa.text("delete from due where kind = :kind and id = :id")
_DUE_OF = sa.text("select kind, id from due where connection_id = :id and due_at <= :now order by kind desc")
_FORGET_DUE = sa.text("delete from due where connection_id = :id")
_FORGET_RUNS = sa.text("delete from runs where connection_id = :id")
_PRUNE = sa.text("delete from runs where connection_id = :id and finished_at < :before")
_PEEK = sa.text(
    "select connection_id, tenant_id, min(due_at) as first from due where due_at <= :now"
    " group by connection_id, tenant_id order by first limit :limit"
)
_BACKLOG = sa.text("select count(*), min(due_at) from due where due_at <= :now")


@dataclass(frozen=True, slots=True)
class Due:
    """A time that has come: of a connection (`sync`, `sweep`) or of a run (`run`)."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class DueConnection:
    """A connection with something due, as the due queue tells it."""

    connection_id: UUID
    tenant_id: UUID


class Store:
    """The tables, as the tenants of a transaction see them. A connection's row lock guards all it owns."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._db = connection

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Connection]:
        """Lock connections in one order, waiting for whoever holds them; unknown ones are left out."""
        rows = await self._db.execute(_LOCK, {"ids": list(ids)})
        return {row.connection_id: _connection(row) for row in rows}

    async def claim(self, connection_id: UUID) -> Connection | None:
        """Lock a connection, None where it is unknown or another process is at it."""
        row = (await self._db.execute(_CLAIM, {"id": connection_id})).one_or_none()
        return None if row is None else _connection(row)

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

    async def save_connection(self, connection: Connection) -> None:
        """Write a connection and its two due times."""
        await self._db.execute(_SAVE_CONNECTION, _values(connection, _CONNECTION))
        await self._set_due("sync", connection.connection_id, connection, connection.next_due_at)
        await self._set_due("sweep", connection.connection_id, connection, connection.next_sweep_at)

    async def save_run(self, run: Run, *, timer: datetime | None) -> None:
        """Write a run, and when to look at it again."""
        await self._db.execute(_SAVE_RUN, _values(run, _RUN))
        await self._set_due("run", run.run_id, run, timer)

    async def due_of(self, connection_id: UUID, now: datetime) -> list[Due]:
        """Return what is due of a connection: its own times before its runs'."""
        rows = await self._db.execute(_DUE_OF, {"id": connection_id, "now": now})
        return [Due(row.kind, row.id) for row in rows]

    async def prune(self, connection_id: UUID, *, before: datetime) -> None:
        """Delete runs of a connection that ended before an instant."""
        await self._db.execute(_PRUNE, {"id": connection_id, "before": before})

    async def erase(self, connection_id: UUID) -> None:
        """Delete the runs and due times of a connection; its row stays as a marker."""
        await self._db.execute(_FORGET_DUE, {"id": connection_id})
        await self._db.execute(_FORGET_RUNS, {"id": connection_id})

    async def _set_due(self, kind: str, key: UUID, owner: Connection | Run, at: datetime | None) -> None:
        if at is None:
            await self._db.execute(_CLEAR_DUE, {"kind": kind, "id": key})
            return
        ids = {"connection_id": owner.connection_id, "tenant_id": owner.tenant_id}
        await self._db.execute(_SET_DUE, {"kind": kind, "id": key, "at": at, **ids})


async def peek_due(connection: AsyncConnection, now: datetime, limit: int) -> list[DueConnection]:
    """Return connections with something due, longest waiting first; any role that sees the queue may ask."""
    rows = await connection.execute(_PEEK, {"now": now, "limit": limit})
    return [DueConnection(row.connection_id, row.tenant_id) for row in rows]


async def due_backlog(connection: AsyncConnection, now: datetime) -> tuple[int, float]:
    """Return how many times have come and wait, and for how long the oldest does (seconds)."""
    count, oldest = (await connection.execute(_BACKLOG, {"now": now})).one()
    return int(count), 0.0 if oldest is None else (now - oldest).total_seconds()


def _values(record: Connection | Run, columns: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in columns}
    for name in _JSON & values.keys():
        values[name] = None if values[name] is None else msgspec.json.encode(values[name]).decode()
    return values


def _connection(row: sa.Row[Any]) -> Connection:
    values = {name: getattr(row, name) for name in _CONNECTION}
    values["state"] = ConnectionState(values["state"])
    values["schedule"] = msgspec.convert(values["schedule"], Schedule)
    return Connection(**values)


def _run(row: sa.Row[Any]) -> Run:
    values = {name: getattr(row, name) for name in _RUN}
    values["kind"], values["state"] = RunKind(values["kind"]), RunState(values["state"])
    values["error"] = None if values["error"] is None else msgspec.convert(values["error"], RunError)
    return Run(**values)
