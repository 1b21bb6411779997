"""The ways that a tenant's sales come: connections with what they cover, and which of their days count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState, ZonePeriod
from suppli_contracts.events.sync import Coverage, CoveredDays

from suppli_mapping.adapters.arrays import dates, texts, uuids
from suppli_mapping.adapters.places import days_in, switched_text
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.domain.days import Span
from suppli_mapping.domain.ways import Way, WayKey

_COVERAGE = tuple[Coverage, ...]
_DAYS = tuple[CoveredDays, ...]
DayKey = tuple[UUID, str, date]
"""A way's day: (connection, the provider's location, business date)."""
_NOT_LIVE = frozenset({ConnectionState.PENDING, ConnectionState.DISCONNECTED})


async def ways_at(connection: AsyncConnection, places: Collection[str]) -> list[Way]:
    """Return the tenant's ways to these Suppli locations, those of erased connections left out."""
    rows = await fetch(
        connection,
        """
        select connections.connection_id, tie.key, tie.value, provider, state, start_date, zones -> tie.key,
            stands_for, only_compare, switched -> tie.key, spans -> tie.key
        from connections cross join lateral jsonb_each_text(ties) as tie
            left join coverages on coverages.tenant_id = connections.tenant_id
                and coverages.connection_id = connections.connection_id
        where not erased and tie.value = any(%s) order by connections.connection_id, tie.key
        """,
        (texts(places),),
    )
    return [
        Way(
            key=(row[0], row[1]),
            place=row[2],
            provider=row[3],
            live=row[4] is not None and ConnectionState(row[4]) not in _NOT_LIVE,
            start_date=row[5],
            zones=msgspec.convert(row[6] or (), tuple[ZonePeriod, ...]),
            stands_for=row[7],
            only_compare=row[8],
            switched=days_in(row[9]),
            spans=msgspec.convert(row[10] or (), tuple[Span, ...]),
        )
        for row in rows
    ]


async def put_switched(
    connection: AsyncConnection, tenant_id: UUID, changes: Mapping[WayKey, Collection[date]]
) -> None:
    """Turn the use of these days round; needs the tenant's exclusive lock."""
    by_connection: defaultdict[UUID, dict[str, Collection[date]]] = defaultdict(dict)
    for (connection_id, location_id), days in changes.items():
        by_connection[connection_id][location_id] = days
    for connection_id, locations in sorted(by_connection.items()):
        rows = await fetch(
            connection,
            "select switched from connections where tenant_id = %s and connection_id = %s for update",
            (tenant_id, connection_id),
        )
        switched = {location: set(days_in(days)) for location, days in (rows[0][0] or {}).items()}
        for location, days in locations.items():
            switched[location] = switched.get(location, set()) ^ set(days)
        await execute(
            connection,
            "update connections set switched = %s where tenant_id = %s and connection_id = %s",
            (switched_text(switched), tenant_id, connection_id),
        )


async def orders_on(connection: AsyncConnection, keys: Iterable[DayKey]) -> dict[DayKey, int]:
    """Return how many orders there are of ways' days, those with none left out."""
    wanted = sorted(set(keys))
    rows = await fetch(
        connection,
        """
        select connection_id, location_id, business_date, count(*)
        from unnest(%s, %s, %s) as wanted (connection_id, location_id, business_date)
            join order_days using (connection_id, location_id, business_date)
        group by 1, 2, 3
        """,
        (uuids([each[0] for each in wanted]), texts([each[1] for each in wanted]),
         dates([each[2] for each in wanted])),
    )  # fmt: skip
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def claimed_at(
    connection: AsyncConnection, connection_ids: Collection[UUID], days: Sequence[date]
) -> dict[DayKey, datetime]:
    """Return since when files cover these dates."""
    rows = await fetch(
        connection,
        """
        select connection_id, location_id, business_date, at from file_days
        where covered and connection_id = any(%s) and business_date = any(%s)
        """,
        (uuids(connection_ids), dates(days)),
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def put_coverage(
    connection: AsyncConnection, tenant_id: UUID, connection_id: UUID, at: datetime, coverage: _COVERAGE
) -> tuple[dict[str, list[Span]], dict[str, list[Span]]] | None:
    """Keep what a connection covers; return it as it was and as it is, by location, None where something
    newer is known.
    """
    rows = await fetch(
        connection,
        "select at, spans from coverages where tenant_id = %s and connection_id = %s for update",
        (tenant_id, connection_id),
    )
    if rows and rows[0][0] >= at:
        return None
    before = msgspec.convert(rows[0][1], dict[str, list[Span]]) if rows else {}
    after: dict[str, list[Span]] = {}
    for each in coverage:
        after.setdefault(each.location_id, []).append((each.from_at, each.to_at))
    await execute(
        connection,
        """
        insert into coverages (tenant_id, connection_id, at, spans) values (%s, %s, %s, %s)
        on conflict (tenant_id, connection_id) do update set at = excluded.at, spans = excluded.spans
            where coverages.at < excluded.at
        """,
        (tenant_id, connection_id, at, msgspec.json.encode(after).decode()),
    )
    return before, after


async def put_file_days(
    connection: AsyncConnection, tenant_id: UUID, connection_id: UUID, at: datetime, days: _DAYS
) -> list[tuple[str, date]]:
    """Keep which dates a file covers, or no longer; return those (location, date) for which it is news."""
    if not days:
        return []
    rows = await fetch(
        connection,
        """
        insert into file_days (tenant_id, connection_id, location_id, business_date, at, covered)
        select %s, %s, said ->> 'location_id', day::date, %s,
            bool_and(not coalesce((said ->> 'withdrawn')::boolean, false))
        from jsonb_array_elements(%s::jsonb) as said cross join lateral
            generate_series((said ->> 'from_date')::date, (said ->> 'to_date')::date, interval '1 day') as day
        group by 3, 4
        on conflict (tenant_id, connection_id, location_id, business_date) do update
            set at = excluded.at, covered = excluded.covered where file_days.at < excluded.at
        returning location_id, business_date
        """,
        (tenant_id, connection_id, at, msgspec.json.encode(days).decode()),
    )
    return [(row[0], row[1]) for row in rows]


async def known_dates(connection: AsyncConnection, tenant_id: UUID, connection_id: UUID) -> list[date]:
    """Return the dates of which a connection has orders or files: from date to date, not over all orders."""
    rows = await fetch(
        connection,
        """
        with recursive sold (day) as (
            (select business_date from order_days where connection_id = %(connection)s
                order by business_date limit 1)
            union all
            select (select business_date from order_days where connection_id = %(connection)s
                and business_date > sold.day order by business_date limit 1) from sold where day is not null
        )
        select day from sold where day is not null
        union select business_date from file_days
            where tenant_id = %(tenant)s and connection_id = %(connection)s
        """,
        {"connection": connection_id, "tenant": tenant_id},
    )
    return [row[0] for row in rows]


class TiedWay(msgspec.Struct, frozen=True):
    """Where a location of a connection is tied, with its zones."""

    place: str
    zones: tuple[ZonePeriod, ...]


async def ties_of(connection: AsyncConnection, tenant_id: UUID, connection_id: UUID) -> dict[str, TiedWay]:
    """Return a connection's ties by the provider's location; none where it is not known, or erased."""
    rows = await fetch(
        connection,
        """
        select tie.key, tie.value, zones -> tie.key from connections
            cross join lateral jsonb_each_text(ties) as tie
        where tenant_id = %s and connection_id = %s
        """,
        (tenant_id, connection_id),
    )
    return {row[0]: TiedWay(row[1], msgspec.convert(row[2] or (), tuple[ZonePeriod, ...])) for row in rows}
