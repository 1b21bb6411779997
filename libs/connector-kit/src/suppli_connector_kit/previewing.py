"""The last days' sales as they will be understood; nothing is kept and nothing is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.internal import Account, Preview, PreviewSale
from suppli_service_kit.clock import Clock

from suppli_connector_kit.domain.sale import assured
from suppli_connector_kit.engine.run import imported_locations
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import Connector, LocationContext, Sale, Session, Window, Zone

SECONDS = 12.0
MOST_SALES = 200
MOST_LINES = 20


class Previewer:
    """Reads an account's last days, for at most some seconds."""

    def __init__(self, connector: Connector[Any], clock: Clock) -> None:
        self._connector, self._clock = connector, clock
        self._sales: list[PreviewSale] = []
        self._orders = 0
        self._items = 0

    async def preview(self, session: Session, days: int, connection: ConnectionChanged | None) -> Preview:
        """Return the sales modified within the last `days`, and the number of items in the catalog.

        Args:
            connection: tells chosen locations with their zones, where somebody has chosen already.

        Raises:
            ProviderError: the account cannot be read.
        """
        account = await self._connector.account(session)
        contexts = _contexts(account, connection)
        truncated = False
        try:
            async with asyncio.timeout(SECONDS):
                await self._read_orders(session, contexts, days)
                async for page in self._connector.catalog(session, None):
                    self._items += sum(not item.deleted for item in page.items)
        except TimeoutError:
            truncated = True
        newest = sorted(self._sales, key=lambda sale: sale.occurred_at, reverse=True)
        return Preview(
            sales=tuple(newest[:MOST_SALES]),
            orders=self._orders,
            items=self._items,
            truncated=truncated or len(newest) > MOST_SALES,
        )

    async def _read_orders(
        self, session: Session, contexts: Mapping[str, LocationContext], days: int
    ) -> None:
        now = self._clock.now()
        window = Window(now - timedelta(days=days), now)
        names, size = sorted(contexts), self._connector.locations_per_call
        for at in range(0, len(names), size):
            pages: AsyncIterator[Any] = self._connector.orders(session, names[at : at + size], window)
            async for page in pages:
                self._orders += len(page.orders)
                for order in page.orders:
                    context = contexts.get(order.location_id)
                    if context is not None and order.raw is not None:
                        self._add(order.raw, context, order.modified_us)

    def _add(self, raw: Any, context: LocationContext, modified_us: int) -> None:
        try:
            sale = assured(self._connector.normalise(raw, context), context, modified_us)
        except OrderNotUnderstood:
            return
        if sale.lines:
            self._sales.append(_shown(sale))


def _contexts(account: Account, connection: ConnectionChanged | None) -> dict[str, LocationContext]:
    chosen = imported_locations(connection) if connection is not None else {}
    if chosen:
        return chosen
    return {
        location.location_id: LocationContext(
            location.location_id, location.currency, (Zone(location.timezone or "UTC", "00:00"),)
        )
        for location in account.locations
        if location.active
    }


def _shown(sale: Sale) -> PreviewSale:
    return PreviewSale(
        order_id=sale.order_id,
        location_id=sale.location_id,
        occurred_at=sale.lines[0].occurred_at,
        business_date=sale.lines[0].business_date,
        net=sum(line.net for line in sale.lines),
        currency=sale.currency,
        lines=tuple(f"{line.quantity} x {line.name or 'custom'}" for line in sale.lines[:MOST_LINES]),
    )
