"""What the suite needs of a connector and of its provider's local stand-in, in words that every provider has.

A connector's tests implement `ProviderHarness` over its sandbox. What the provider cannot do is declared in
`Facts.cannot` with the reason, and its checks are skipped, visibly.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import httpx

from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.protocol import Application, Connector, Tokens

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def local_transport() -> httpx.AsyncBaseTransport:
    """Return a way to a provider on this machine, without the certificates: loading them takes long."""
    return httpx.AsyncHTTPTransport(verify=_NO_CERTIFICATES)


Wrap = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]
"""Puts something between the connector and its network."""


class Ability(StrEnum):
    """Something that not every provider can do."""

    LOCATIONS = "several locations in one account"
    FRACTIONS = "modification instants finer than a second"
    SILENT_CHANGES = "content that changes while its last modification does not"
    EXPIRY = "access tokens that end and are refreshed"
    SCOPES = "a permission of its own for each stream"
    CALLS_IN_FLIGHT = "a limit of calls in flight"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so at a provider.

    Attributes:
        page_size: orders a page, as the connector under test asks for them.
        default_cap: orders that the provider returns where nobody says how many.
        zone: the locations' time zone (IANA).
        calls_per_second: most calls of one account that the provider may see within a second.
        calls_in_flight: most of them at once; None where `cannot` says why.
        lateness_hours: how late the provider may learn of a sale.
        cannot: abilities that the provider has not, each with the reason for people.
    """

    page_size: int
    default_cap: int
    zone: str
    calls_per_second: float
    calls_in_flight: int | None = None
    lateness_hours: int = 72
    cannot: Mapping[Ability, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShopLine:
    """Something sold, at a price (minor units) without tax or discount."""

    item: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """A paid order as a shop sees it.

    Attributes:
        order_id: 13 capital letters and digits.
        location: one that `begin` returned.
    """

    order_id: str
    location: str
    sold_at: datetime
    modified_at: datetime
    lines: tuple[ShopLine, ...]


class Odd(StrEnum):
    """In what way a provider's order is unusual."""

    UNKNOWN_FIELDS = "has fields, plain and nested, that nobody has heard of"
    BROKEN = "cannot be understood: something in it has the wrong type"


class Stream(StrEnum):
    """Which of a provider's calls are meant."""

    ORDERS = "lists of orders"
    CATALOG = "the catalog"
    TOKENS = "renewing tokens"
    ANY = "any"


class Strike(StrEnum):
    """What happens to a call."""

    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    SLOW = "slow"
    RESET = "reset"
    LOST_REPLY = "lost_reply"
    TRUNCATED = "truncated_json"
    HTML = "html"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a name
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a name
    SCOPE_REMOVED = "scope_removed"
    TOUCH = "touch_orders"


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes calls of a stream: the first `after` pass, then `times` are struck (None: all from then on).

    Attributes:
        strike: with SCOPE_REMOVED, the stream's permission is taken back before the call is answered; with
            TOUCH, `order_ids` are modified now.
        retry_after: sent with RATE_LIMIT (s); None: not sent.
        delay: of SLOW (s).
    """

    strike: Strike
    stream: Stream = Stream.ORDERS
    after: int = 0
    times: int | None = 1
    retry_after: int | None = None
    delay: float = 0.0
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rates:
    """What the provider saw of one account: most calls within a second, most at once."""

    per_second: int
    in_flight: int


class ProviderHarness(Protocol):
    """A connector over real HTTP, and the local provider that it asks.

    Attributes:
        application: our own credentials there.
        account_id: of the account that `begin` opens.
    """

    @property
    def facts(self) -> Facts:
        """What is so at this provider."""
        ...

    @property
    def application(self) -> Application:
        """Our own credentials there."""
        ...

    @property
    def account_id(self) -> str:
        """The account that `begin` opens."""
        ...

    def open(self, budget: Budget | None, wrap: Wrap | None = None) -> tuple[Connector[Any], ProviderClient]:
        """Return a connector with a client of its own; whoever asks closes the client.

        Args:
            budget: None: the one that the connector has in production.
            wrap: given the transport that the client uses otherwise, returns the one that it uses.
        """
        ...

    def begin(self, now: datetime, locations: int) -> Sequence[str]:
        """Empty the provider, stand its clock at `now`, and open an account; return its locations' ids."""
        ...

    def set_clock(self, now: datetime) -> None:
        """Stand the provider's clock still at `now`; its answers carry it."""
        ...

    def issue(self) -> Tokens:
        """Return tokens of the account, as a consent gives them."""
        ...

    def put(self, orders: Sequence[ShopOrder]) -> None:
        """Make orders, or replace those of the same ids, with the instants that they name."""
        ...

    def put_odd(self, order: ShopOrder, odd: Odd) -> None:
        """Make an unusual order."""
        ...

    def delete(self, order_id: str) -> None:
        """Delete an order, as the shop may, and as merging it into another does."""
        ...

    def truth(self) -> Sequence[ShopOrder]:
        """Return all orders that stand, as the provider itself has them: not by the connector's reading."""
        ...

    def strike(self, *faults: Fault) -> None:
        """Order these faults, in place of all that were ordered."""
        ...

    def calls(self, stream: Stream = Stream.ANY) -> int:
        """Return how many calls were made."""
        ...

    def rates(self) -> Rates:
        """Return what the provider saw of the account."""
        ...
