"""The connector's side: as small as a connector of a friendly provider can be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx
import msgspec
from suppli_contracts.events.sales import Disposition, OrderState, SaleTotals
from suppli_contracts.internal import Account, AccountLocation, Manifest, Scope

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.drafts import SaleDraft
from suppli_connector_kit.domain.instants import instant, to_us
from suppli_connector_kit.domain.money import LineMoney
from suppli_connector_kit.domain.reading import OrderReader
from suppli_connector_kit.errors import MissingScope, ProviderError, TokenExpired, TokenRevoked
from suppli_connector_kit.faults import Fault, failure
from suppli_connector_kit.oauth import CodeFlow
from suppli_connector_kit.paging import order_pages, posted_pages
from suppli_connector_kit.protocol import (
    Application,
    CatalogPage,
    LocationContext,
    OrderPage,
    Sale,
    Session,
    Tokens,
    Window,
)

PAGE_SIZE = 10
MANIFEST = Manifest(
    provider="reference",
    name="Reference",
    auth="oauth",
    environments=("production",),
    scopes=(Scope(name="ORDERS", reason="to read sales"),),
    refresh_tokens="reusable",
    account_hosts=("reference.example",),
    page_size=PAGE_SIZE,
)
_CODES: dict[str, type[ProviderError]] = {
    "token_expired": TokenExpired,
    "token_revoked": TokenRevoked,
    "scope_missing": MissingScope,
}


class Line(msgspec.Struct):
    """So many of an item at a price."""

    item: str
    quantity: int
    price: int


class Order(msgspec.Struct):
    """An order as the provider gives it."""

    id: str
    place: str
    modified: str
    sold: str
    lines: list[Line]


class Pair(msgspec.Struct):
    """What the token endpoint answers."""

    access_token: str
    refresh_token: str
    expires_at: str

    def tokens(self) -> Tokens:
        """Return them as the kit keeps them."""
        ends = instant(self.expires_at)
        return Tokens(self.access_token, self.refresh_token, ends, account_id="ACCOUNT")


class Places(msgspec.Struct):
    """The account."""

    places: list[str]


class Items(msgspec.Struct):
    """A page of the catalog."""

    items: list[str]
    cursor: str | None = None


class _Body(msgspec.Struct):
    code: str


def told(response: httpx.Response) -> ProviderError:
    """Return what an answer that is no success means."""
    try:
        fault = Fault(msgspec.json.decode(response.content, type=_Body).code)
    except msgspec.MsgspecError:
        return failure(response, None, name=MANIFEST.name, codes=_CODES)
    return failure(response, fault, name=MANIFEST.name, codes=_CODES)


class ReferenceConnector(CodeFlow):
    """Implements `Connector[Order]`."""

    manifest = MANIFEST
    normaliser_revision = 1
    locations_per_call = 10
    ids_per_call = 100
    reader = OrderReader(Order, ("id", "place", "modified"))

    def __init__(self, client: ProviderClient, *, single_use: bool = False) -> None:
        super().__init__(client)
        if single_use:
            self.manifest = msgspec.structs.replace(MANIFEST, refresh_tokens="single_use")

    def read_tokens(self, body: bytes) -> Tokens:
        """Return what the token endpoint answered."""
        return msgspec.json.decode(body, type=Pair).tokens()

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Do nothing: the provider has no such call."""

    async def account(self, session: Session) -> Account:
        """Return the account."""
        found, _ = await self._client.ask(
            session, "GET", "/account", lambda body: msgspec.json.decode(body, type=Places)
        )
        places = tuple(AccountLocation(location_id=place, name=place) for place in found.places)
        return Account(account_id="ACCOUNT", name="Shop", environment="production", locations=places)

    def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`."""
        query = {
            "places": list(locations),
            "from": window.from_at.isoformat(),
            "to": window.to_at.isoformat(),
            "limit": PAGE_SIZE,
        }
        floor_us = to_us(window.from_at)
        return order_pages(self._client, session, "/orders/search", query, self.reader, floor_us=floor_us)

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those of the orders that exist."""
        (found, _), now = await self._client.ask(
            session, "POST", "/orders/by-id", self.reader.read, json={"ids": list(order_ids)}
        )
        return OrderPage(found, last=True, provider_now=now)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Read a catalog that is empty."""

        def read(body: bytes) -> tuple[Items, str | None]:
            page = msgspec.json.decode(body, type=Items)
            return page, page.cursor

        async for _ in posted_pages(self._client, session, "/catalog", {}, read):
            yield CatalogPage((), last=True, complete=True)

    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        """Understand an order."""
        draft = SaleDraft(instant(raw.sold), location)
        for number, line in enumerate(raw.lines):
            worth = line.quantity * line.price
            money = LineMoney(worth, worth, 0, worth, 0)
            line_id = draft.ids.take(None, f"line-{number}")
            sold = Disposition.SOLD
            draft.add(
                line_id, sold, money, str(line.quantity), path=f"lines[{number}]", variation_id=line.item
            )
        return Sale(
            order_id=raw.id,
            location_id=raw.place,
            state=OrderState.COMPLETED,
            currency="USD",
            totals=SaleTotals(total=draft.explained()),
            lines=tuple(draft.lines),
            adjustments=(),
        )
