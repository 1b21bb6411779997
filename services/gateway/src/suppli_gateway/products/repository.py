"""Suppli's products in the database; what changes is said by the outbox in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.catalog import ProductChanged
from suppli_service_kit.clock import Clock
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.outbox import enqueue

from suppli_gateway.outgoing import CATALOG_PRODUCTS, value_of
from suppli_gateway.products.parsing import ProductRow
from suppli_gateway.tables import products

CHUNK = 500
_FIELDS = ("name", "sku", "barcode", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product as it stands."""

    tenant_id: UUID
    product_id: str
    name: str
    sku: str | None
    barcode: str | None
    unit: str
    revision: int
    changed_at: datetime

    def message(self, clock: Clock) -> OutMessage:
        """Return the message that says the product as it now stands."""
        event = ProductChanged(
            tenant_id=self.tenant_id,
            product_id=self.product_id,
            revision=self.revision,
            name=self.name,
            sku=self.sku,
            barcode=self.barcode,
            unit=self.unit,
        )
        return value_of(event, CATALOG_PRODUCTS, self.revision, clock)


def _read(row: sa.RowMapping) -> Product:
    return Product(**row)


async def page(
    transaction: AsyncConnection, *, after: str | None, limit: int, search: str | None
) -> list[Product]:
    """Return at most `limit` products with ids above `after`, matching `search` in name, SKU, barcode or
    id.
    """
    query = sa.select(products)
    if after is not None:
        query = query.where(products.c.product_id > after)
    if search:
        columns = (products.c.name, products.c.sku, products.c.barcode, products.c.product_id)
        query = query.where(sa.or_(*(column.icontains(search, autoescape=True) for column in columns)))
    rows = await transaction.execute(query.order_by(products.c.product_id).limit(limit))
    return [_read(row) for row in rows.mappings()]


async def lock_all(transaction: AsyncConnection, *, after: str | None, limit: int) -> Sequence[Product]:
    """Return the next products, locked."""
    query = sa.select(products).order_by(products.c.product_id).limit(limit).with_for_update()
    if after is not None:
        query = query.where(products.c.product_id > after)
    rows = await transaction.execute(query)
    return [_read(row) for row in rows.mappings()]


async def put_all(
    transaction: AsyncConnection, tenant_id: UUID, rows: Sequence[ProductRow], clock: Clock
) -> int:
    """Write products and say those that are new or changed; return how many those are.

    In the order of their ids, so that two imports at once wait for each other and never in a circle.
    """
    changed = 0
    ordered = sorted(rows, key=lambda row: row.product_id)
    for start in range(0, len(ordered), CHUNK):
        written = await _put_chunk(transaction, tenant_id, ordered[start : start + CHUNK], clock)
        await enqueue(transaction, [product.message(clock) for product in written])
        changed += len(written)
    return changed


async def _put_chunk(
    transaction: AsyncConnection, tenant_id: UUID, rows: Sequence[ProductRow], clock: Clock
) -> list[Product]:
    now = clock.now()
    values = [
        {
            "tenant_id": tenant_id,
            "product_id": row.product_id,
            **{name: getattr(row, name) for name in _FIELDS},
            "revision": 1,
            "changed_at": now,
        }
        for row in rows
    ]
    statement = insert(products).values(values)
    given = statement.excluded
    written = await transaction.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "product_id"],
            set_={
                **{name: given[name] for name in _FIELDS},
                "revision": products.c.revision + 1,
                "changed_at": given.changed_at,
            },
            where=sa.or_(*(products.c[name].is_distinct_from(given[name]) for name in _FIELDS)),
        ).returning(products)
    )
    return [_read(row) for row in written.mappings()]
