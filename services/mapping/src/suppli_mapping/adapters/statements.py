"""What is stated of days: the ledger's totals by way, and the last statement of each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.days import DayFigures, DayMoney

from suppli_mapping.adapters.arrays import bigints, dates, texts, uuids
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.adapters.ways import DayKey

PlaceDay = tuple[str, date]
"""A day of a Suppli location."""

_WANTED = """
    with its as materialized (
        select wanted.place, days.* from unnest(%(places)s, %(connections)s, %(locations)s, %(dates)s)
            as wanted (place, connection_id, location_id, business_date)
            join order_days as days using (connection_id, location_id, business_date)
    )
"""
_KEY = "its.connection_id, its.location_id, its.business_date"
_ORDERS = f"""
    {_WANTED} select {_KEY}, its.currency, count(*) filter (where adjustments <> 0), sum(adjustments),
        sum(provider_net)
    from its group by 1, 2, 3, 4
"""
_ENTRIES = f"""
    {_WANTED} select {_KEY}, entries.currency, count(*), sum(entries.net)
    from its join entries on entries.order_no = its.order_no and entries.business_date = its.business_date
        and entries.location_id = its.place
    where (entries.quantity, entries.consumed, entries.gross, entries.net) <> (0, 0, 0, 0)
    group by 1, 2, 3, 4
"""
_GROUP = """case when disposition not in ('sold', 'comped', 'returned') then 'other'
    when state in ('parked', 'unplaced') then 'parked' else state end"""
_LINES = f"""
    {_WANTED} select {_KEY}, lines.currency, {_GROUP}, count(*), sum(lines.net)
    from its join ledger_lines as lines on lines.order_no = its.order_no
        and lines.business_date = its.business_date and lines.part = '' and lines.state <> 'mapped'
    group by 1, 2, 3, 4, 5
"""


async def money_of(
    connection: AsyncConnection, keys: Iterable[tuple[str, DayKey]]
) -> dict[DayKey, tuple[DayMoney, ...]]:
    """Return where the money of ways' days went, by currency.

    Args:
        connection: of the tenant.
        keys: each with the Suppli location that the way is tied to.
    """
    wanted = sorted(set(keys))
    given = {
        "places": texts([place for place, _ in wanted]),
        "connections": uuids([key[0] for _, key in wanted]),
        "locations": texts([key[1] for _, key in wanted]),
        "dates": dates([key[2] for _, key in wanted]),
    }
    found: defaultdict[DayKey, dict[str, DayMoney]] = defaultdict(dict)
    for *key, currency, number, net, provider in await fetch(connection, _ORDERS, given):
        found[key[0], key[1], key[2]][currency] = DayMoney(
            currency=currency, adjustments=DayFigures(number=number, net=int(net)), provider_net=int(provider)
        )
    for *key, currency, number, net in await fetch(connection, _ENTRIES, given):
        _put(found[key[0], key[1], key[2]], currency, "entries", number, int(net))
    for *key, currency, group, number, net in await fetch(connection, _LINES, given):
        _put(found[key[0], key[1], key[2]], currency, group, number, int(net))
    return {key: tuple(money[name] for name in sorted(money)) for key, money in found.items()}


def _put(money: dict[str, DayMoney], currency: str, group: str, number: int, net: int) -> None:
    held = money.get(currency, DayMoney(currency=currency))
    figures = DayFigures(number=number, net=net)
    money[currency] = msgspec.structs.replace(held, **{group: figures})


class Stated(msgspec.Struct, frozen=True):
    """The last statement of a day, as far as the next one needs it."""

    revision: int
    content_hash: str
    deleted_at: datetime | None


async def last_stated(
    connection: AsyncConnection, tenant_id: UUID, days: Sequence[PlaceDay]
) -> Mapping[PlaceDay, Stated]:
    """Return the last statements of days, all locked: whoever comes later counts later, too.

    A day that was never stated is at revision 0.
    """
    await execute(
        connection,
        """
        insert into day_statements (tenant_id, location_id, business_date, revision, content_hash)
        select %s, location_id, business_date, 0, '' from unnest(%s, %s) as day (location_id, business_date)
        order by 2, 3
        on conflict do nothing
        """,
        (tenant_id, texts([day[0] for day in days]), dates([day[1] for day in days])),
    )
    rows = await fetch(
        connection,
        """
        select location_id, business_date, revision, content_hash, deleted_at from day_statements
        where tenant_id = %s and (location_id, business_date) in (select * from unnest(%s, %s))
        order by 1, 2 for update
        """,
        (tenant_id, texts([day[0] for day in days]), dates([day[1] for day in days])),
    )
    return {(row[0], row[1]): Stated(row[2], row[3], row[4]) for row in rows}


async def put_stated(connection: AsyncConnection, tenant_id: UUID, stated: Mapping[PlaceDay, Stated]) -> None:
    """Write the statements that changed; their rows are locked."""
    if not stated:
        return
    rows = list(stated.items())
    await execute(
        connection,
        """
        update day_statements set revision = new.revision, content_hash = new.content_hash,
            deleted_at = case when new.content_hash = %s then clock_timestamp() end
        from unnest(%s, %s, %s, %s) as new (location_id, business_date, revision, content_hash)
        where tenant_id = %s and day_statements.location_id = new.location_id
            and day_statements.business_date = new.business_date
        """,
        (
            GONE,
            texts([day[0] for day, _ in rows]),
            dates([day[1] for day, _ in rows]),
            bigints([each.revision for _, each in rows]),
            texts([each.content_hash for _, each in rows]),
            tenant_id,
        ),
    )


GONE = "gone"
"""In place of a content's hash: there is no way any more that the day's sales come."""


async def buried(connection: AsyncConnection, tenant_id: UUID, before: datetime) -> Collection[PlaceDay]:
    """Forget the days that were deleted before an instant; return them, for their tombstones."""
    rows = await fetch(
        connection,
        "delete from day_statements where tenant_id = %s and deleted_at < %s"
        " returning location_id, business_date",
        (tenant_id, before),
    )
    return [(row[0], row[1]) for row in rows]


async def open_round(connection: AsyncConnection, tenants: Iterable[UUID], *, now: bool = False) -> None:
    """Have these tenants' recent days stated daily from now on; `now`: also where a later time is booked."""
    await execute(
        connection,
        "insert into day_rounds (tenant_id, due_at) select tenant, '-infinity' from unnest(%s) as tenant"
        " on conflict (tenant_id) do update set due_at = excluded.due_at where %s",
        (uuids(sorted(tenants)), now),
    )


async def due_rounds(connection: AsyncConnection, now: datetime, limit: int = 50) -> list[UUID]:
    """Return tenants whose recent days are to be stated again; of a role that sees all tenants' queues."""
    rows = await fetch(
        connection,
        "select tenant_id from day_rounds where due_at <= %s order by due_at limit %s",
        (now, limit),
    )
    return [row[0] for row in rows]


async def take_round(
    connection: AsyncConnection, tenant_id: UUID, now: datetime, following: datetime
) -> bool:
    """Take a due round of a tenant and book the one that follows; return whether it was there for us."""
    rows = await fetch(
        connection,
        """
        update day_rounds set due_at = %s where tenant_id = (
            select tenant_id from day_rounds where tenant_id = %s and due_at <= %s for update skip locked)
        returning tenant_id
        """,
        (following, tenant_id, now),
    )
    return bool(rows)


async def live_places(connection: AsyncConnection, tenant_id: UUID) -> list[tuple[str, date]]:
    """Return the Suppli locations whose sales come by themselves, each with its earliest start date."""
    rows = await fetch(
        connection,
        """
        select tie.value, min(start_date) from connections cross join lateral jsonb_each_text(ties) as tie
        where tenant_id = %s and not erased and start_date is not null
            and state not in ('pending', 'disconnected')
        group by 1 order by 1
        """,
        (tenant_id,),
    )
    return [(row[0], row[1]) for row in rows]
