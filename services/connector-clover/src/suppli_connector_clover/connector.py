"""Clover as the kit sees it: every call that we make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from suppli_connector_kit import protocol as kit
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.errors import Gone, TokenExpired
from suppli_connector_kit.faults import Fault
from suppli_connector_kit.oauth import CodeFlow, TokenFields, account_of, from_seconds, location_of
from suppli_connector_kit.paging import Listed, instant_pages, offset_pages, slices, with_others
from suppli_connector_kit.protocol import CatalogPage, OrderPage, OrderRef, Session
from suppli_contracts.internal import Account

from suppli_connector_clover.domain import catalog as inventory
from suppli_connector_clover.domain import models
from suppli_connector_clover.domain.models import Elements, LineItem, Order, listed
from suppli_connector_clover.domain.normalise import REVISION, normalise
from suppli_connector_clover.manifest import MANIFEST, MOST_DAYS_US, NESTED_CAP, STEP_US

T = TypeVar("T")
Query = Sequence[tuple[str, str | int]]


class Problem(msgspec.Struct):
    """An error body; its message is not repeated."""

    message: str | None = None

    def fault(self) -> Fault:
        """Return that this is Clover's API speaking, and nothing more."""
        return Fault()


class Properties(msgspec.Struct):
    """A merchant's."""

    timezone: str | None = None


class Merchant(msgspec.Struct):
    """The account: at Clover that is one place of business."""

    id: str
    name: str | None = None
    defaultCurrency: str | None = None  # noqa: N815 - Clover's name
    properties: Properties | None = None


_read_merchant = msgspec.json.Decoder(Merchant).decode
_read_lines = msgspec.json.Decoder(Elements[LineItem]).decode


class CloverConnector(CodeFlow):
    """Implements the kit's `Connector[Order]`; what methods do and raise is said there.

    Clover has no call to withdraw access: the merchant uninstalls the app, or deletes the token.
    """

    manifest = MANIFEST
    normaliser_revision = REVISION
    locations_per_call = 1
    ids_per_call = 100
    authorize_path = "/oauth/v2/authorize"
    token_path = "/oauth/v2/token"  # noqa: S105 - a path, no secret
    refresh_path = "/oauth/v2/refresh"
    asks_scopes = False  # permissions are the app's
    names_grants = False
    refreshes_with_secret = False
    token_fields = TokenFields(
        expires="access_token_expiration",
        refresh_expires="refresh_token_expiration",
        stamp=from_seconds,
    )
    problem = Problem
    unauthorized = TokenExpired  # 401: an old token, another region, a missing permission

    async def account(self, session: Session) -> Account:
        """Return the merchant that the token stands for, as the one location that it is."""
        found, _ = await self._get(session, "", _read_merchant, [("expand", "properties")])
        zone = None if found.properties is None else found.properties.timezone
        place = location_of(found.id, found.name, zone, found.defaultCurrency)
        return account_of(session, found.id, found.name, [place])

    async def orders(
        self, session: Session, locations: Sequence[str], window: kit.Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`, oldest first, and those deleted within it."""
        since, until = to_us(window.from_at), to_us(window.to_at)
        gone = await self._deleted(session, since, until)

        async def ask(from_us: int, to_us: int, offset: int) -> Listed:
            query = _between("modifiedTime", from_us, to_us)
            return await self._orders(session, query, offset, from_us)

        limit = self._page_size
        pages = instant_pages(ask, since, until, limit=limit, most_us=MOST_DAYS_US, step_us=STEP_US)
        async for page in with_others(pages, gone, until):
            yield page

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those orders that exist; Clover leaves the others out."""
        wanted = ",".join(f"'{order_id}'" for order_id in order_ids)
        found = await self._orders(session, [("filter", f"id in ({wanted})")], 0, 0)
        return OrderPage(found.orders, last=True, provider_now=found.now)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Yield the whole inventory: a change of a category or a modifier moves no item's stamp."""
        async for items in self._pages(session, "/items", inventory.read_items, "categories"):
            yield CatalogPage(inventory.items(items), last=False)
        read = inventory.read_groups
        async for groups in self._pages(session, "/modifier_groups", read, "modifiers"):
            yield CatalogPage(inventory.modifiers(groups), last=False)
        yield CatalogPage((), last=True, complete=True)

    def normalise(self, raw: Order, location: kit.LocationContext) -> kit.Sale:
        """Understand an order."""
        return normalise(raw, location)

    # --- asking -----------------------------------------------------------------------------------

    async def _get(
        self, session: Session, path: str, read: Callable[[bytes], T], query: Query = ()
    ) -> tuple[T, datetime | None]:
        address = f"/v3/merchants/{session.account_id}{path}"
        return await self._client.ask(session, "GET", f"{address}?{urlencode(query)}", read)

    async def _orders(self, session: Session, query: Query, offset: int, floor_us: int) -> Listed:
        """Return a page of orders with all their lines, ascending by modification."""
        sorted_query: Query = [
            *query,
            ("expand", models.EXPAND),
            ("orderBy", "modifiedTime ASC"),
            ("limit", self._page_size),
            ("offset", offset),
        ]

        def read(body: bytes) -> tuple[list[OrderRef[Order]], str | None]:
            return models.READER.read(body, floor_us, session.account_id)

        (orders, _), now = await self._get(session, "/orders", read, sorted_query)
        for order in orders:
            if order.raw is not None and len(listed(order.raw.lineItems)) >= NESTED_CAP:
                order.raw.lineItems = await self._lines(session, order.raw)
        return Listed(orders, now)

    async def _lines(self, session: Session, order: Order) -> Elements[LineItem] | None:
        """Return all lines of an order whose nested list ends at Clover's limit."""
        lines: list[LineItem] = []
        path = f"/orders/{order.id}/line_items"
        try:
            async for page in self._pages(session, path, _read_lines, models.LINE_EXPAND):
                lines += page.elements
        except Gone:
            return order.lineItems  # deleted meanwhile: the walk finds it so
        return Elements(lines)

    async def _deleted(self, session: Session, since: int, until: int) -> list[OrderRef[Order]]:
        """Return the orders deleted within a window, by the instant of their deletion."""
        found: list[OrderRef[Order]] = []
        for start, end in slices(since, until, MOST_DAYS_US):
            query = _between("deletedTime", start, end)

            async def ask(offset: int, query: Query = query, start: int = start) -> Listed:
                return await self._orders(session, query, offset, start)

            async for page in offset_pages(ask, self._page_size, lambda page: page.orders):
                found += [_at_deletion(order) for order in page.orders]
        return sorted(found, key=lambda order: order.modified_us)

    def _pages(
        self, session: Session, path: str, read: Callable[[bytes], T], expand: str
    ) -> AsyncIterator[T]:
        limit = MANIFEST.page_size

        async def ask(offset: int) -> Any:
            query: Query = [("expand", expand), ("limit", limit), ("offset", offset)]
            page, _ = await self._get(session, path, read, query)
            return page

        return offset_pages(ask, limit, lambda page: page.elements)


def _between(field: str, start_us: int, end_us: int) -> Query:
    """Return the filters of a window; Clover's times are milliseconds, both ends inclusive."""
    since, until = start_us // 1000, -(-end_us // 1000)
    return [("filter", f"{field}>={since}"), ("filter", f"{field}<={until}")]


def _at_deletion(order: OrderRef[Order]) -> OrderRef[Order]:
    if order.raw is None or order.raw.deletedTimestamp is None:
        return order
    at = order.raw.deletedTimestamp * 1000
    return OrderRef(order.order_id, order.location_id, at, order.raw)
