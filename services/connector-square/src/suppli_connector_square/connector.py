"""Square as the kit sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from suppli_connector_kit.client import ProviderClient
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
from suppli_contracts.internal import Account, AuthorizeRequest

from suppli_connector_square.adapters import oauth, orders
from suppli_connector_square.adapters.account import account
from suppli_connector_square.adapters.catalog import CatalogWalk
from suppli_connector_square.domain.models import Order
from suppli_connector_square.domain.normalise import REVISION, normalise
from suppli_connector_square.manifest import LOCATIONS_PER_CALL, MANIFEST, PAGE_SIZE


class SquareConnector:
    """Implements the kit's `Connector[Order]`; what methods do and raise is said there."""

    manifest = MANIFEST
    normaliser_revision = REVISION
    locations_per_call = LOCATIONS_PER_CALL

    def __init__(self, client: ProviderClient, *, page_size: int = PAGE_SIZE) -> None:
        self._client, self._page_size = client, page_size

    async def authorize_url(self, application: Application, request: AuthorizeRequest) -> str:
        """Return the consent page's address; no PKCE, which would make refresh tokens single-use."""
        return oauth.authorize_url(self._client.base_url, application, request)

    async def exchange(
        self, application: Application, *, code: str, redirect_uri: str, environment: str
    ) -> Tokens:
        """Trade an authorization code for tokens."""
        return await oauth.exchange(
            self._client, application, code=code, redirect_uri=redirect_uri, environment=environment
        )

    async def refresh(self, application: Application, tokens: Tokens) -> Tokens:
        """Return new tokens."""
        return await oauth.refresh(self._client, application, tokens)

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Withdraw our access to the account."""
        await oauth.revoke(self._client, application, tokens)

    async def account(self, session: Session) -> Account:
        """Return the account with its locations."""
        return await account(self._client, session)

    def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`, oldest first."""
        return orders.search(self._client, session, locations, window, self._page_size)

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those orders that exist."""
        return await orders.by_id(self._client, session, order_ids)

    def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Walk the catalog's changes."""
        return CatalogWalk(self._client, session).pages(token)

    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        """Understand an order."""
        return normalise(raw, location)
