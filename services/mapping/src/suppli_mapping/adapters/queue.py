"""What is still to be said again, or erased: ids and times only, so that any replica finds it after any crash."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.sql import execute, fetch


class JobKind(StrEnum):
    """`item`: lines of an item whose mapping changed; `place`: of a location; `erase`: a whole connection."""

    ITEM = "item"
    PLACE = "place"
    ERASE = "erase"


class Job(msgspec.Struct, frozen=True):
    """One piece of work of a tenant. `subject` is an item, `<connection>:<location>`, or a connection."""

    tenant_id: UUID
    kind: JobKind
    subject: str


async def ask(connection: AsyncConnection, jobs: Sequence[Job]) -> None:
    """Ask for work, from its beginning, in the transaction that makes it necessary."""
    for job in sorted(jobs, key=lambda each: (each.kind, each.subject)):
        await execute(
            connection,
            """
            insert into restatement_queue (tenant_id, kind, subject, cursor)
            values (%s, %s, %s, case when %s = 'erase' then coalesce((select max(id) from orders), 0) else 0 end)
            on conflict (tenant_id, kind, subject) do update set cursor = excluded.cursor, requested_at = now()
            """,
            (job.tenant_id, job.kind, job.subject, job.kind),
        )


async def due(connection: AsyncConnection, limit: int = 50) -> list[Job]:
    """Return waiting work of all tenants, the oldest first; needs the relay's role."""
    rows = await fetch(
        connection,
        "select tenant_id, kind, subject from restatement_queue order by requested_at limit %s",
        (limit,),
    )
    return [Job(tenant_id, JobKind(kind), subject) for tenant_id, kind, subject in rows]


async def claim(connection: AsyncConnection, job: Job) -> int | None:
    """Hold a job until the transaction ends; return how far it is, None where it is done or held by another."""
    rows = await fetch(
        connection,
        """
        select cursor from restatement_queue where tenant_id = %s and kind = %s and subject = %s
        for update skip locked
        """,
        (job.tenant_id, job.kind, job.subject),
    )
    return rows[0][0] if rows else None


async def advance(connection: AsyncConnection, job: Job, cursor: int) -> None:
    """Remember how far a claimed job is."""
    await execute(
        connection,
        "update restatement_queue set cursor = %s where tenant_id = %s and kind = %s and subject = %s",
        (cursor, job.tenant_id, job.kind, job.subject),
    )


async def finish(connection: AsyncConnection, job: Job) -> None:
    """Forget a claimed job that is done."""
    await execute(
        connection,
        "delete from restatement_queue where tenant_id = %s and kind = %s and subject = %s",
        (job.tenant_id, job.kind, job.subject),
    )
