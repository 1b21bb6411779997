"""Work for any tenant that waits for its time: ids and times only, read by the relay's role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_service_kit.database import Database

from suppli_gateway.tables import due

Kind = Literal["revoke", "discard", "tenant"]

# While a worker does a piece of work nobody else takes it; a killed worker's comes again after this.
CLAIM = timedelta(minutes=2)

_ADD = sa.text(
    "insert into due (kind, id, tenant_id, due_at) values (:kind, :id, :tenant_id, :due_at)"
    " on conflict do nothing"
)


@dataclass(frozen=True, slots=True)
class Due:
    """A piece of work.

    Attributes:
        kind: `revoke` a connection's authorization, `discard` a secret that belongs to none, or a
        `tenant`'s daily round: saying current values again and removing what is old.
        id: of the connection or secret; of the tenant.
        failures: how often it failed.
    """

    kind: str
    id: UUID
    tenant_id: UUID
    failures: int


async def plan(transaction: AsyncConnection, kind: Kind, id_: UUID, tenant_id: UUID, at: datetime) -> None:
    """Plan work in the transaction that makes it necessary; planned already: nothing changes.

    The service's role may only insert here.
    """
    await transaction.execute(_ADD, {"kind": kind, "id": id_, "tenant_id": tenant_id, "due_at": at})


class DueWork:
    """The plan, as the relay's role sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, limit: int = 20) -> list[Due]:
        """Take work whose time has come; it comes again unless `done` or `postpone` says otherwise."""
        ripe = (
            sa.select(due.c.kind, due.c.id)
            .where(due.c.due_at <= now)
            .order_by(due.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("ripe")
        )
        statement = (
            sa.update(due)
            .where(due.c.kind == ripe.c.kind, due.c.id == ripe.c.id)
            .values(due_at=now + CLAIM)
            .returning(due.c.kind, due.c.id, due.c.tenant_id, due.c.failures)
        )
        async with self._database.transaction() as transaction:
            rows = await transaction.execute(statement)
            return [Due(*row) for row in rows]

    async def done(self, kind: Kind, id_: UUID) -> None:
        """Remove work that needs no repeat."""
        async with self._database.transaction() as transaction:
            await transaction.execute(sa.delete(due).where(due.c.kind == kind, due.c.id == id_))

    async def postpone(self, work: Due, *, at: datetime, failed: bool) -> None:
        """Say when the work is due again."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                sa.update(due)
                .where(due.c.kind == work.kind, due.c.id == work.id)
                .values(due_at=at, failures=work.failures + 1 if failed else 0)
            )
