"""Connections in the database. Every write says the connection to everybody, in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectedLocation, ConnectionState, Schedule, Way
from suppli_service_kit.clock import Clock
from suppli_service_kit.outbox import enqueue

from suppli_gateway.connections.domain import Connection
from suppli_gateway.events.live import announce, connection_changed
from suppli_gateway.outgoing import connection_message
from suppli_gateway.tables import connections

_PLAIN = tuple(
    field.name for field in fields(Connection) if field.name not in ("state", "schedule", "locations", "way")
)


def _values(connection: Connection) -> dict[str, Any]:
    return {
        **{name: getattr(connection, name) for name in _PLAIN},
        "state": connection.state.value,
        "schedule": msgspec.to_builtins(connection.schedule),
        "locations": msgspec.to_builtins(connection.locations),
        "way": msgspec.to_builtins(connection.way),
    }


def _read(row: sa.RowMapping) -> Connection:
    return Connection(
        **{name: row[name] for name in _PLAIN},
        state=ConnectionState(row["state"]),
        schedule=msgspec.convert(row["schedule"], Schedule),
        locations=msgspec.convert(row["locations"], tuple[ConnectedLocation, ...]),
        way=msgspec.convert(row["way"], Way),
    )


class ConnectionRepository:
    """Reads and writes within the caller's transaction."""

    def __init__(self, transaction: AsyncConnection, clock: Clock) -> None:
        self._transaction, self._clock = transaction, clock

    async def find(self, connection_id: UUID, *, lock: bool = False) -> Connection | None:
        """Return the connection, None where this tenant has none of that id; `lock` = until the end of the
        transaction nobody else changes it.
        """
        query = sa.select(connections).where(
            connections.c.connection_id == connection_id, connections.c.deleted_at.is_(None)
        )
        return await self._one(query.with_for_update() if lock else query)

    async def find_by_account(self, provider: str, environment: str, account_id: str) -> Connection | None:
        """Return this tenant's connection of an account, disconnected ones too; locked."""
        query = sa.select(connections).where(
            connections.c.provider == provider,
            connections.c.environment == environment,
            connections.c.account_id == account_id,
            connections.c.deleted_at.is_(None),
        )
        return await self._one(query.with_for_update())

    async def is_stood_for(self, connection_id: UUID) -> bool:
        """Return whether another connection of the tenant carries the same sales as this one."""
        query = sa.select(sa.literal(1)).where(
            connections.c.way["stands_for"].astext == str(connection_id), connections.c.deleted_at.is_(None)
        )
        return (await self._transaction.execute(query.limit(1))).first() is not None

    async def page(self, *, after: UUID | None, limit: int, state: str | None = None) -> list[Connection]:
        """Return at most `limit` connections with ids above `after`, oldest first."""
        query = sa.select(connections).where(connections.c.deleted_at.is_(None))
        if after is not None:
            query = query.where(connections.c.connection_id > after)
        if state is not None:
            query = query.where(connections.c.state == state)
        rows = await self._transaction.execute(query.order_by(connections.c.connection_id).limit(limit))
        return [_read(row) for row in rows.mappings()]

    async def add(self, connection: Connection) -> None:
        """Write a new connection and say it."""
        await self._transaction.execute(insert(connections).values(**_values(connection)))
        await self._say(connection)

    async def save(self, before: Connection, after: Connection) -> Connection:
        """Write a changed connection and say it; an unchanged one costs nothing. Returns `after`.

        Raises:
            sqlalchemy.exc.IntegrityError: its account belongs to another connection.
        """
        if after == before:
            return after
        written = await self._transaction.execute(
            sa.update(connections)
            .where(
                connections.c.connection_id == after.connection_id, connections.c.revision == before.revision
            )
            .values(**_values(after))
        )
        if written.rowcount != 1:
            raise RuntimeError(f"connection {after.connection_id} was changed without its lock")
        await self._say(after)
        return after

    async def _say(self, connection: Connection) -> None:
        await enqueue(self._transaction, [connection_message(connection, self._clock)])
        await announce(self._transaction, connection_changed(connection))

    async def _one(self, query: sa.Select[Any]) -> Connection | None:
        row = (await self._transaction.execute(query)).mappings().one_or_none()
        return None if row is None else _read(row)


async def lock_all(transaction: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[Connection]:
    """Return the next connections, deleted ones too, locked: what is said of them now is what stands."""
    query = sa.select(connections).order_by(connections.c.connection_id).limit(limit).with_for_update()
    if after is not None:
        query = query.where(connections.c.connection_id > after)
    rows = await transaction.execute(query)
    return [_read(row) for row in rows.mappings()]
