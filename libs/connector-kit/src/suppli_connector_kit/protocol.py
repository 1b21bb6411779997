"""What a provider's connector must be able to do. Everything else is the kit's.

A connector is close to data: a manifest, a client that asks the provider, and a pure function from
the provider's order to a sale. It never touches Kafka, the database or Vault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, Protocol, TypeVar

import msgspec
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.sales import Adjustment, OrderState, SaleLine, SaleTotals
from suppli_contracts.internal import Account, AuthorizeRequest, Manifest

RawOrder = TypeVar("RawOrder")
RawOrder_co = TypeVar("RawOrder_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Application:
    """Our own credentials at the provider, from Vault."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gave us for one account.

    Attributes:
        expires_at: end of the access token; None = it does not expire.
        refresh_expires_at: end of the refresh token, where it has one.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    account_id: str = ""
    environment: str = "production"


class Session(Protocol):
    """An authorised account during a run: gives the token that is valid now."""

    @property
    def account_id(self) -> str:
        """The provider's account."""
        ...

    @property
    def environment(self) -> str:
        """The provider's environment."""
        ...

    async def access_token(self) -> str:
        """Return an access token that is valid now, refreshing it where it is near its end."""
        ...

    async def renewed(self, refused: str) -> str:
        """Return another token after the provider refused `refused`; raises `AuthError` when there is
        none.
        """
        ...

    async def superseding(self, refused: str) -> str | None:
        """Return the token that took the place of `refused` by now, None where it still is the one."""
        ...


@dataclass(frozen=True, slots=True)
class Zone:
    """How a location tells its business day, from a date on (None = since ever)."""

    timezone: str
    day_cutoff: str
    from_date: date | None = None


@dataclass(frozen=True, slots=True)
class LocationContext:
    """What a normaliser needs to know of the order's location; `zones` oldest first, never empty."""

    location_id: str
    currency: str | None
    zones: tuple[Zone, ...]


class OrderRef(msgspec.Struct, Generic[RawOrder_co], frozen=True, gc=False):
    """One order in a page, before it is understood.

    Attributes:
        modified_us: the provider's last-modified instant in microseconds since 1970 UTC.
        raw: the provider's order; None where its shape could not be read, `problem` then says why.
    """

    order_id: str
    location_id: str
    modified_us: int
    raw: RawOrder_co | None
    problem: str | None = None
    problem_path: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPage(Generic[RawOrder_co]):
    """One page of orders, ascending by modification instant within its walk.

    Attributes:
        orders: whoever reads them may empty the list.
        provider_now: the provider's clock, from its answer, where it tells.
        last: no further page in this walk.
    """

    orders: list[OrderRef[RawOrder_co]]
    last: bool
    provider_now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A time of modification to read, both ends inclusive."""

    from_at: datetime
    to_at: datetime


class Sale(msgspec.Struct, frozen=True, gc=False):
    """An order as sales need it; the kit adds whose it is and its versions."""

    order_id: str
    location_id: str
    state: OrderState
    currency: str
    totals: SaleTotals
    lines: tuple[SaleLine, ...]
    adjustments: tuple[Adjustment, ...]
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One sellable thing or modifier of the provider's catalog."""

    external_id: str
    kind: ItemKind
    parent_id: str | None = None
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    category: str | None = None
    unit: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """Items of the catalog; those that did not change may be among them.

    Attributes:
        next_token: kept once the last page is recorded.
        complete: said by the last page: the walk showed all there is, so what it did not show is gone.
    """

    items: Sequence[CatalogItem]
    last: bool
    next_token: str | None = None
    complete: bool = False


class Connector(Protocol[RawOrder]):
    """A provider. Methods raise the errors of `suppli_connector_kit.errors`, and nothing else on purpose.

    Attributes:
        normaliser_revision: grows with every change of what `normalise` makes of an order.
        locations_per_call: most locations that `orders` is asked for at once.
        ids_per_call: most orders that `orders_by_id` is asked for at once.
    """

    manifest: Manifest
    normaliser_revision: int
    locations_per_call: int
    ids_per_call: int

    async def ping(self) -> None:
        """Ask whether the provider answers at all: cheaply, once, for no account.

        Raises:
            NetworkError: it was not reached.
            ProviderUnavailable: it answered that it is broken.
        """
        ...

    async def authorize_url(self, application: Application, request: AuthorizeRequest) -> str:
        """Return the provider's consent page for our least scopes."""
        ...

    async def exchange(
        self, application: Application, *, code: str, redirect_uri: str, environment: str
    ) -> Tokens:
        """Trade an authorization code for tokens.

        Raises:
            CodeRefused: the code is wrong, used or too old.
        """
        ...

    def sign_in(self, credentials: Mapping[str, str]) -> Tokens:
        """Return the tokens that a person typed, by the manifest's `credentials`; whoever asks tests them.

        Raises:
            CodeRefused: they have not the shape of such tokens.
        """
        ...

    async def refresh(self, application: Application, tokens: Tokens) -> Tokens:
        """Return new tokens for the refresh token of `tokens`.

        Raises:
            AuthError: the refresh token is no longer accepted.
        """
        ...

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Withdraw our access to the account; quiet when it is withdrawn already."""
        ...

    async def account(self, session: Session) -> Account:
        """Return the account with its locations: the cheapest call that proves the token."""
        ...

    def orders(
        self, session: Session, locations: Sequence[str], window: Window
    ) -> AsyncIterator[OrderPage[RawOrder]]:
        """Walk the orders modified within `window` at `locations` (at most `locations_per_call`),
        oldest first.
        """
        ...

    async def orders_by_id(self, session: Session, order_ids: Sequence[str]) -> OrderPage[RawOrder]:
        """Return those of at most `ids_per_call` orders that (still) exist, in one page."""
        ...

    def catalog(self, session: Session, token: str | None) -> AsyncIterator[CatalogPage]:
        """Walk the catalog's changes since `token`, or all of it where there are any; None = all of it."""
        ...

    def normalise(self, raw: RawOrder, location: LocationContext) -> Sale:
        """Understand an order (pure).

        Raises:
            OrderNotUnderstood: with reason and field path; never with the order's content.
        """
        ...
