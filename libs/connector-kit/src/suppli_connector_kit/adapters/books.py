"""What is recorded of a connection's orders and catalog (port `Books`): bulk statements, one
transaction a page.

What there is one of for each order goes to the database as JSON: psycopg adapts lists value by value in
Python, which took a tenth of an order's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.outbox import enqueue

from suppli_connector_kit.adapters.hold import Hold
from suppli_connector_kit.domain.coverage import Span, Spans, merge
from suppli_connector_kit.domain.decisions import Changed, Known, Recorded, SetAside
from suppli_connector_kit.engine.ports import (
    ORDERS,
    ItemEntry,
    Job,
    KnownItem,
    PageEntry,
    Report,
    RunCancelled,
)
from suppli_connector_kit.engine.says import item_message
from suppli_connector_kit.protocol import CatalogItem

_KNOWN = sa.text("""
    select order_id, content_hash, source_version from order_hashes
    where connection_id = :connection
    and order_id = any(array(select json_array_elements_text(cast(:orders as json))))
""")
_RECENT = sa.text("""
    select order_id, location_id, currency, content_hash, source_version from order_hashes
    where connection_id = :connection and order_id > :after and source_version >= :since
    order by order_id limit :most
""")
_RECORDED = sa.text("""
    select order_id, location_id, currency, content_hash, source_version from order_hashes
    where connection_id = :connection and order_id = any(:orders)
""")
_HASHES = sa.text("""
    insert into order_hashes (connection_id, tenant_id, order_id, content_hash, source_version, location_id,
        currency)
    select :connection, :tenant, order_id, content_hash, source_version, location_id, currency
    from json_to_recordset(cast(:orders as json))
        as t (order_id text, content_hash text, source_version bigint, location_id text, currency text)
    on conflict (connection_id, order_id) do update
    set content_hash = excluded.content_hash, source_version = excluded.source_version,
        location_id = excluded.location_id, currency = excluded.currency
    where order_hashes.source_version <= excluded.source_version
""")
_SET_ASIDE = sa.text("""
    insert into set_aside (connection_id, tenant_id, order_id, location_id, reason, field_path,
        normaliser_revision, since)
    select :connection, :tenant, o, l, r, nullif(f, ''), :revision, :at
    from unnest(cast(:orders as text[]), cast(:locations as text[]), cast(:reasons as text[]),
        cast(:paths as text[])) as t (o, l, r, f)
    on conflict (connection_id, order_id) do update
    set reason = excluded.reason, field_path = excluded.field_path,
        normaliser_revision = excluded.normaliser_revision
""")
_CLEARED = sa.text("delete from set_aside where connection_id = :connection and order_id = any(:orders)")
_UNCOVER = sa.text("""
    delete from coverage
    where connection_id = :connection and stream = :stream and location_id = any(:locations)
""")
_COVER = sa.text("""
    insert into coverage (connection_id, tenant_id, stream, location_id, from_us, to_us)
    select :connection, :tenant, :stream, l, f, t
    from unnest(cast(:locations as text[]), cast(:froms as bigint[]), cast(:tos as bigint[])) as s (l, f, t)
""")
_COVERED_UNTIL = sa.text("""
    update connection_times set covered_until = to_timestamp(cast(:us as double precision) / 1000000)
    where connection_id = :connection
""")
_TOKEN = sa.text("select token from catalog_state where connection_id = :connection")
_KEEP_TOKEN = sa.text("""
    insert into catalog_state (connection_id, tenant_id, token) values (:connection, :tenant, :token)
    on conflict (connection_id) do update set token = excluded.token
""")
_ITEM_COLUMNS = (
    "select external_id, content_hash, revision, item from catalog_items where connection_id = :connection"
)
_ITEMS = sa.text(f"{_ITEM_COLUMNS} and external_id = any(:ids)")
_ALL_ITEMS = sa.text(f"{_ITEM_COLUMNS} and not deleted")
_KEEP_ITEMS = sa.text("""
    insert into catalog_items (connection_id, tenant_id, external_id, content_hash, revision, deleted, item)
    select :connection, :tenant, e, h, r, d, i
    from unnest(cast(:ids as text[]), cast(:hashes as text[]), cast(:revisions as bigint[]),
        cast(:deleted as boolean[]), cast(:items as bytea[])) as t (e, h, r, d, i)
    on conflict (connection_id, external_id) do update
    set content_hash = excluded.content_hash, revision = excluded.revision, deleted = excluded.deleted,
        item = excluded.item
""")


_SOLD = sa.text("""
    select exists (select from order_hashes where order_hashes.connection_id = :connection
        and order_hashes.location_id = asked.location_id and source_version >= asked.from_us
        and source_version < asked.to_us)
    from unnest(cast(:locations as text[]), cast(:froms as bigint[]), cast(:tos as bigint[]))
        with ordinality as asked (location_id, from_us, to_us, place) order by place
""")


class SqlBooks:
    """Reads and writes what is recorded of the connection of one held run."""

    def __init__(self, database: Database, hold: Hold, job: Job, *, revision: int, clock: Clock) -> None:
        """Prepare; `revision` is that of the connector's reading."""
        self._database, self._hold, self._job = database, hold, job
        self._revision, self._clock = revision, clock
        self._tenant = job.connection.tenant_id
        self._ids: dict[str, Any] = {
            "connection": job.connection.connection_id,
            "tenant": job.connection.tenant_id,
        }

    async def known(self, order_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what was recorded of these orders."""
        rows = await self._read(_KNOWN, orders=msgspec.json.encode(order_ids).decode())
        return {row.order_id: Known(row.content_hash, row.source_version) for row in rows}

    async def recorded_of(self, order_ids: Sequence[str]) -> Sequence[Recorded]:
        """Return those of these orders that were said."""
        rows = await self._read(_RECORDED, orders=list(order_ids))
        return [Recorded(**row._mapping) for row in rows]

    async def recent(self, since_us: int, after: str, most: int) -> Sequence[Recorded]:
        """Return orders whose recorded modification is not before `since_us`, by id from `after` on."""
        rows = await self._read(_RECENT, since=since_us, after=after, most=most)
        return [Recorded(**row._mapping) for row in rows]

    async def sold(self, windows: Sequence[tuple[str, Span]]) -> Sequence[bool]:
        """Return for each (location, time of modification) whether an order was last modified then."""
        asked = {
            "locations": [location for location, _ in windows],
            "froms": [start for _, (start, _) in windows],
            "tos": [end for _, (_, end) in windows],
        }
        return [row[0] for row in await self._read(_SOLD, **asked)] if windows else []

    async def record(self, entry: PageEntry, report: Report) -> None:
        """Record a page and the run's progress in one fenced transaction."""
        async with self._hold.fenced() as connection:
            if entry.changed:
                await connection.execute(_HASHES, self._ids | {"orders": _recorded(entry.changed)})
            if entry.set_aside:
                await connection.execute(_SET_ASIDE, self._ids | self._aside(entry.set_aside))
            if entry.cleared:
                await connection.execute(_CLEARED, self._ids | {"orders": list(entry.cleared)})
            if entry.coverage:
                await self._cover(connection, entry.coverage)
            cancelled = await self._hold.advance(connection, report)
        if cancelled:
            raise RunCancelled

    async def catalog_token(self) -> str | None:
        """Return from where the catalog's changes are read."""
        rows = await self._read(_TOKEN)
        return rows[0].token if rows else None

    async def known_items(self, external_ids: Sequence[str] | None) -> Mapping[str, KnownItem]:
        """Return what was said of these items; None = of all that are not deleted."""
        if external_ids is None:
            rows = await self._read(_ALL_ITEMS)
        else:
            rows = await self._read(_ITEMS, ids=list(external_ids))
        return {row.external_id: KnownItem(_item(row.item), row.content_hash, row.revision) for row in rows}

    async def record_items(self, items: Sequence[ItemEntry], token: str | None, report: Report) -> None:
        """Record and say changed items, and keep the token where there is one."""
        now = self._clock.now()
        async with self._hold.fenced() as connection:
            if items:
                await connection.execute(_KEEP_ITEMS, self._ids | _items(items))
                await enqueue(connection, [item_message(self._job, entry, at=now) for entry in items])
            if token is not None:
                await connection.execute(_KEEP_TOKEN, self._ids | {"token": token})
            cancelled = await self._hold.advance(connection, report)
        if cancelled:
            raise RunCancelled

    async def _cover(self, connection: AsyncConnection, covered: Mapping[str, Spans]) -> None:
        locations = list(covered)
        where = self._ids | {"stream": ORDERS, "locations": locations}
        await connection.execute(_UNCOVER, where)
        await connection.execute(_COVER, self._ids | {"stream": ORDERS} | _spans(covered))
        newest = min(spans[-1][1] for spans in covered.values() if spans)
        await connection.execute(_COVERED_UNTIL, self._ids | {"us": newest})

    def _aside(self, orders: Sequence[SetAside]) -> dict[str, Any]:
        once = {order.order_id: order for order in orders}.values()
        return {
            "orders": [order.order_id for order in once],
            "locations": [order.location_id for order in once],
            "reasons": [order.reason for order in once],
            "paths": [order.field_path or "" for order in once],
            "revision": self._revision,
            "at": self._clock.now(),
        }

    async def _read(self, statement: sa.TextClause, **values: Any) -> Sequence[sa.Row[Any]]:
        async with self._database.transaction([self._tenant]) as connection:
            return (await connection.execute(statement, self._ids | values)).all()


def _recorded(changed: Iterable[Changed]) -> str:
    newest: dict[str, Changed] = {}
    for change in changed:  # a page that shows an order twice must not upsert it twice in one statement
        before = newest.get(change.sale.order_id)
        if before is None or before.source_version <= change.source_version:
            newest[change.sale.order_id] = change
    rows = [
        Recorded(order_id, each.sale.location_id, each.sale.currency, each.content_hash, each.source_version)
        for order_id, each in newest.items()
    ]
    return msgspec.json.encode(rows).decode()


def _spans(covered: Mapping[str, Spans]) -> dict[str, Any]:
    flat = [(location, *span) for location, spans in covered.items() for span in merge(spans)]
    return {
        "locations": [row[0] for row in flat],
        "froms": [row[1] for row in flat],
        "tos": [row[2] for row in flat],
    }


def _items(entries: Sequence[ItemEntry]) -> dict[str, Any]:
    return {
        "ids": [entry.item.external_id for entry in entries],
        "hashes": [entry.content_hash for entry in entries],
        "revisions": [entry.revision for entry in entries],
        "deleted": [entry.item.deleted for entry in entries],
        "items": [msgspec.json.encode(entry.item) for entry in entries],
    }


def _item(stored: bytes) -> CatalogItem:
    return replace(msgspec.json.decode(stored, type=CatalogItem))
