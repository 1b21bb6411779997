"""The mappings that a piece of work needs, put together."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.items import KnownItem, load_products
from suppli_mapping.domain.entries import Book, ItemRules
from suppli_mapping.domain.mappings import Product


async def books(connection: AsyncConnection, items: dict[tuple[UUID, UUID], KnownItem]) -> dict[UUID, Book]:
    """Return what the tenants' mappings say about items, with the products that they name."""
    named = {
        target.product_id for item in items.values() for rule in item.rules.rules for target in rule.targets
    }
    products = await load_products(connection, named) if named else {}
    rules: dict[UUID, dict[UUID, ItemRules]] = {}
    for (tenant_id, item_id), item in items.items():
        rules.setdefault(tenant_id, {})[item_id] = item.rules
    none: dict[str, Product] = {}
    return {tenant_id: Book(each, products.get(tenant_id, none)) for tenant_id, each in rules.items()}
