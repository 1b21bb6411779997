"""The ledger's entries in PostgreSQL: how they stand, and how they change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.arrays import bigints, dates, instants, integers, texts, uuid_texts, uuids
from suppli_mapping.adapters.ledger import Order
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.domain.diff import Change, Stored
from suppli_mapping.domain.entries import Standing

_STORED = """
    line_id, part, component, product_id, location_id, business_date, unit, currency, occurred_at,
    quantity, consumed, gross, discount, net, mapping_revision
"""
# Order by order: where a table has no statistics yet, "order_no = any(a thousand)" looks like all of it, and
# the planner reads all that a tenant has, for each batch.
_ENTRIES_OF = f"""
    select its.* from unnest(%s) as wanted (order_no), lateral (
        select order_no, version, entry_key::text, {_STORED} from entries
        where entries.order_no = wanted.order_no offset 0) as its
"""


async def entries_of(connection: AsyncConnection, order_nos: Sequence[int]) -> dict[int, dict[str, Stored]]:
    """Return the entries of orders, those that stand at zero too, by order and entry key."""
    found: defaultdict[int, dict[str, Stored]] = defaultdict(dict)
    if order_nos:
        rows = await fetch(
            connection,
            _ENTRIES_OF,
            (bigints(order_nos),),
        )
        for order_no, version, *columns in rows:
            standing = Standing(*columns)
            found[order_no][standing.entry_key] = Stored(standing, version)
    return found


async def put_entries(connection: AsyncConnection, changes: Sequence[tuple[Order, Change]]) -> None:
    """Write how entries now stand, each once; their orders are locked, so a first version is a new row."""
    await _add_entries(connection, [each for each in changes if each[1].version == 1])
    await _change_entries(connection, [each for each in changes if each[1].version > 1])


async def _add_entries(connection: AsyncConnection, changes: Sequence[tuple[Order, Change]]) -> None:
    if not changes:
        return
    orders = [order for order, _ in changes]
    rows = [change.standing for _, change in changes]
    await execute(
        connection,
        f"""
        insert into entries (tenant_id, order_no, version, entry_key, {_STORED})
        select a, b, 1, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r
        from unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            as new (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
        """,
        (
            uuids([order.tenant_id for order in orders]),
            bigints([order.order_no for order in orders]),
            uuid_texts([row.entry_key for row in rows]),
            texts([row.line_id for row in rows]),
            texts([row.part for row in rows]),
            texts([row.component for row in rows]),
            texts([row.product_id for row in rows]),
            texts([row.location_id for row in rows]),
            dates([row.business_date for row in rows]),
            texts([row.unit for row in rows]),
            texts([row.currency for row in rows]),
            instants([row.occurred_at for row in rows]),
            bigints([row.quantity for row in rows]),
            bigints([row.consumed for row in rows]),
            bigints([row.gross for row in rows]),
            bigints([row.discount for row in rows]),
            bigints([row.net for row in rows]),
            integers([row.mapping_revision for row in rows]),
        ),
    )


async def _change_entries(connection: AsyncConnection, changes: Sequence[tuple[Order, Change]]) -> None:
    """Write what can change of an entry: the rest is in its key."""
    if not changes:
        return
    rows = [change.standing for _, change in changes]
    await execute(
        connection,
        """
        update entries set version = new.version, occurred_at = new.occurred_at, quantity = new.quantity,
            consumed = new.consumed, gross = new.gross, discount = new.discount, net = new.net,
            mapping_revision = new.mapping_revision
        from unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) as new (tenant_id, entry_key, version,
            occurred_at, quantity, consumed, gross, discount, net, mapping_revision)
        where entries.tenant_id = new.tenant_id and entries.entry_key = new.entry_key
        """,
        (
            uuids([order.tenant_id for order, _ in changes]),
            uuid_texts([row.entry_key for row in rows]),
            integers([change.version for _, change in changes]),
            instants([row.occurred_at for row in rows]),
            bigints([row.quantity for row in rows]),
            bigints([row.consumed for row in rows]),
            bigints([row.gross for row in rows]),
            bigints([row.discount for row in rows]),
            bigints([row.net for row in rows]),
            integers([row.mapping_revision for row in rows]),
        ),
    )
