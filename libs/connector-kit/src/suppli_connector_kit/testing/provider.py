"""A provider in memory: orders sorted by modification, pages by key, tokens that end, and faults to order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from suppli_contracts.events.sales import Disposition, OrderState, SaleLine, SaleTotals
from suppli_contracts.internal import (
    Account,
    AccountLocation,
    AuthorizeRequest,
    CredentialField,
    Manifest,
    Scope,
)
from suppli_service_kit.clock import Clock

from suppli_connector_kit.domain.business_day import business_date
from suppli_connector_kit.domain.instants import from_us, to_us
from suppli_connector_kit.errors import AuthError, CodeRefused, NetworkError, OrderNotUnderstood
from suppli_connector_kit.protocol import (
    Application,
    CatalogItem,
    CatalogPage,
    LocationContext,
    OrderPage,
    OrderRef,
    Sale,
    Session,
    Tokens,
    Window,
)

PROVIDER = "memory"


@dataclass(frozen=True, slots=True)
class MemoryOrder:
    """An order of one line; `broken` ones cannot be understood."""

    order_id: str
    location_id: str
    modified_us: int
    net: int = 500
    occurred_at: datetime | None = None
    broken: bool = False


class MemoryProvider:
    """Implements `Connector[MemoryOrder]`.

    Attributes:
        orders_by_key: the orders it holds, by id; change them as a till would.
        calls: what was asked for, in sequence.
        client_secrets: our own secrets that it accepts; None = any.
        on_page: awaited before each page of a walk with its number from 0; may raise, or change orders.
        away: whether `ping` finds nobody.
        on_revoke: awaited when the provider is asked to withdraw our access, before it does; may raise.
        on_refresh: awaited after the provider has spent the refresh token and before it answers.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        single_use: bool = False,
        page_size: int = 1000,
        locations: Sequence[str] = ("L1",),
        token_seconds: float = 3600,
    ) -> None:
        self.manifest = Manifest(
            provider=PROVIDER,
            name="Memory",
            auth="oauth",
            environments=("production",),
            scopes=(Scope(name="ORDERS_READ", reason="to read sales"),),
            refresh_tokens="single_use" if single_use else "reusable",
            account_hosts=("memory.example",),
            page_size=page_size,
            credentials=(CredentialField(name="token", label="Token", secret=True),),
        )
        self.normaliser_revision = 1
        self.locations_per_call = 10
        self.ids_per_call = 100
        self.orders_by_key: dict[str, MemoryOrder] = {}
        self.items: list[CatalogItem] = []
        self.calls: list[str] = []
        self.client_secrets: set[str] | None = None
        self.on_page: Callable[[int], Awaitable[None]] | None = None
        self.on_revoke: Callable[[], Awaitable[None]] | None = None
        self.on_refresh: Callable[[], Awaitable[None]] | None = None
        self.access_tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.away = False
        self.refreshes = 0
        self.revoked = 0
        self._single_use, self._page_size = single_use, page_size
        self._clock, self._locations = clock, locations
        self._token_seconds = token_seconds
        self._issued = 0

    def put(self, *orders: MemoryOrder) -> None:
        """Add orders, or replace those of the same id."""
        self.orders_by_key.update({order.order_id: order for order in orders})

    def issue(self) -> Tokens:
        """Return a new pair."""
        self._issued += 1
        tokens = Tokens(
            access_token=f"access-{self._issued}",
            refresh_token=f"refresh-{self._issued}",
            expires_at=self._clock.now() + timedelta(seconds=self._token_seconds),
            account_id="ACCOUNT",
        )
        self.access_tokens.add(tokens.access_token)
        self.refresh_tokens.add(tokens.refresh_token or "")
        return tokens

    async def ping(self) -> None:
        """Answer, unless the provider is away."""
        if self.away:
            raise NetworkError("Memory was not reached")

    async def authorize_url(self, application: Application, request: AuthorizeRequest) -> str:
        """Return a consent page."""
        return f"https://memory.example/authorize?client_id={application.client_id}&state={request.state}"

    async def exchange(
        self, application: Application, *, code: str, redirect_uri: str, environment: str
    ) -> Tokens:
        """Trade a code, once."""
        self._known(application)
        self.calls.append(f"exchange {code}")
        if not code.startswith("good") or self.calls.count(f"exchange {code}") > 1:
            raise CodeRefused("the code was used or is wrong")
        return self.issue()

    def sign_in(self, credentials: Mapping[str, str]) -> Tokens:
        """Return the typed token."""
        return Tokens(access_token=credentials["token"], account_id="ACCOUNT")

    async def refresh(self, application: Application, tokens: Tokens) -> Tokens:
        """Return a new pair; a single-use refresh token is spent by it, whether the answer arrives or not."""
        self._known(application)
        self.calls.append("refresh")
        if tokens.refresh_token not in self.refresh_tokens:
            raise AuthError("the refresh token is not accepted")
        self.refreshes += 1
        if self._single_use:
            self.refresh_tokens.discard(tokens.refresh_token)
        new = self.issue()
        if not self._single_use:
            new = Tokens(new.access_token, tokens.refresh_token, new.expires_at, None, "ACCOUNT")
        if self.on_refresh is not None:
            await self.on_refresh()
        return new

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Withdraw all access."""
        self._known(application)
        self.calls.append("revoke")
        if self.on_revoke is not None:
            await self.on_revoke()
        self.revoked += 1
        self.access_tokens.clear()
        self.refresh_tokens.clear()

    async def account(self, session: Session) -> Account:
        """Return the account."""
        await self._authorized(session)
        return Account(
            account_id="ACCOUNT",
            name="Memory shop",
            environment="production",
            locations=tuple(
                AccountLocation(location_id=location, name=location, timezone="UTC", currency="USD")
                for location in self._locations
            ),
        )

    async def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[MemoryOrder]]:
        """Walk the orders modified within the window, each page as things stand when it is asked for."""
        number, after = 0, (to_us(window.from_at), "")
        self.calls.append(f"orders {','.join(locations)} {window.from_at.isoformat()}")
        while True:
            await self._authorized(session)
            if self.on_page is not None:
                await self.on_page(number)
            found = sorted(
                (order.modified_us, order.order_id)
                for order in list(self.orders_by_key.values())
                if order.location_id in locations
                and (order.modified_us, order.order_id) > after
                and order.modified_us <= to_us(window.to_at)
            )
            taken = found[: self._page_size]
            last = len(found) <= self._page_size
            yield self._page([self.orders_by_key[key] for _, key in taken], last=last)
            if last:
                return
            number, after = number + 1, taken[-1]

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[MemoryOrder]:
        """Return the orders that exist."""
        self.calls.append(f"by id {','.join(order_ids)}")
        found = [self.orders_by_key[key] for key in order_ids if key in self.orders_by_key]
        return self._page(found, last=True)

    async def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Return the whole catalog, in one page."""
        self.calls.append(f"catalog {token}")
        await self._authorized(session)
        whole = token is None
        yield CatalogPage(self.items if whole else (), last=True, next_token="seen", complete=whole)  # noqa: S106 - a place, no secret

    def normalise(self, raw: MemoryOrder, location: LocationContext) -> Sale:
        """Read an order."""
        if raw.broken:
            raise OrderNotUnderstood("the quantity is not a number", "lines[0].quantity")
        at = raw.occurred_at or from_us(raw.modified_us)
        line = SaleLine(
            line_id="1",
            occurred_at=at,
            business_date=business_date(at, location.zones),
            disposition=Disposition.SOLD,
            quantity="1",
            gross=raw.net,
            discount=0,
            net=raw.net,
            item_id="I1",
            variation_id="V1",
            name="Coffee",
        )
        return Sale(
            order_id=raw.order_id,
            location_id=raw.location_id,
            state=OrderState.COMPLETED,
            currency="USD",
            totals=SaleTotals(total=raw.net),
            lines=(line,),
            adjustments=(),
        )

    def _known(self, application: Application) -> None:
        if self.client_secrets is not None and application.client_secret not in self.client_secrets:
            raise AuthError("the client secret is not accepted")

    def _page(self, orders: list[MemoryOrder], *, last: bool) -> OrderPage[MemoryOrder]:
        refs = [OrderRef(each.order_id, each.location_id, each.modified_us, each) for each in orders]
        return OrderPage(refs, last, self._clock.now())

    async def _authorized(self, session: Session) -> None:
        token = await session.access_token()
        if token not in self.access_tokens:
            token = await session.renewed(token)
            if token not in self.access_tokens:
                raise AuthError("the access token is not accepted")
        await asyncio.sleep(0)


def lost_reply() -> NetworkError:
    """Return the error of an answer that got lost on its way."""
    return NetworkError("the connection broke before the answer came")
