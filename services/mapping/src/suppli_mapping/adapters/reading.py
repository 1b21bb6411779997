"""What the ledger is asked: items, days, standing entries, and why a number is what it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_contracts.events.sales import Amounts
from suppli_contracts.internal import DayTotals, Item, StandingEntry

from suppli_mapping.adapters.cursors import from_cursor, to_cursor
from suppli_mapping.adapters.sql import fetch
from suppli_mapping.domain.units import decimal_text

_TARGETS = tuple[MappingTarget, ...]

# The sums are over lines and modifiers alike; a modifier's own gross stays with its line, so its net is 0.
_ITEMS = """
    select page.*, coalesce(sums.lines, 0), coalesce(sums.parked, 0), coalesce(sums.quantity, 0),
        coalesce(sums.net, 0), sums.currency, sums.first_at, sums.last_at
    from (
        select item_id, connection_id, item_key, kind, state, revision, name, variation_name, sku, barcode,
        category,
            unit, targets, announced_at is null as quiet
        from items
        where {condition}
        order by announced_at is null, item_key, item_id
        limit %(limit)s
    ) as page left join lateral (
        select count(*) as lines, count(*) filter (where state in ('parked', 'unplaced')) as parked,
            sum(quantity) filter (where counts) as quantity, sum(net) filter (where counts) as net,
            min(currency) as currency, min(occurred_at) as first_at, max(occurred_at) as last_at
        from (
            select *, disposition in ('sold', 'comped', 'returned') as counts
            from ledger_lines where ledger_lines.item_id = page.item_id
        ) as its
    ) as sums on true
    order by quiet, item_key, item_id
"""


async def list_items(
    connection: AsyncConnection,
    *,
    connection_id: UUID | None = None,
    state: MappingState | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> tuple[list[Item], str | None]:
    """Return a page of items, those whose sales were announced as waiting first, and the next cursor.

    Raises:
        BadCursor: the cursor is not one of this list.
    """
    conditions, parameters = ["true"], {"limit": limit + 1}  # type: tuple[list[str], dict[str, Any]]
    if connection_id is not None:
        conditions.append("connection_id = %(connection)s")
        parameters["connection"] = connection_id
    if state is not None:
        conditions.append("state = %(state)s")
        parameters["state"] = state
    if search:
        conditions.append(
            "concat_ws(' ', name, variation_name, sku, barcode, category, item_key)"
            " ilike %(search)s escape '\\'"
        )
        parameters["search"] = (
            "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        )
    if cursor is not None:
        quiet, key, item_id = from_cursor(cursor, tuple[bool, str, UUID])
        conditions.append("(announced_at is null, item_key, item_id) > (%(quiet)s, %(key)s, %(after)s)")
        parameters |= {"quiet": quiet, "key": key, "after": item_id}
    rows = await fetch(connection, _ITEMS.format(condition=" and ".join(conditions)), parameters)
    more = len(rows) > limit
    rows = rows[:limit]
    following = to_cursor((rows[-1][13], rows[-1][2], rows[-1][0])) if more else None
    return [_item(row) for row in rows], following


async def get_item(connection: AsyncConnection, item_id: UUID) -> Item | None:
    """Return one item, None where the tenant has none with this id."""
    rows = await fetch(
        connection, _ITEMS.format(condition="item_id = %(item)s"), {"item": item_id, "limit": 1}
    )
    return _item(rows[0]) if rows else None


def _item(row: Sequence[Any]) -> Item:
    return Item(
        item_id=row[0],
        connection_id=row[1],
        item_key=row[2],
        kind=ItemKind(row[3]),
        state=MappingState(row[4]),
        revision=row[5],
        name=row[6],
        variation_name=row[7],
        sku=row[8],
        barcode=row[9],
        category=row[10],
        unit=row[11],
        targets=msgspec.convert(row[12], _TARGETS),
        lines=row[14],
        parked_lines=row[15],
        quantity=plain(row[16]),
        net=int(row[17]),
        currency=row[18],
        first_sold_at=row[19],
        last_sold_at=row[20],
    )


def plain(number: Any) -> str:
    """Return a decimal without exponent and trailing zeros."""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


_GROUPS = {
    "sold": "counts and state = 'mapped'",
    "parked": "counts and state in ('parked', 'unplaced')",
    "ignored": "counts and state = 'ignored'",
    "superseded": "counts and state = 'superseded'",
    "other": "not counts",
}
_SUMS = ", ".join(
    f"coalesce(sum({column}) filter (where {condition}), 0) as {group}_{column}"
    for group, condition in _GROUPS.items()
    for column in ("gross", "discount", "net", "quantity")
)
_DAYS = f"""
    with lines as (
        select location_id, business_date, currency, {_SUMS},
            coalesce(sum(quantity) filter (where disposition like 'void%%'), 0) as void_quantity,
            coalesce(sum(tax) filter (where counts), 0) as tax
        from (
            select lines.*, disposition in ('sold', 'comped', 'returned') as counts
            from order_days days join ledger_lines lines on lines.order_no = days.order_no
                and lines.business_date = days.business_date
            where days.connection_id = %(connection)s and days.business_date between %(first)s and %(last)s
                and part = ''
        ) as its group by 1, 2, 3
    ), orders as (
        select location_id, business_date, currency, sum(adjustments) as adjustments, sum(provider_net) as
        provider
        from order_days where connection_id = %(connection)s and business_date between %(first)s and %(last)s
        group by 1, 2, 3
    )
    select * from lines full join orders using (location_id, business_date, currency)
    order by business_date, location_id, currency
"""


async def day_totals(
    connection: AsyncConnection, connection_id: UUID, first: date, last: date
) -> list[DayTotals]:
    """Return where each business day's money went, by location and currency, oldest first.

    Lines that wait for a location's tie are among the parked ones.
    """
    rows = await fetch(connection, _DAYS, {"connection": connection_id, "first": first, "last": last})
    return [_day(connection_id, row) for row in rows]


def _day(connection_id: UUID, row: Sequence[Any]) -> DayTotals:
    location_id, business_date, currency = row[:3]
    sums = [value or 0 for value in row[3:]]
    money = [int(value) for value in sums]
    return DayTotals(
        connection_id=connection_id,
        location_id=location_id,
        business_date=business_date,
        currency=currency,
        sold_gross=money[0],
        sold_discount=money[1],
        sold_net=money[2],
        sold_quantity=plain(sums[3]),
        parked_gross=money[4],
        parked_discount=money[5],
        parked_net=money[6],
        parked_quantity=plain(sums[7]),
        ignored_gross=money[8],
        ignored_discount=money[9],
        ignored_net=money[10],
        ignored_quantity=plain(sums[11]),
        superseded_gross=money[12],
        superseded_discount=money[13],
        superseded_net=money[14],
        superseded_quantity=plain(sums[15]),
        other_gross=money[16],
        other_discount=money[17],
        other_net=money[18],
        void_quantity=plain(sums[20]),
        tax=money[21],
        adjustments=money[22],
        provider_net=money[23],
    )


async def snapshot(
    connection: AsyncConnection, *, cursor: str | None = None, limit: int = 1_000
) -> tuple[list[StandingEntry], str | None]:
    """Return a page of all entries as they stand, those at zero too (their versions matter), and the next
    cursor.

    Raises:
        BadCursor: the cursor is not one of this list.
    """
    after = UUID(int=0) if cursor is None else from_cursor(cursor, UUID)
    rows = await fetch(
        connection,
        """
        select entry_key, version, connection_id, order_id, line_id, component, product_id,
        entries.location_id,
            business_date, unit, entries.currency, occurred_at, quantity, consumed, gross, discount, net
        from (select * from entries where entry_key > %s order by tenant_id, entry_key limit %s) as entries
            join orders on orders.id = order_no
        order by entry_key
        """,
        (after, limit + 1),
    )
    more = len(rows) > limit
    rows = rows[:limit]
    return [_standing(row) for row in rows], to_cursor(rows[-1][0]) if more else None


def _standing(row: Sequence[Any]) -> StandingEntry:
    quantity, consumed, gross, discount, net = row[12:17]
    return StandingEntry(
        entry_key=row[0],
        entry_version=row[1],
        connection_id=row[2],
        order_id=row[3],
        line_id=row[4],
        component=row[5],
        product_id=row[6],
        location_id=row[7],
        business_date=row[8],
        unit=row[9],
        currency=row[10],
        occurred_at=row[11],
        standing=Amounts(
            quantity=decimal_text(quantity),
            consumed=decimal_text(consumed),
            gross=gross,
            discount=discount,
            net=net,
        ),
    )


_EXPLANATION = """
    select json_build_object(
        'entry_key', entries.entry_key, 'entry_version', entries.version, 'component', entries.component,
        'product_id', entries.product_id, 'location_id', entries.location_id,
        'business_date', entries.business_date, 'unit', entries.unit, 'currency', entries.currency,
        'standing', json_build_object('quantity', trim_scale(entries.quantity / 1000000.0)::text,
            'consumed', trim_scale(entries.consumed / 1000000.0)::text, 'gross', entries.gross,
            'discount', entries.discount, 'net', entries.net),
        'order', json_build_object('connection_id', orders.connection_id, 'order_id', orders.order_id,
            'location_id', orders.location_id, 'state', orders.state, 'source_version', orders.source_version,
            'run_id', orders.run_id, 'raw_event_id', orders.raw_event_id, 'recorded_at', orders.recorded_at),
        'line', case when lines.line_id is null then null else json_build_object('line_id', lines.line_id,
            'part', lines.part, 'state', lines.state, 'disposition', lines.disposition, 'reason',
            lines.reason,
            'quantity', lines.quantity::text, 'unit', lines.unit, 'gross', lines.gross, 'discount',
            lines.discount,
            'net', lines.net, 'tax', lines.tax, 'occurred_at', lines.occurred_at, 'restock', lines.restock)
            end,
        'item', case when items.item_id is null then null else json_build_object('item_id', items.item_id,
            'item_key', items.item_key, 'name', items.name, 'variation_name', items.variation_name) end,
        'mapping', case when mappings.revision is null then null else json_build_object('revision',
            mappings.revision, 'state', mappings.state, 'targets', mappings.targets, 'from_date',
            mappings.from_date,
            'unit', mappings.unit, 'actor', mappings.actor, 'at', mappings.at) end)::text
    from entries join orders on orders.id = entries.order_no
        left join ledger_lines lines on lines.order_no = entries.order_no and lines.line_id = entries.line_id
            and lines.part = entries.part
        left join items on items.tenant_id = entries.tenant_id and items.item_id = lines.item_id
        left join mappings on mappings.tenant_id = items.tenant_id and mappings.item_id = items.item_id
            and mappings.revision = entries.mapping_revision
    where entries.entry_key = %s
"""


async def explanation(connection: AsyncConnection, entry_key: UUID) -> str | None:
    """Return what is behind an entry, as JSON: order, run, line, item, mapping; None if unknown."""
    rows = await fetch(connection, _EXPLANATION, (entry_key,))
    return rows[0][0] if rows else None
