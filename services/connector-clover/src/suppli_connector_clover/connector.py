"""Clover as the kit sees it: every call that we make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.errors import CodeRefused, Gone
from suppli_connector_kit.oauth import CodeFlow
from suppli_connector_kit.paging import Listed, instant_pages, slices
from suppli_connector_kit.protocol import (
    Application,
    CatalogPage,
    LocationContext,
    OrderPage,
    OrderRef,
    Sale,
    Session,
    Tokens,
    Window,
)
from suppli_contracts.internal import Account, AccountLocation

from suppli_connector_clover.domain import catalog
from suppli_connector_clover.domain.models import (
    EXPAND,
    LINE_EXPAND,
    READER,
    Elements,
    LineItem,
    Order,
    listed,
)
from suppli_connector_clover.domain.normalise import REVISION, normalise
from suppli_connector_clover.manifest import MANIFEST, MOST_DAYS_US, NESTED_CAP, PAGE_SIZE, STEP_US

T = TypeVar("T")
Query = Sequence[tuple[str, str | int]]


class TokenAnswer(msgspec.Struct):
    """A pair; expirations are Unix seconds."""

    access_token: str
    access_token_expiration: int
    refresh_token: str | None = None
    refresh_token_expiration: int | None = None


class Properties(msgspec.Struct):
    """A merchant's."""

    timezone: str | None = None


class Merchant(msgspec.Struct):
    """The account: at Clover that is one place of business."""

    id: str
    name: str | None = None
    defaultCurrency: str | None = None  # noqa: N815 - Clover's name
    properties: Properties | None = None


_read_tokens = msgspec.json.Decoder(TokenAnswer).decode
_read_merchant = msgspec.json.Decoder(Merchant).decode
_read_lines = msgspec.json.Decoder(Elements[LineItem]).decode


class CloverConnector(CodeFlow):
    """Implements the kit's `Connector[Order]`; what methods do and raise is said there."""

    manifest = MANIFEST
    normaliser_revision = REVISION
    locations_per_call = 1
    ids_per_call = 100
    authorize_path = "/oauth/v2/authorize"
    token_path = "/oauth/v2/token"  # noqa: S105 - a path, no secret
    refresh_path = "/oauth/v2/refresh"
    asks_scopes = False  # permissions are the app's

    def __init__(self, client: ProviderClient, *, web_url: str = "", page_size: int = PAGE_SIZE) -> None:
        super().__init__(client, web_url=web_url)
        self._page_size = page_size

    def read_tokens(self, body: bytes) -> Tokens:
        """Return what the token endpoints answered; whose they are, the redirect said."""
        answer = _read_tokens(body)
        ends = answer.refresh_token_expiration
        return Tokens(
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
            expires_at=datetime.fromtimestamp(answer.access_token_expiration, UTC),
            refresh_expires_at=None if ends is None else datetime.fromtimestamp(ends, UTC),
        )

    def code_grant(self, application: Application, code: str, redirect_uri: str) -> Mapping[str, str]:
        """Return what trades a code for a pair."""
        return {
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "code": code,
        }

    def refresh_grant(self, application: Application, refresh_token: str) -> Mapping[str, str]:
        """Return what trades a refresh token for a new pair: without the secret."""
        return {"client_id": application.client_id, "refresh_token": refresh_token}

    def sign_in(self, credentials: Mapping[str, str]) -> Tokens:
        """Return a merchant's own API token: it does not expire."""
        merchant, token = credentials["merchant_id"].strip(), credentials["token"].strip()
        if not (merchant.isascii() and merchant.isalnum()) or not token.isascii() or not token.isprintable():
            raise CodeRefused(
                "a merchant ID has letters and digits alone, a token no blanks: look at both again"
            )
        return Tokens(access_token=token, account_id=merchant)

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Do nothing: Clover has no such call; the merchant uninstalls the app, or deletes the token."""

    async def account(self, session: Session) -> Account:
        """Return the merchant that the token stands for, as the one location that it is."""
        found, _ = await self._get(session, "", _read_merchant, [("expand", "properties")])
        zone = None if found.properties is None else found.properties.timezone
        place = AccountLocation(
            location_id=found.id, name=found.name or found.id, timezone=zone, currency=found.defaultCurrency
        )
        return Account(
            account_id=found.id,
            name=found.name or found.id,
            environment=session.environment,
            locations=(place,),
        )

    async def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`, oldest first, and those that were deleted within it."""
        start, end = to_us(window.from_at), to_us(window.to_at)
        gone = await self._deleted(session, start, end)

        async def ask(from_us: int, to_us: int, offset: int) -> Listed:
            query = _between("modifiedTime", from_us, to_us)
            return await self._orders(session, query, offset, floor_us=from_us)

        pages = instant_pages(ask, start, end, limit=self._page_size, most_us=MOST_DAYS_US, step_us=STEP_US)
        async for page in pages:
            upto = end if page.last or not page.orders else page.orders[-1].modified_us
            now = [order for order in gone if order.modified_us <= upto] if page.orders or page.last else []
            gone = gone[len(now) :]
            orders = sorted([*page.orders, *now], key=lambda order: order.modified_us) if now else page.orders
            yield OrderPage(orders, last=page.last, provider_now=page.provider_now)

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those orders that exist; Clover leaves the others out."""
        wanted = ",".join(f"'{order_id}'" for order_id in order_ids)
        found = await self._orders(session, [("filter", f"id in ({wanted})")], 0, floor_us=0)
        return OrderPage(found.orders, last=True, provider_now=found.now)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Yield the whole inventory: a change of a category or a modifier moves no item's stamp."""
        async for items in self._pages(session, "/items", catalog.read_items, ("categories",)):
            yield CatalogPage(catalog.items(items), last=False)
        async for groups in self._pages(session, "/modifier_groups", catalog.read_groups, ("modifiers",)):
            yield CatalogPage(catalog.modifiers(groups), last=False)
        yield CatalogPage((), last=True, complete=True)

    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        """Understand an order."""
        return normalise(raw, location)

    # --- asking -----------------------------------------------------------------------------------

    async def _get(
        self, session: Session, path: str, read: Callable[[bytes], T], query: Query = ()
    ) -> tuple[T, datetime | None]:
        address = f"/v3/merchants/{session.account_id}{path}"
        return await self._client.ask(session, "GET", f"{address}?{urlencode(query)}", read)

    async def _orders(self, session: Session, query: Query, offset: int, *, floor_us: int) -> Listed:
        """Return a page of orders with all their lines, ascending by modification."""
        place = session.account_id
        whole: Query = [
            *query,
            ("expand", ",".join(EXPAND)),
            ("orderBy", "modifiedTime ASC"),
            ("limit", self._page_size),
            ("offset", offset),
        ]
        (orders, _), now = await self._get(
            session, "/orders", lambda body: READER.read(body, floor_us, place), whole
        )
        for order in orders:
            if order.raw is not None and len(listed(order.raw.lineItems)) >= NESTED_CAP:
                order.raw.lineItems = await self._lines(session, order.order_id, order.raw.lineItems)
        return Listed(orders, now)

    async def _lines(
        self, session: Session, order_id: str, cut: Elements[LineItem] | None
    ) -> Elements[LineItem] | None:
        """Return all lines of an order whose nested list ends at Clover's limit."""
        lines: list[LineItem] = []
        try:
            async for page in self._pages(
                session, f"/orders/{order_id}/line_items", _read_lines, LINE_EXPAND
            ):
                lines += page.elements
        except Gone:
            return cut  # deleted meanwhile: the walk finds it so
        return Elements(lines)

    async def _deleted(self, session: Session, start_us: int, end_us: int) -> list[OrderRef[Order]]:
        """Return the orders deleted within a window, by the instant of their deletion."""
        found: list[OrderRef[Order]] = []
        for part in slices(start_us, end_us, MOST_DAYS_US):
            offset = 0
            while True:
                page = await self._orders(session, _between("deletedTime", *part), offset, floor_us=part[0])
                found += [_at_deletion(order) for order in page.orders]
                offset += len(page.orders)
                if len(page.orders) < self._page_size:
                    break
        return sorted(found, key=lambda order: order.modified_us)

    async def _pages(
        self, session: Session, path: str, read: Callable[[bytes], T], expand: Sequence[str]
    ) -> AsyncIterator[T]:
        offset = 0
        while True:
            query: Query = [("expand", ",".join(expand)), ("limit", PAGE_SIZE), ("offset", offset)]
            page: Any
            page, _ = await self._get(session, path, read, query)
            yield page
            offset += len(page.elements)
            if len(page.elements) < PAGE_SIZE:
                return


def _between(field: str, start_us: int, end_us: int) -> Query:
    """Return the filters of a window; Clover's times are milliseconds, both ends inclusive."""
    return [("filter", f"{field}>={start_us // 1000}"), ("filter", f"{field}<={-(-end_us // 1000)}")]


def _at_deletion(order: OrderRef[Order]) -> OrderRef[Order]:
    if order.raw is None or order.raw.deletedTimestamp is None:
        return order
    at = order.raw.deletedTimestamp * 1000
    return OrderRef(order.order_id, order.location_id, at, order.raw)
