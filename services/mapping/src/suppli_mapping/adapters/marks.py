"""Days that changed and are to be stated: marked in the transaction that changes them.

A transaction adds one row of text and waits for nobody; folding the rows to days is the keeper's work.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.sql import execute, fetch

_ROW_DAYS = 2_000


class Mark(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A day of a Suppli location; `again`: it is stated even where nothing about it has changed."""

    tenant_id: UUID
    location_id: str
    business_date: date
    again: bool = False


class Marks:
    """The days that one transaction changes."""

    def __init__(self) -> None:
        self._days: dict[tuple[int, str, date], Mark] = {}

    def add(self, tenant_id: UUID, location_id: str | None, day: date, *, again: bool = False) -> None:
        """Mark a day; none of a location that is not tied to Suppli's."""
        if location_id is None:
            return
        key = (tenant_id.int, location_id, day)
        if key not in self._days:
            self._days[key] = Mark(tenant_id, location_id, day, again)

    async def write(self, connection: AsyncConnection) -> None:
        """Write the marks."""
        days = list(self._days.values())
        for first in range(0, len(days), _ROW_DAYS):
            row = msgspec.json.encode(days[first : first + _ROW_DAYS]).decode()
            await execute(connection, "insert into day_marks (marks) values (%s)", (row,))


async def marked(connection: AsyncConnection) -> bool:
    """Return whether there are rows of marks; of a role that sees them."""
    return bool(await fetch(connection, "select 1 from day_marks limit 1"))


async def fold(connection: AsyncConnection, limit: int = 500) -> int:
    """Turn the oldest rows of marks into dirty days, each once; return how many rows those were."""
    rows = await fetch(
        connection,
        """
        with taken as (
            delete from day_marks where id in (
                select id from day_marks order by id limit %s for update skip locked)
            returning marked_at, marks
        ), folded as (
            insert into dirty_days (tenant_id, location_id, business_date, first_marked_at, last_marked_at,
                settled, again)
            select (day ->> 0)::uuid, day ->> 1, (day ->> 2)::date, min(marked_at), max(marked_at),
                (select coalesce(max(id), 0) from outbox), bool_or(coalesce((day ->> 3)::boolean, false))
            from taken cross join lateral jsonb_array_elements(marks::jsonb) as day
            group by 1, 2, 3 order by 1, 2, 3
            on conflict (tenant_id, location_id, business_date) do update set
                last_marked_at = greatest(dirty_days.last_marked_at, excluded.last_marked_at),
                settled = greatest(dirty_days.settled, excluded.settled),
                again = dirty_days.again or excluded.again
        )
        select count(*) from taken
        """,
        (limit,),
    )
    return int(rows[0][0])


# A tenant's days wait until it is quiet, as what changes one day tends to change it again, but not for ever.
# Days whose product sales may still wait in the outbox wait, too: a statement comes after them.
_SETTLED = "settled < (select coalesce(min(id), 9223372036854775807) from outbox)"
_OLD = "first_marked_at < clock_timestamp() - make_interval(secs => %(latest)s)"
_QUIET = "max(last_marked_at) <= clock_timestamp() - make_interval(secs => %(quiet)s)"


async def due_tenants(connection: AsyncConnection, *, quiet: float, latest: float) -> list[UUID]:
    """Return some tenants with days that are to be stated now, those that wait longest first.

    Args:
        connection: of a role that sees dirty days and the outbox.
        quiet: how long (s) nothing of the tenant changed.
        latest: after how long (s) a day is stated anyway.
    """
    rows = await fetch(
        connection,
        f"""
        select tenant_id from dirty_days group by tenant_id
        having bool_or({_SETTLED} and {_OLD}) or (bool_or({_SETTLED}) and {_QUIET})
        order by min(first_marked_at) limit 20
        """,
        {"quiet": quiet, "latest": latest},
    )
    return [row[0] for row in rows]


async def take_days(
    connection: AsyncConnection, tenant_id: UUID, *, quiet: float, latest: float, limit: int
) -> list[Mark]:
    """Take some of a tenant's due days, locked and gone with the transaction's end; see `due_tenants`."""
    rows = await fetch(
        connection,
        f"""
        delete from dirty_days where (tenant_id, location_id, business_date) in (
            select tenant_id, location_id, business_date from dirty_days
            where tenant_id = %(tenant)s and {_SETTLED}
                and ({_OLD} or (select {_QUIET} from dirty_days where tenant_id = %(tenant)s))
            order by location_id, business_date limit %(limit)s for update skip locked)
        returning tenant_id, location_id, business_date, again
        """,
        {"quiet": quiet, "latest": latest, "tenant": tenant_id, "limit": limit},
    )
    return sorted((Mark(*row) for row in rows), key=lambda each: (each.location_id, each.business_date))


async def mark_days(
    connection: AsyncConnection, tenant_id: UUID, days: Iterable[tuple[str, date]], *, again: bool = False
) -> None:
    """Mark days by Suppli location and date."""
    found = Marks()
    for location_id, day in days:
        found.add(tenant_id, location_id, day, again=again)
    await found.write(connection)
