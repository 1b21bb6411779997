"""Square as the kit sees it: every call that we make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from suppli_connector_kit import errors
from suppli_connector_kit import protocol as kit
from suppli_connector_kit.domain.instants import to_text, to_us
from suppli_connector_kit.oauth import CodeFlow, TokenFields, Withdrawal, account_of
from suppli_connector_kit.paging import order_pages, posted_pages
from suppli_connector_kit.protocol import CatalogPage, OrderPage, Session
from suppli_contracts.internal import Account

from suppli_connector_square import answers
from suppli_connector_square.domain import catalog as listing
from suppli_connector_square.domain.models import READER, Order
from suppli_connector_square.domain.normalise import REVISION, normalise
from suppli_connector_square.manifest import MANIFEST, SQUARE_VERSION

_SALES = {"states": ("OPEN", "COMPLETED", "CANCELED")}  # a DRAFT is never one
_OLDEST_FIRST = {"sort_field": "UPDATED_AT", "sort_order": "ASC"}


class SquareConnector(CodeFlow):
    """Implements the kit's `Connector[Order]`; what methods do and raise is said there.

    No PKCE: it would make refresh tokens single-use.
    """

    manifest = MANIFEST
    normaliser_revision = REVISION
    locations_per_call = 10
    ids_per_call = 100
    headers = {"Square-Version": SQUARE_VERSION}  # noqa: RUF012
    authorize_query = {"session": "false"}  # noqa: RUF012 - a person may choose the account
    token_fields = TokenFields(account="merchant_id")
    revoke_path = "/oauth2/revoke"
    problem = answers.Problem
    codes = {  # noqa: RUF012
        "ACCESS_TOKEN_EXPIRED": errors.TokenExpired,
        "ACCESS_TOKEN_REVOKED": errors.TokenRevoked,
        "CLIENT_DISABLED": errors.CredentialsRefused,
        "INSUFFICIENT_SCOPES": errors.MissingScope,
        "INVALID_CURSOR": errors.CursorExpired,
    }

    def revocation(self, application: kit.Application, tokens: kit.Tokens) -> Withdrawal:
        """Return what withdraws every token of ours for the account."""
        whose = {"merchant_id": tokens.account_id}
        if not tokens.account_id:
            whose = {"access_token": tokens.access_token}
        secret = {"Authorization": f"Client {application.client_secret}"}
        return Withdrawal({"client_id": application.client_id, **whose}, secret)

    async def account(self, session: Session) -> Account:
        """Return the account that the token stands for, inactive locations included."""
        ask = self._client.ask
        found, _ = await ask(session, "GET", "/v2/merchants/me", answers.read_merchant)
        places, _ = await ask(session, "GET", "/v2/locations", answers.read_locations)
        chosen_from = (place.account_location() for place in places.locations or ())
        return account_of(session, found.merchant.id, found.merchant.business_name, chosen_from)

    def orders(
        self, session: Session, locations: Sequence[str], window: kit.Window
    ) -> AsyncIterator[OrderPage[Order]]:
        """Walk the orders modified within `window`, oldest first; a cursor lives for 5 minutes."""
        updated = {"start_at": to_text(window.from_at), "end_at": to_text(window.to_at, up=True)}
        filters = {"date_time_filter": {"updated_at": updated}, "state_filter": _SALES}
        query = {"filter": filters, "sort": _OLDEST_FIRST}
        body = {"location_ids": list(locations), "query": query, "limit": self._page_size}
        floor_us = to_us(window.from_at)
        path = "/v2/orders/search"
        return order_pages(self._client, session, path, body, READER, floor_us=floor_us)

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
        """Return those orders that exist; Square leaves the others out."""
        path, body = "/v2/orders/batch-retrieve", {"order_ids": list(order_ids)}
        (found, _), now = await self._client.ask(session, "POST", path, READER.read, json=body)
        return OrderPage(found, last=True, provider_now=now)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Yield the whole catalog where anything in it changed since `token`, else nothing.

        Items name their category and unit by id, and variations change without their item: reading
        all of them is simpler than following what a change touches, and the kit says only what
        differs. The token is `latest_time` of the walk's first answer: what changes while it runs
        is read again next time.
        """
        if token is not None and not await self._changed(session, token):
            yield CatalogPage((), last=True, next_token=token)
            return
        names: dict[str, str] = {}
        latest: str | None = None
        async for page in self._search(session, listing.REFERENCES):
            latest = latest or page.latest_time
            names |= listing.names(page.objects or ())
        async for page in self._search(session, listing.SELLING):
            yield CatalogPage(listing.items(page.objects or (), names), last=False)
        yield CatalogPage((), last=True, next_token=latest or token, complete=True)

    def normalise(self, raw: Order, location: kit.LocationContext) -> kit.Sale:
        """Understand an order."""
        return normalise(raw, location)

    async def _changed(self, session: Session, since: str) -> bool:
        asked = {"begin_time": since, "include_deleted_objects": True}
        async for page in self._search(session, listing.EVERYTHING, **asked):
            if page.objects:
                return True
        return False

    async def _search(
        self, session: Session, types: Sequence[str], **more: Any
    ) -> AsyncIterator[listing.CatalogAnswer]:
        path, read = "/v2/catalog/search", listing.read_answer
        body = {"object_types": types, "limit": MANIFEST.page_size, **more}
        async for page in posted_pages(self._client, session, path, body, read):
            yield page.content
