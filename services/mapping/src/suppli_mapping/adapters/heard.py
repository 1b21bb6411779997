"""What ended runs said, kept until the sales that they published are in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.sync import Coverage, CoveredDays, SyncRunChanged

from suppli_mapping.adapters.arrays import bigints
from suppli_mapping.adapters.sql import execute, fetch

Offsets = Mapping[int, int]
"""By partition of the raw sales' topic: the offset behind the last record."""


class Heard(msgspec.Struct, frozen=True):
    """What one ended run said.

    Attributes:
        coverage: the connection's whole coverage; None = it was not said.
        ends: what must be in the ledger before it holds; None = not known yet.
    """

    number: int
    tenant_id: UUID
    connection_id: UUID
    at: datetime
    coverage: tuple[Coverage, ...] | None
    days: tuple[CoveredDays, ...]
    ends: Offsets | None

    def is_in(self, read: Offsets) -> bool:
        """Return whether the ledger has everything that was published before it was said."""
        return self.ends is not None and all(read.get(part, 0) >= end for part, end in self.ends.items())


async def keep(connection: AsyncConnection, events: Sequence[SyncRunChanged]) -> None:
    """Keep what runs said."""
    for event in events:
        coverage = None if event.coverage is None else msgspec.json.encode(event.coverage).decode()
        await execute(
            connection,
            "insert into heard_runs (tenant_id, connection_id, run_id, at, coverage, days)"
            " values (%s, %s, %s, %s, %s, %s)",
            (
                event.tenant_id, event.connection_id, event.run_id, event.at, coverage,
                msgspec.json.encode(event.days).decode(),
            ),
        )  # fmt: skip


async def waiting(connection: AsyncConnection, limit: int = 200) -> list[Heard]:
    """Return what waits, the oldest first; needs a role that sees all tenants' queues."""
    rows = await fetch(
        connection,
        "select id, tenant_id, connection_id, at, coverage, days, ends from heard_runs order by id limit %s",
        (limit,),
    )
    return [_heard(row) for row in rows]


async def set_ends(connection: AsyncConnection, numbers: Sequence[int], ends: Offsets) -> None:
    """Note what must be in the ledger before these hold."""
    await execute(
        connection,
        "update heard_runs set ends = %s where id = any(%s) and ends is null",
        (msgspec.json.encode(ends).decode(), bigints(numbers)),
    )


async def take(connection: AsyncConnection, number: int) -> bool:
    """Take one that waits, gone with the transaction's end; return whether it was there for us."""
    rows = await fetch(
        connection,
        "delete from heard_runs where id = (select id from heard_runs where id = %s for update skip locked)"
        " returning id",
        (number,),
    )
    return bool(rows)


def _heard(row: Sequence[object]) -> Heard:
    number, tenant_id, connection_id, at, coverage, days, ends = row
    return msgspec.convert(
        {
            "number": number,
            "tenant_id": tenant_id,
            "connection_id": connection_id,
            "at": at,
            "coverage": coverage,
            "days": days,
            "ends": ends,
        },
        Heard,
        str_keys=True,
        strict=False,
    )
