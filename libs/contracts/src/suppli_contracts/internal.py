"""What the gateway asks connectors, the scheduler and mapping over `/internal/v1`, and what they answer.

Bodies are JSON of these Structs. The caller's tenant and actor travel in headers.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import msgspec

from suppli_contracts.events.base import Instant, Part
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.mapping import MappingState, MappingTarget, Suggestion
from suppli_contracts.events.sales import Amounts
from suppli_contracts.events.sync import Republish, RunKind, RunState

# --- connectors -----------------------------------------------------------------------------------


class Scope(Part, frozen=True, kw_only=True):
    """A permission that we ask for, with a sentence on why."""

    name: str
    reason: str


class CredentialField(Part, frozen=True, kw_only=True):
    """Something a person types once to connect, e.g. a token; a secret one is never shown again."""

    name: str
    label: str
    secret: bool = False


class Manifest(Part, frozen=True, kw_only=True):
    """What a provider is and how one connects to it.

    Attributes:
        auth: `oauth` (a redirect) or `token` (typed once): the way that is offered first; `file`: sales come
            in files that people upload, nothing is authorized.
        credentials: what is typed, where an account may be connected so; empty: it may not.
        account_parameter: the redirect's query parameter that names the account, where the tokens do not.
        environments: the provider's environments that this connector may be used with.
        refresh_tokens: `reusable` or `single_use`: what a lost refresh reply costs.
        account_hosts: hosts that the provider's base URL may have in production.
        lateness_hours: how late the provider may learn of a sale.
        page_size: orders a page at most.
        application_requests_per_second: what the provider allows our application for all accounts together.
        requests_in_flight: calls of one account that the provider allows at once, where it has such a limit.
        application_requests_in_flight: the same, of all accounts together.
    """

    provider: str
    name: str
    auth: str
    environments: tuple[str, ...]
    scopes: tuple[Scope, ...]
    refresh_tokens: str
    account_hosts: tuple[str, ...] = ()
    lateness_hours: int = 72
    page_size: int = 1000
    application_requests_per_second: float | None = None
    requests_in_flight: int | None = None
    application_requests_in_flight: int | None = None
    credentials: tuple[CredentialField, ...] = ()
    account_parameter: str | None = None


class AuthorizeRequest(Part, frozen=True, kw_only=True):
    """Where to send a person, bound to `state`; `redirect_uri` is where the provider sends them back."""

    state: str
    redirect_uri: str
    environment: str


class AuthorizeAnswer(Part, frozen=True, kw_only=True):
    """The provider's consent page, and what it will ask for."""

    authorize_url: str
    scopes: tuple[Scope, ...]


class ExchangeRequest(Part, frozen=True, kw_only=True):
    """The provider's answer to the consent; asked again with the same `state` the kept result returns.

    Attributes:
        account_id: whose consent it is, where the redirect says it.
        credentials: what a person typed instead of going to the provider; then there is no code.
    """

    state: str
    code: str
    redirect_uri: str
    environment: str
    account_id: str = ""
    credentials: dict[str, str] = msgspec.field(default_factory=dict)


class AccountLocation(Part, frozen=True, kw_only=True):
    """One location of a provider's account, as the provider says."""

    location_id: str
    name: str
    timezone: str | None = None
    currency: str | None = None
    active: bool = True


class Account(Part, frozen=True, kw_only=True):
    """The account that answered the test call."""

    account_id: str
    name: str
    environment: str
    locations: tuple[AccountLocation, ...]


class AdoptRequest(Part, frozen=True, kw_only=True):
    """The account already has a connection: move the new tokens of `from_connection_id` to it."""

    from_connection_id: UUID


class PreviewSale(Part, frozen=True, kw_only=True):
    """A sale as it will be understood; nothing is imported."""

    order_id: str
    location_id: str
    occurred_at: Instant
    business_date: date
    net: int
    currency: str
    lines: tuple[str, ...]


class Preview(Part, frozen=True, kw_only=True):
    """The last days' sales and the catalog's size."""

    sales: tuple[PreviewSale, ...]
    orders: int
    items: int
    truncated: bool = False


class SetAsideOrder(Part, frozen=True, kw_only=True):
    """An order that could not be understood, kept without its content."""

    order_id: str
    location_id: str
    reason: str
    field_path: str | None
    normaliser_revision: int
    since: Instant


class SetAsideOrders(Part, frozen=True, kw_only=True):
    """Orders that wait for a better reading."""

    orders: tuple[SetAsideOrder, ...]


# --- sync-scheduler -------------------------------------------------------------------------------


class RunRequest(Part, frozen=True, kw_only=True):
    """Sync now (`manual`), import the past (`backfill`) or say it again (`republish`, with what)."""

    kind: RunKind = RunKind.MANUAL
    settings_revision: int = 0
    republish: Republish | None = None


class Run(Part, frozen=True, kw_only=True):
    """A run as the scheduler knows it.

    Attributes:
        follow_up: booked to start when the running one ends.
        promoted: it was queued already and now goes first.
    """

    run_id: UUID
    connection_id: UUID
    kind: RunKind
    state: RunState
    attempt: int
    requested_at: Instant
    follow_up: bool = False
    promoted: bool = False


# --- mapping --------------------------------------------------------------------------------------


class Item(Part, frozen=True, kw_only=True):
    """An external item with what is known of its sales.

    Attributes:
        lines: ledger lines of it; `parked_lines` of them wait for a mapping.
        quantity: external units sold less returned, as a decimal; `net` their money.
    """

    item_id: UUID
    connection_id: UUID
    item_key: str
    kind: ItemKind
    state: MappingState
    revision: int
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    category: str | None = None
    unit: str = "each"
    targets: tuple[MappingTarget, ...] = ()
    lines: int = 0
    parked_lines: int = 0
    quantity: str = "0"
    net: int = 0
    currency: str | None = None
    first_sold_at: Instant | None = None
    last_sold_at: Instant | None = None
    suggestions: tuple[Suggestion, ...] = ()


class ItemPage(Part, frozen=True, kw_only=True):
    """One page of items; `next_cursor` is None on the last."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


class MapRequest(Part, frozen=True, kw_only=True):
    """Say what an item is.

    Attributes:
        state: mapped (with targets), ignored, or unmapped (take a mapping back).
        from_date: the first business date that it holds for; None = since ever.
        expected_revision: refuse when somebody else changed the mapping meanwhile; None = do not check.
    """

    state: MappingState = MappingState.MAPPED
    targets: tuple[MappingTarget, ...] = ()
    from_date: date | None = None
    expected_revision: int | None = None


class DayTotals(Part, frozen=True, kw_only=True):
    """One business day of a connection's location: where its money went, in minor units.

    sold_net + parked_net + ignored_net + superseded_net + other_net + adjustments = the provider's total less
    tax.

    Attributes:
        sold: what became product sales (money counted once per line).
        superseded_net: lines whose day another way of the same sales counts, or that only compare.
        other_net: lines that count for nothing (cancelled, not yet paid, tests, voids).
        unplaced_net: lines at locations that are tied to no Suppli location.
        void_quantity: quantity on voided lines.
        provider_net: the provider's own total less tax, summed over the orders.
        tax: tax of the counted lines.
    """

    connection_id: UUID
    location_id: str
    business_date: date
    currency: str
    sold_gross: int = 0
    sold_discount: int = 0
    sold_net: int = 0
    sold_quantity: str = "0"
    parked_gross: int = 0
    parked_discount: int = 0
    parked_net: int = 0
    parked_quantity: str = "0"
    ignored_gross: int = 0
    ignored_discount: int = 0
    ignored_net: int = 0
    ignored_quantity: str = "0"
    superseded_gross: int = 0
    superseded_discount: int = 0
    superseded_net: int = 0
    superseded_quantity: str = "0"
    other_gross: int = 0
    other_discount: int = 0
    other_net: int = 0
    void_quantity: str = "0"
    adjustments: int = 0
    tax: int = 0
    provider_net: int = 0


class DayTotalsPage(Part, frozen=True, kw_only=True):
    """Days of a connection, oldest first."""

    days: tuple[DayTotals, ...]


class StandingEntry(Part, frozen=True, kw_only=True):
    """An entry as it now stands, for a consumer that starts late.

    Such a consumer skips versions at or below `entry_version`.
    """

    entry_key: UUID
    entry_version: int
    connection_id: UUID
    order_id: str
    line_id: str
    component: str
    product_id: str
    location_id: str
    business_date: date
    unit: str
    currency: str
    occurred_at: Instant
    standing: Amounts


class Snapshot(Part, frozen=True, kw_only=True):
    """A page of standing entries; pass `next_cursor` until it is None."""

    entries: tuple[StandingEntry, ...]
    next_cursor: str | None = None
