"""What is still to be said again, or erased: ids and times only, so any replica finds it after any crash."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.arrays import texts
from suppli_mapping.adapters.sql import execute, fetch


class JobKind(StrEnum):
    """`item`: lines of an item whose mapping changed; `place`: of a location; `erase`: a whole connection;
    `way`: a day of a location whose way was switched.
    """

    ITEM = "item"
    PLACE = "place"
    ERASE = "erase"
    WAY = "way"


class Extent(msgspec.Struct, frozen=True):
    """How far a job is, and where it ends: numbers of orders."""

    cursor: int
    bound: int


class Job(msgspec.Struct, frozen=True):
    """One piece of work of a tenant. `subject` is an item, `<connection>:<location>`, a connection, or
    `<connection>:<date>:<location>`.
    """

    tenant_id: UUID
    kind: JobKind
    subject: str


async def ask(connection: AsyncConnection, jobs: Sequence[Job]) -> None:
    """Ask for work, from its beginning, in the transaction that makes it necessary.

    It is bounded by the newest order: with the tenant's exclusive lock held, later ones see what is new
    anyway.
    """
    for job in sorted(jobs, key=lambda each: (each.kind, each.subject)):
        await execute(
            connection,
            """
            insert into restatement_queue (tenant_id, kind, subject, bound, requested_at)
            values (%s, %s, %s, coalesce(pg_sequence_last_value('orders_id_seq'), 0), clock_timestamp())
            on conflict (tenant_id, kind, subject) do update
                set cursor = 0, bound = excluded.bound, requested_at = excluded.requested_at
            """,
            (job.tenant_id, job.kind, job.subject),
        )


async def due(connection: AsyncConnection, limit: int = 50) -> list[Job]:
    """Return waiting work of all tenants, the oldest first; needs the relay's role."""
    rows = await fetch(
        connection,
        "select tenant_id, kind, subject from restatement_queue where kind = any(%s)"
        " order by requested_at limit %s",
        (texts(JobKind), limit),  # what a later release asks for is left to it
    )
    return [Job(tenant_id, JobKind(kind), subject) for tenant_id, kind, subject in rows]


async def claim(connection: AsyncConnection, job: Job) -> Extent | None:
    """Hold a job until the transaction ends; return its extent, None where it is done or held by another."""
    rows = await fetch(
        connection,
        """
        select cursor, bound from restatement_queue where tenant_id = %s and kind = %s and subject = %s
        for update skip locked
        """,
        (job.tenant_id, job.kind, job.subject),
    )
    return Extent(*rows[0]) if rows else None


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
