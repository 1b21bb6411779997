"""Read copies of runs, coverage, due times and errors in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_gateway.runs.domain import ACTIVE, RunCopy
from suppli_gateway.tables import connection_errors, connection_status, item_states, runs

_CHANGE = sa.Sequence("run_changes")


def _run(row: sa.RowMapping) -> RunCopy:
    return RunCopy(**row)


@dataclass(frozen=True, slots=True)
class Status:
    """What other services have told of a connection."""

    next_due_at: datetime | None
    coverage: list[dict[str, Any]]
    coverage_at: datetime | None


class RunRepository:
    """Reads and writes within the caller's transaction."""

    def __init__(self, transaction: AsyncConnection) -> None:
        self._transaction = transaction

    async def find(self, run_id: UUID) -> RunCopy | None:
        """Return the run, None where this tenant has none of that id."""
        row = (await self._transaction.execute(sa.select(runs).where(runs.c.run_id == run_id))).mappings()
        found = row.one_or_none()
        return None if found is None else _run(found)

    async def page(self, connection_id: UUID, *, before: UUID | None, limit: int) -> list[RunCopy]:
        """Return at most `limit` runs of a connection with ids below `before`, newest first."""
        query = sa.select(runs).where(runs.c.connection_id == connection_id)
        if before is not None:
            query = query.where(runs.c.run_id < before)
        rows = await self._transaction.execute(query.order_by(runs.c.run_id.desc()).limit(limit))
        return [_run(row) for row in rows.mappings()]

    async def active(self, connection_ids: Collection[UUID]) -> list[RunCopy]:
        """Return the queued and running runs of connections."""
        query = sa.select(runs).where(runs.c.connection_id.in_(connection_ids), runs.c.state.in_(ACTIVE))
        rows = await self._transaction.execute(query.order_by(runs.c.run_id))
        return [_run(row) for row in rows.mappings()]

    async def latest_tried(self, connection_ids: Collection[UUID]) -> dict[UUID, RunCopy]:
        """Return each connection's newest run that ended or waits for its next try (cancelled ones apart)."""
        tried = sa.or_(runs.c.state.in_(("succeeded", "failed")), runs.c.next_attempt_at.is_not(None))
        return await self._newest_of(connection_ids, tried)

    async def latest_success(self, connection_ids: Collection[UUID]) -> dict[UUID, RunCopy]:
        """Return each connection's newest run that succeeded."""
        return await self._newest_of(connection_ids, runs.c.state == "succeeded")

    async def _newest_of(self, connection_ids: Collection[UUID], condition: Any) -> dict[UUID, RunCopy]:
        query = (
            sa.select(runs)
            .distinct(runs.c.connection_id)
            .where(runs.c.connection_id.in_(connection_ids), condition)
            .order_by(runs.c.connection_id, runs.c.run_id.desc())
        )
        rows = await self._transaction.execute(query)
        return {row["connection_id"]: _run(row) for row in rows.mappings()}

    async def locked(self, run_ids: Sequence[UUID]) -> dict[UUID, RunCopy]:
        """Return the runs, locked in the order of their ids."""
        query = sa.select(runs).where(runs.c.run_id.in_(run_ids)).order_by(runs.c.run_id).with_for_update()
        rows = await self._transaction.execute(query)
        return {row["run_id"]: _run(row) for row in rows.mappings()}

    async def put(self, run: RunCopy) -> int | None:
        """Write a run's copy; return the number of this change, None where a newer one was written
        meanwhile.
        """
        values = run.values()
        statement = insert(runs).values(**values, change=_CHANGE.next_value())
        newer = sa.tuple_(statement.excluded.attempt, statement.excluded.sequence) > sa.tuple_(
            runs.c.attempt, runs.c.sequence
        )
        updates = {name: statement.excluded[name] for name in values if name not in ("run_id", "tenant_id")}
        statement = statement.on_conflict_do_update(
            index_elements=[runs.c.run_id],
            set_={**updates, "change": statement.excluded.change},
            where=newer,
        )
        written = await self._transaction.execute(statement.returning(runs.c.change))
        change: int | None = written.scalar_one_or_none()
        return change

    async def changed_since(self, change: int, *, connection_id: UUID | None, limit: int) -> list[RunCopy]:
        """Return runs whose copy changed after `change`, in the order of their changes."""
        return await self._stream(runs.c.change > change, connection_id, limit)

    async def active_now(self, *, connection_id: UUID | None, limit: int) -> list[RunCopy]:
        """Return the tenant's queued and running runs, in the order of their changes."""
        return await self._stream(runs.c.state.in_(ACTIVE), connection_id, limit)

    async def _stream(self, condition: Any, connection_id: UUID | None, limit: int) -> list[RunCopy]:
        query = sa.select(runs).where(condition)
        if connection_id is not None:
            query = query.where(runs.c.connection_id == connection_id)
        rows = await self._transaction.execute(query.order_by(runs.c.change).limit(limit))
        return [_run(row) for row in rows.mappings()]


class StatusRepository:
    """What is known of connections beside their settings."""

    def __init__(self, transaction: AsyncConnection) -> None:
        self._transaction = transaction

    async def statuses(self, connection_ids: Collection[UUID]) -> dict[UUID, Status]:
        """Return what is known of each connection."""
        query = sa.select(connection_status).where(connection_status.c.connection_id.in_(connection_ids))
        rows = await self._transaction.execute(query)
        return {
            row["connection_id"]: Status(row["next_due_at"], row["coverage"], row["coverage_at"])
            for row in rows.mappings()
        }

    async def unmapped(self, connection_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return how many items of each connection wait for a mapping."""
        query = (
            sa.select(item_states.c.connection_id, sa.func.count())
            .where(item_states.c.connection_id.in_(connection_ids), item_states.c.state == "unmapped")
            .group_by(item_states.c.connection_id)
        )
        return {row[0]: row[1] for row in await self._transaction.execute(query)}

    async def errors(self, connection_id: UUID, limit: int) -> list[sa.RowMapping]:
        """Return the newest errors of a connection, newest first."""
        query = (
            sa.select(connection_errors)
            .where(connection_errors.c.connection_id == connection_id)
            .order_by(connection_errors.c.at.desc())
            .limit(limit)
        )
        return list((await self._transaction.execute(query)).mappings())

    async def put_next_due(
        self, tenant_id: UUID, connection_id: UUID, *, revision: int, next_due_at: datetime | None
    ) -> None:
        """Keep when a connection is due next, unless something newer is known."""
        statement = insert(connection_status).values(
            connection_id=connection_id,
            tenant_id=tenant_id,
            next_due_at=next_due_at,
            next_due_revision=revision,
        )
        given = statement.excluded
        await self._transaction.execute(
            statement.on_conflict_do_update(
                index_elements=[connection_status.c.connection_id],
                set_={"next_due_at": given.next_due_at, "next_due_revision": given.next_due_revision},
                where=connection_status.c.next_due_revision < given.next_due_revision,
            )
        )

    async def put_coverage(
        self, tenant_id: UUID, connection_id: UUID, *, at: datetime, coverage: list[dict[str, Any]]
    ) -> None:
        """Keep a connection's coverage, unless something newer is known."""
        statement = insert(connection_status).values(
            connection_id=connection_id, tenant_id=tenant_id, coverage=coverage, coverage_at=at
        )
        given = statement.excluded
        await self._transaction.execute(
            statement.on_conflict_do_update(
                index_elements=[connection_status.c.connection_id],
                set_={"coverage": given.coverage, "coverage_at": given.coverage_at},
                where=sa.or_(
                    connection_status.c.coverage_at.is_(None),
                    connection_status.c.coverage_at < given.coverage_at,
                ),
            )
        )

    async def add_error(self, values: Mapping[str, Any]) -> None:
        """Keep an error; the same cause again changes nothing."""
        await self._transaction.execute(insert(connection_errors).values(**values).on_conflict_do_nothing())

    async def put_item(self, values: Mapping[str, Any]) -> None:
        """Keep an item's state, unless something newer is known."""
        statement = insert(item_states).values(**values)
        given = statement.excluded
        await self._transaction.execute(
            statement.on_conflict_do_update(
                index_elements=[item_states.c.item_id],
                set_={"state": given.state, "revision": given.revision},
                where=item_states.c.revision < given.revision,
            )
        )
