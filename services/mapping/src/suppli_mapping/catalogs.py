"""Copies of what others own: products, Suppli locations, external items and connections, each by revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.codec import decode_as
from suppli_contracts.events.base import Event
from suppli_contracts.events.catalog import ExternalItemChanged, LocationChanged, ProductChanged
from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.events.mapping import MappingState
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.batches import BadMessage
from suppli_service_kit.kafka.messages import InMessage

from suppli_mapping.adapters import ledger, queue, statements
from suppli_mapping.adapters.arrays import texts
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.connecting import place_job, put_connection
from suppli_mapping.deciding import follow_products
from suppli_mapping.domain.items import catalog_key, item_id
from suppli_mapping.domain.units import unit_name

E = TypeVar("E", ProductChanged, LocationChanged, ExternalItemChanged, ConnectionChanged)


class CatalogKeeper:
    """Handles the compacted topics. A lower revision changes nothing; a tombstone ends what is there."""

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        """`wake` is called when something is to be restated."""
        self._database = database
        self._clock = clock
        self._wake = wake

    async def on_products(self, batch: Sequence[InMessage]) -> None:
        """Keep products; mappings follow those that were deleted, merged or given another unit."""
        events = _latest(ProductChanged, batch, lambda event: event.product_id)
        gone = _tombstones(batch)
        tenants = {event.tenant_id for event in events} | {tenant for tenant, _ in gone}
        async with self._database.transaction(tenants) as connection:
            await ledger.lock_tenants(connection, tenants, exclusive=True)
            for tenant_id in sorted(tenants):
                mine = [event for event in events if event.tenant_id == tenant_id]
                changed = await _put_products(connection, tenant_id, mine)
                changed += await _end(connection, "products", "product_id", tenant_id, gone)
                if changed:
                    await follow_products(connection, tenant_id, changed, now=self._clock.now())
        self._wake()

    async def on_locations(self, batch: Sequence[InMessage]) -> None:
        """Keep Suppli locations; another rule for unclear returns restates the sales there."""
        events = _latest(LocationChanged, batch, lambda event: event.location_id)
        gone = _tombstones(batch)
        tenants = {event.tenant_id for event in events} | {tenant for tenant, _ in gone}
        async with self._database.transaction(tenants) as connection:
            await ledger.lock_tenants(connection, tenants, exclusive=True)
            for tenant_id in sorted(tenants):
                await _end(connection, "locations", "location_id", tenant_id, gone)
            for event in events:
                await _put_location(connection, event)
        self._wake()

    async def on_connections(self, batch: Sequence[InMessage]) -> None:
        """Keep connections; a new tie releases what waited for it, an erased connection is deleted."""
        events = _latest(ConnectionChanged, batch, lambda event: str(event.connection_id))
        tenants = {event.tenant_id for event in events}
        async with self._database.transaction(tenants) as connection:
            await ledger.lock_tenants(connection, tenants, exclusive=True)
            for event in events:
                await put_connection(connection, event)
            await statements.open_round(connection, tenants)
        self._wake()

    async def on_external_items(self, batch: Sequence[InMessage]) -> None:
        """Keep what the provider's catalogs say of items."""
        events = _latest(
            ExternalItemChanged, batch, lambda event: f"{event.connection_id}:{event.external_id}"
        )
        tenants = {event.tenant_id for event in events}
        if not tenants:
            return
        async with self._database.transaction(tenants) as connection:
            await ledger.lock_tenants(connection, tenants)
            await _put_external_items(connection, events)


def _latest(model: type[E], batch: Sequence[InMessage], key: Callable[[E], str]) -> list[E]:
    """Return each key's highest revision, sorted; tombstones are left out."""
    best: dict[tuple[UUID, str], E] = {}
    for message in batch:
        if message.value is None:
            continue
        event = _decoded(model, message)
        identity = (event.tenant_id, key(event))
        held = best.get(identity)
        if held is None or held.revision <= event.revision:
            best[identity] = event
    return [best[identity] for identity in sorted(best)]


def _decoded(model: type[E], message: InMessage) -> E:
    tenant = message.envelope.tenant
    event = decode_as(model, message.value)
    if not isinstance(event, Event) or event.tenant_id != tenant:
        raise BadMessage("ce_tenant and tenant_id differ", message, "$.tenant_id")
    return event


def _tombstones(batch: Sequence[InMessage]) -> list[tuple[UUID, str]]:
    """Return (tenant, id) of the tombstones with a key of ours, `<tenant>:<id>`."""
    found = []
    for message in batch:
        if message.value is None and message.key is not None:
            tenant, _, identity = message.key.decode("utf-8", "replace").partition(":")
            try:
                found.append((UUID(tenant), identity))
            except ValueError as error:
                raise BadMessage("the key of a tombstone is not `<tenant>:<id>`", message) from error
    return found


async def _end(
    connection: AsyncConnection, table: str, column: str, tenant_id: UUID, gone: Sequence[tuple[UUID, str]]
) -> list[str]:
    ids = [identity for tenant, identity in gone if tenant == tenant_id]
    if not ids:
        return []
    rows = await fetch(
        connection,
        f"update {table} set deleted = true where tenant_id = %s and {column} = any(%s) and not deleted"
        f" returning {column}",
        (tenant_id, texts(ids)),
    )
    return [row[0] for row in rows]


async def _put_products(
    connection: AsyncConnection, tenant_id: UUID, events: Sequence[ProductChanged]
) -> list[str]:
    """Store products; return those whose change touches entries."""
    rows = await fetch(
        connection,
        "select product_id, revision, unit, replaced_by, deleted from products"
        " where tenant_id = %s and product_id = any(%s)",
        (tenant_id, texts([event.product_id for event in events])),
    )
    known = {row[0]: row[1:] for row in rows}
    changed = []
    for event in events:
        revision, *was = known.get(event.product_id, (-1,))
        if event.revision <= revision:
            continue
        unit = unit_name(event.unit)
        await execute(
            connection,
            """
            insert into products (tenant_id, product_id, revision, name, sku, barcode, unit, replaced_by,
            deleted)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (tenant_id, product_id) do update set revision = excluded.revision, name =
            excluded.name,
                sku = excluded.sku, barcode = excluded.barcode, unit = excluded.unit,
                replaced_by = excluded.replaced_by, deleted = excluded.deleted
            """,
            (
                tenant_id, event.product_id, event.revision, event.name, event.sku, event.barcode, unit,
                event.replaced_by, event.deleted,
            ),
        )  # fmt: skip
        if was != [unit, event.replaced_by, event.deleted]:
            changed.append(event.product_id)
    return changed


async def _put_location(connection: AsyncConnection, event: LocationChanged) -> None:
    rows = await fetch(
        connection,
        "select revision, restock_unknown from locations where tenant_id = %s and location_id = %s",
        (event.tenant_id, event.location_id),
    )
    revision, restocks = rows[0] if rows else (-1, False)
    if event.revision <= revision:
        return
    await execute(
        connection,
        """
        insert into locations (tenant_id, location_id, revision, name, restock_unknown, deleted)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (tenant_id, location_id) do update set revision = excluded.revision, name = excluded.name,
            restock_unknown = excluded.restock_unknown, deleted = excluded.deleted
        """,
        (
            event.tenant_id,
            event.location_id,
            event.revision,
            event.name,
            event.restock_unknown,
            event.deleted,
        ),
    )
    if event.restock_unknown != restocks:
        tied = await fetch(
            connection,
            """
            select connection_id, tie.key from connections cross join lateral jsonb_each_text(ties) as tie
            where tenant_id = %s and tie.value = %s
            """,
            (event.tenant_id, event.location_id),
        )
        await queue.ask(connection, [place_job(event.tenant_id, row[0], row[1]) for row in tied])


async def _put_external_items(connection: AsyncConnection, events: Sequence[ExternalItemChanged]) -> None:
    rows = []
    for event in events:
        key = catalog_key(event.external_id, event.kind)
        identity = item_id(event.connection_id, key)
        rows.append((event.tenant_id, identity, key, event))
    for tenant_id, identity, key, event in sorted(rows, key=lambda row: row[:2]):
        await execute(
            connection,
            """
            insert into items (tenant_id, connection_id, item_id, item_key, kind, name, variation_name,
            sku, barcode,
                category, unit, catalog_revision, catalog_deleted, state)
            select %(tenant)s, %(connection)s, %(item)s, %(key)s, %(kind)s, %(name)s, %(variation)s, %(sku)s,
                %(barcode)s, %(category)s, %(unit)s, %(revision)s, %(deleted)s, %(unmapped)s
            where not exists (
                select from connections where tenant_id = %(tenant)s and connection_id = %(connection)s and
                erased)
            on conflict (tenant_id, item_id) do update set kind = excluded.kind,
                name = coalesce(excluded.name, items.name),
                variation_name = coalesce(excluded.variation_name, items.variation_name), sku = excluded.sku,
                barcode = excluded.barcode, category = excluded.category, unit = excluded.unit,
                catalog_revision = excluded.catalog_revision, catalog_deleted = excluded.catalog_deleted
            where items.catalog_revision is null or items.catalog_revision < excluded.catalog_revision
            """,
            {
                "tenant": tenant_id,
                "connection": event.connection_id,
                "item": identity,
                "key": key,
                "kind": event.kind,
                "name": event.name,
                "variation": event.variation_name,
                "sku": event.sku,
                "barcode": event.barcode,
                "category": event.category,
                "unit": unit_name(event.unit),
                "revision": event.revision,
                "deleted": event.deleted,
                "unmapped": MappingState.UNMAPPED,
            },
        )
