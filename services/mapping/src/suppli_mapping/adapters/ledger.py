"""Orders and their lines in PostgreSQL: a batch is a constant number of statements, whatever its size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.sales import Disposition, Restock, SaleRecorded

from suppli_mapping.adapters.arrays import bigints, dates, instants, integers, texts, uuids
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.domain.entries import LineState, Part
from suppli_mapping.domain.orders import OrderDay

OrderKey = tuple[int, int, str]
_LOCK_SPACE = 0x6D617070696E6700  # "mapping": keeps our advisory locks apart from others'


class Order(msgspec.Struct, frozen=True, gc=False):
    """What an order's entries need to be said: where it came from."""

    order_no: int
    tenant_id: UUID
    connection_id: UUID
    order_id: str
    location_id: str
    channel: str | None
    raw_event_id: str
    run_id: UUID


class Line(msgspec.Struct, frozen=True, gc=False):
    """A part of an order's line as the ledger keeps it: what the sale says, and what was made of it."""

    order: Order
    part: Part
    said_revision: int
    state: LineState
    reason: str | None = None


def _lock_key(tenant_id: UUID) -> int:
    mixed = int.from_bytes(tenant_id.bytes[:8]) ^ int.from_bytes(tenant_id.bytes[8:]) ^ _LOCK_SPACE
    return mixed - (1 << 64) if mixed >= 1 << 63 else mixed


async def lock_tenants(
    connection: AsyncConnection, tenants: Iterable[UUID], *, exclusive: bool = False
) -> None:
    """Hold the tenants' mappings as they are until the transaction ends (shared), or alone to change them.

    Taken in one order by everybody, so that two never wait for each other.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    keys = sorted(map(_lock_key, tenants))
    await execute(connection, f"select {function}(key) from unnest(%s) as key", (bigints(keys),))


_UPSERT_ORDERS = """
    insert into orders (tenant_id, connection_id, order_id, location_id, state, currency, channel,
    source_version,
        observed, content_hash, raw_event_id, run_id, recorded_at, total, tax)
    select * from unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (tenant_id, connection_id, order_id) do update set
        location_id = excluded.location_id, state = excluded.state, currency = excluded.currency,
        channel = excluded.channel, source_version = excluded.source_version, observed = excluded.observed,
        content_hash = excluded.content_hash, raw_event_id = excluded.raw_event_id, run_id = excluded.run_id,
        recorded_at = excluded.recorded_at, total = excluded.total, tax = excluded.tax
    where (orders.source_version, orders.observed) < (excluded.source_version, excluded.observed)
    returning tenant_id, connection_id, order_id, id, xmax = 0
"""


async def take_orders(
    connection: AsyncConnection, sales: Sequence[tuple[SaleRecorded, str]]
) -> dict[OrderKey, tuple[int, bool]]:
    """Store each order unless the ledger has it as new or newer; lock them all.

    Args:
        sales: with their event ids, each order once, sorted by (tenant, connection, order): the order of
            locking.

    Returns:
        Number and whether it is new, of the orders that were taken; ids within the key as numbers.
    """
    orders = [sale for sale, _ in sales]
    rows = await fetch(
        connection,
        _UPSERT_ORDERS,
        (
            uuids([order.tenant_id for order in orders]),
            uuids([order.connection_id for order in orders]),
            texts([order.order_id for order in orders]),
            texts([order.location_id for order in orders]),
            texts([order.state for order in orders]),
            texts([order.currency for order in orders]),
            texts([order.channel for order in orders]),
            bigints([order.source_version for order in orders]),
            bigints([order.observed for order in orders]),
            texts([order.content_hash for order in orders]),
            texts([event_id for _, event_id in sales]),
            uuids([order.run_id for order in orders]),
            instants([order.recorded_at for order in orders]),
            bigints([order.totals.total for order in orders]),
            bigints([order.totals.tax for order in orders]),
        ),
    )
    return {(row[0].int, row[1].int, row[2]): (row[3], row[4]) for row in rows}


async def drop_lines(
    connection: AsyncConnection, order_nos: Sequence[int]
) -> dict[int, set[tuple[str, str]]]:
    """Forget the lines of orders that are about to be written anew; return the parts they had."""
    rows = await fetch(
        connection,
        "delete from ledger_lines where order_no = any(%s) returning order_no, line_id, part",
        (bigints(order_nos),),
    )
    known: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for order_no, line_id, part in rows:
        known[order_no].add((line_id, part))
    return known


async def drop_days(
    connection: AsyncConnection, order_nos: Sequence[int]
) -> Sequence[tuple[UUID, UUID, str, date]]:
    """Forget the days of orders that are about to be written anew; return them as (tenant, connection,
    location, date).
    """
    rows = await fetch(
        connection,
        "delete from order_days where order_no = any(%s)"
        " returning tenant_id, connection_id, location_id, business_date",
        (bigints(order_nos),),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def add_lines(connection: AsyncConnection, lines: Sequence[Line]) -> None:
    """Write lines of orders that have none."""
    if not lines:
        return
    parts = [line.part for line in lines]
    await execute(
        connection,
        """
        insert into ledger_lines (tenant_id, order_no, connection_id, said_revision, state, reason,
        line_id, part,
            item_id, location_id, business_date, occurred_at, currency, disposition, quantity, unit, gross,
            discount,
            net, tax, restock)
        select a, b, c, d, e, f, g, h, i, j, k, l, m, n, o::numeric, p, q, r, s, t, u
        from unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            as new (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u)
        """,
        (
            uuids([line.order.tenant_id for line in lines]),
            bigints([line.order.order_no for line in lines]),
            uuids([line.order.connection_id for line in lines]),
            integers([line.said_revision for line in lines]),
            texts([line.state for line in lines]),
            texts([line.reason for line in lines]),
            texts([part.line_id for part in parts]),
            texts([part.part for part in parts]),
            uuids([part.item_id for part in parts]),
            texts([part.location_id for part in parts]),
            dates([part.business_date for part in parts]),
            instants([part.occurred_at for part in parts]),
            texts([part.currency for part in parts]),
            texts([part.disposition for part in parts]),
            texts([part.quantity for part in parts]),
            texts([part.unit for part in parts]),
            bigints([part.gross for part in parts]),
            bigints([part.discount for part in parts]),
            bigints([part.net for part in parts]),
            bigints([part.tax for part in parts]),
            texts([part.restock for part in parts]),
        ),
    )


async def add_days(connection: AsyncConnection, days: Sequence[tuple[Order, str, OrderDay]]) -> None:
    """Write the days (order, currency, day) of orders that have none."""
    if not days:
        return
    await execute(
        connection,
        """
        insert into order_days (tenant_id, order_no, connection_id, location_id, currency, business_date,
            adjustments, provider_net) select * from unnest(%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            uuids([order.tenant_id for order, _, _ in days]),
            bigints([order.order_no for order, _, _ in days]),
            uuids([order.connection_id for order, _, _ in days]),
            texts([order.location_id for order, _, _ in days]),
            texts([currency for _, currency, _ in days]),
            dates([day.business_date for _, _, day in days]),
            bigints([day.adjustments for _, _, day in days]),
            bigints([day.provider_net for _, _, day in days]),
        ),
    )


_LINE = """
    orders.id, orders.tenant_id, orders.connection_id, orders.order_id, orders.location_id, orders.channel,
    orders.raw_event_id, orders.run_id, lines.line_id, lines.part, lines.item_id, lines.location_id,
    lines.business_date, lines.occurred_at, lines.currency, lines.disposition, lines.quantity, lines.unit,
    lines.gross, lines.discount, lines.net, lines.tax, lines.restock, lines.said_revision, lines.state,
    lines.reason
"""


# The lines of the orders first: with an index on (item, revision) at hand the planner may prefer to read all
# that an item ever sold, for each chunk of it.
_LINES_OF = f"""
    with lines as materialized (select * from ledger_lines where order_no = any(%(orders)s))
    select {_LINE} from lines join orders on orders.id = lines.order_no
"""
_OLD_OF_ITEM = """
    where lines.item_id = %(item)s
        and lines.said_revision < (select revision from items where item_id = %(item)s)
"""


async def lines_of(
    connection: AsyncConnection, order_nos: Sequence[int], *, old_of_item: UUID | None = None
) -> list[Line]:
    """Return the lines of orders, or only those of an item that were said with an older mapping of it."""
    rows = await fetch(
        connection,
        _LINES_OF if old_of_item is None else _LINES_OF + _OLD_OF_ITEM,
        {"orders": bigints(order_nos)} | ({} if old_of_item is None else {"item": old_of_item}),
    )
    return [_line(row) for row in rows]


def _line(row: Sequence[Any]) -> Line:
    order, values = Order(*row[:8]), list(row[8:])
    part: list[Any] = values[:15]
    part[7] = Disposition(part[7])
    part[8] = f"{part[8]:f}"
    part[14] = None if part[14] is None else Restock(part[14])
    said_revision, state, reason = values[15:]
    return Line(order, Part(*part), said_revision, LineState(state), reason)


async def lock_orders(connection: AsyncConnection, order_nos: Sequence[int]) -> None:
    """Lock orders against being rewritten, in the order in which sales lock them."""
    await execute(
        connection,
        """
        select orders.id from unnest(%s) as wanted (id) join orders on orders.id = wanted.id
        order by orders.tenant_id, orders.connection_id, orders.order_id collate "C"
        for update of orders
        """,
        (bigints(order_nos),),
    )


async def mark_said(connection: AsyncConnection, said: Sequence[tuple[Line, int, LineState]]) -> None:
    """Remember the revision that lines were said with, and what they count as."""
    await execute(
        connection,
        """
        update ledger_lines set said_revision = new.revision, state = new.state
        from unnest(%s, %s, %s, %s, %s) as new (order_no, line_id, part, revision, state)
        where ledger_lines.order_no = new.order_no and ledger_lines.line_id = new.line_id
            and ledger_lines.part = new.part
        """,
        (
            bigints([line.order.order_no for line, _, _ in said]),
            texts([line.part.line_id for line, _, _ in said]),
            texts([line.part.part for line, _, _ in said]),
            integers([revision for _, revision, _ in said]),
            texts([state for _, _, state in said]),
        ),
    )
