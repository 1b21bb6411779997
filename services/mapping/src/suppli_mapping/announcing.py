"""Saying once that an item waits for a mapping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_service_kit.kafka.messages import OutMessage

from suppli_mapping.adapters.items import all_products, announce
from suppli_mapping.adapters.messages import item_unmapped
from suppli_mapping.domain.suggest import Suggester

_AT_ONCE = 20  # items compared with all products before other work gets a turn


async def announcements(
    connection: AsyncConnection, item_ids: Iterable[UUID], at: datetime, traceparent: str | None
) -> list[OutMessage]:
    """Return the messages of items that are announced now, with suggestions."""
    items = await announce(connection, item_ids, at)
    if not items:
        return []
    suggesters = {
        tenant: Suggester(products) for tenant, products in (await all_products(connection)).items()
    }
    said = []
    for index, item in enumerate(items):
        if index % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        suggester = suggesters.get(item.tenant_id)
        found = (
            ()
            if suggester is None
            else suggester.suggest(
                sku=item.sku, barcode=item.barcode, name=item.name, variation_name=item.variation_name
            )
        )
        said.append(item_unmapped(item, found, at=at, traceparent=traceparent))
    return said
