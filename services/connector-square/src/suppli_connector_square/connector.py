"""Square as the kit sees it: every call that we make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.instants import to_text, to_us
from suppli_connector_kit.errors import AuthError, CredentialsRefused, Gone, TokenRevoked
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
from suppli_contracts.internal import Account

from suppli_connector_square import answers
from suppli_connector_square.domain.catalog import (
    NESTED,
    REFERENCES,
    SELLING,
    CatalogAnswer,
    References,
    items,
    read_answer,
)
from suppli_connector_square.domain.models import READER, Order
from suppli_connector_square.domain.normalise import REVISION, normalise
from suppli_connector_square.manifest import MANIFEST, PAGE_SIZE

_STATES = ("OPEN", "COMPLETED", "CANCELED")  # a DRAFT is never a sale
_CATALOG_PAGE = 1000


class SquareConnector(CodeFlow):
    """Implements the kit's `Connector[Order]`; what methods do and raise is said there.

    No PKCE: it would make refresh tokens single-use.
    """

    manifest = MANIFEST
    normaliser_revision = REVISION
    locations_per_call = 10
    ids_per_call = 100
    authorize_query = {"session": "false"}  # noqa: RUF012 - a person may choose the account

    def __init__(self, client: ProviderClient, *, page_size: int = PAGE_SIZE) -> None:
        super().__init__(client)
        self._page_size = page_size

    def read_tokens(self, body: bytes) -> Tokens:
        """Return what ObtainToken answered."""
        return answers.read_tokens(body).tokens()

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Withdraw every token of ours for the account."""
        whose = {"merchant_id": tokens.account_id}
        if not tokens.account_id:
            whose = {"access_token": tokens.access_token}
        body = {"client_id": application.client_id, **whose}
        secret = {"Authorization": f"Client {application.client_secret}"}
        try:
            await self._client.post("/oauth2/revoke", body, answers.read_anything, headers=secret, retry=True)
        except (Gone, TokenRevoked):
            return  # withdrawn already
        except AuthError as error:
            raise CredentialsRefused(f"Square refused to revoke: {CredentialsRefused.advice}") from error

    async def account(self, session: Session) -> Account:
        """Return the account that the token stands for, inactive locations included."""
        found, _ = await self._client.ask(session, "GET", "/v2/merchants/me", answers.read_merchant)
        places, _ = await self._client.ask(session, "GET", "/v2/locations", answers.read_locations)
        return Account(
            account_id=found.merchant.id,
            name=found.merchant.business_name or found.merchant.id,
            environment=session.environment,
            locations=tuple(place.account_location() for place in places.locations or ()),
        )

    def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`, oldest first; a cursor lives for 5 minutes."""
        updated = {"start_at": to_text(window.from_at), "end_at": to_text(window.to_at, up=True)}
        filters = {"date_time_filter": {"updated_at": updated}, "state_filter": {"states": _STATES}}
        query = {"filter": filters, "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}
        body = {
            "location_ids": list(locations),
            "query": query,
            "limit": self._page_size,
            "return_entries": False,
        }
        floor_us = to_us(window.from_at)
        return order_pages(self._client, session, "/v2/orders/search", body, READER, floor_us=floor_us)

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those orders that exist; Square leaves the others out."""
        body = {"order_ids": list(order_ids)}
        (found, _), now = await self._client.ask(
            session, "POST", "/v2/orders/batch-retrieve", READER.read, json=body
        )
        return OrderPage(found, last=True, provider_now=now)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Yield the whole catalog where anything in it changed since `token`, else nothing.

        Items name their category and unit by id, and variations change without their item: reading all of
        them is simpler than following what a change touches, and the kit says only what differs. The token is
        `latest_time` of the walk's first answer: what changes while it runs is read again next time.
        """
        if token is not None and not await self._changed(session, token):
            yield CatalogPage((), last=True, next_token=token)
            return
        references = References()
        latest: str | None = None
        async for page in self._search(session, REFERENCES):
            latest = latest or page.latest_time
            references.add(page.objects or ())
        async for page in self._search(session, SELLING):
            yield CatalogPage(items(page.objects or (), references), last=False)
        yield CatalogPage((), last=True, next_token=latest or token, complete=True)

    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        """Understand an order."""
        return normalise(raw, location)

    async def _changed(self, session: Session, since: str) -> bool:
        everything = (*REFERENCES, *SELLING, *NESTED)
        asked = {"begin_time": since, "include_deleted_objects": True}
        async for page in self._search(session, everything, **asked):
            if page.objects:
                return True
        return False

    async def _search(
        self, session: Session, types: Sequence[str], **more: Any
    ) -> AsyncIterator[CatalogAnswer]:
        body = {"object_types": types, "limit": _CATALOG_PAGE, **more}
        async for page in posted_pages(self._client, session, "/v2/catalog/search", body, read_answer):
            yield page.content
