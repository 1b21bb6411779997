"""Connections as the public API takes and says them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from suppli_contracts.events.connections import Schedule, ScheduleKind, Way

from suppli_gateway.connections.changes import LocationChange
from suppli_gateway.days.schemas import DayStateName, WayUseName
from suppli_gateway.runs.schemas import REQUESTED_EXAMPLE, RUN_EXAMPLE, RequestedRun, RunView, WaitsForName

StateName = Literal["pending", "connected", "syncing", "error", "paused", "disconnected"]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]

CONNECTION_ID = RUN_EXAMPLE["connection_id"]
DAILY: Any = {"kind": "daily", "daily_at": "04:00", "timezone": "America/Los_Angeles"}
LOCATION_CHANGE: Any = {
    "location_id": "LSEATTLE",
    "chosen": True,
    "suppli_location_id": "pike-street",
    "timezone": "America/Los_Angeles",
    "day_cutoff": "03:00",
}
LOCATION_EXAMPLE: Any = {
    "location_id": "LSEATTLE",
    "name": "Seattle, Pike Street",
    "currency": "USD",
    "chosen": True,
    "suppli_location_id": "pike-street",
    "zones": [{"timezone": "America/Los_Angeles", "day_cutoff": "03:00", "from_date": None}],
}
CONNECTION_EXAMPLE: Any = {
    "id": CONNECTION_ID,
    "provider": "square",
    "environment": "production",
    "state": "connected",
    "status": "Connected. Next sync on 2026-03-03 at 12:00 UTC.",
    "revision": 4,
    "account": {"account_id": "MLEXAMPLE", "name": "Corner Coffee"},
    "schedule": {**DAILY, "every_minutes": None, "cron": None},
    "start_date": "2026-01-01",
    "started_at": "2026-03-02T05:58:00Z",
    "first_day": "2026-03-01",
    "created_at": "2026-03-02T05:55:00Z",
    "changed_at": "2026-03-02T05:58:00Z",
    "disconnected_at": None,
    "last_sync_at": "2026-03-02T06:00:12Z",
    "next_sync_at": "2026-03-03T12:00:00Z",
    "error": None,
    "waits_for": None,
    "unmapped_items": 3,
}
DETAILS_EXAMPLE: Any = {
    **CONNECTION_EXAMPLE,
    "locations": [LOCATION_EXAMPLE],
    "way": {"stands_for": None, "only_compare": False},
    "active_run": None,
    "last_run": {**RUN_EXAMPLE, "state": "succeeded", "progress": 1.0},
    "errors": [],
}
SCOPES_EXAMPLE: Any = [{"name": "ORDERS_READ", "reason": "To read the sales that become product sales."}]
AUTHORIZE_EXAMPLE: Any = {
    "authorize_url": "https://connect.squareup.com/oauth2/authorize?client_id=...&state=...",
    "scopes": SCOPES_EXAMPLE,
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [value]})


class Credentials(BaseModel):
    """What a person typed to connect, by the provider's fields: tested, kept in Vault, never shown."""

    model_config = _example({"credentials": {"merchant_id": "AAAAAAAAAAAA1", "token": "9f3c..."}})

    credentials: dict[str, SecretStr] | None = Field(
        None,
        description="In place of a redirect, where the provider takes them: field -> what was typed.",
        max_length=10,
    )

    @property
    def typed(self) -> dict[str, str]:
        """The fields in the clear, for the one call that needs them."""
        return {name: value.get_secret_value() for name, value in (self.credentials or {}).items()}


class NewConnection(Credentials):
    """Which provider to connect."""

    model_config = _example({"provider": "square", "environment": "production"})

    provider: Id
    environment: Id = "production"


class ScheduleBody(BaseModel):
    """When a connection is synced by itself: daily at a local time, every so many minutes, by a cron
    expression, or only when asked. Two syncs are at least 5 minutes apart.
    """

    model_config = _example(DAILY)

    kind: Literal["daily", "interval", "cron", "manual"]
    daily_at: str | None = Field(None, description="Local time `HH:MM`, for kind daily.")
    timezone: str = Field("UTC", description="IANA name of the zone that `daily_at` and `cron` are read in.")
    every_minutes: int | None = Field(
        None, description="Minutes from one sync to the next, for kind interval."
    )
    cron: str | None = Field(
        None,
        description="Minute, hour, day of month, month, day of week, for kind cron: `30 4 * * MON-FRI`. A"
        " local time that clocks skip is due when they jump, one that they show twice is due once.",
    )

    def schedule(self) -> Schedule:
        """Return the same as the events say it."""
        return Schedule(
            kind=ScheduleKind(self.kind),
            daily_at=self.daily_at,
            timezone=self.timezone,
            every_minutes=self.every_minutes,
            cron=self.cron,
        )


class LocationBody(BaseModel):
    """What changes for one location of the provider's account; what is left out stays as it is.

    Zone and cut-off hold since ever, or from `from_date` on.
    """

    model_config = _example(LOCATION_CHANGE)

    location_id: Id
    chosen: bool | None = Field(None, description="Whether its sales are imported.")
    suppli_location_id: Id | None = Field(
        None, description="The Suppli location it is; `null` takes the tie back."
    )
    timezone: str | None = Field(None, description="IANA name.")
    day_cutoff: str | None = Field(
        None, description="Local time `HH:MM` before which a sale belongs to the day before."
    )
    from_date: date | None = Field(None, description="First business date of this zone and cut-off.")

    def change(self) -> LocationChange:
        """Return the same as the domain takes it."""
        said = self.model_fields_set
        return LocationChange(
            location_id=self.location_id,
            chosen=self.chosen,
            suppli_location_id=self.suppli_location_id,
            untie="suppli_location_id" in said and self.suppli_location_id is None,
            timezone=self.timezone,
            day_cutoff=self.day_cutoff,
            from_date=self.from_date,
        )


class WayBody(BaseModel):
    """Whether a connection carries the same sales as another: a till's files beside its connection.

    Per location and business day one of the two counts: the connection on its complete days, else the newest
    file. What does not count stays visible.
    """

    model_config = _example({"stands_for": CONNECTION_ID, "only_compare": False})

    stands_for: UUID | None = Field(
        None, description="The connection whose sales these are, too; tied to the same Suppli location."
    )
    only_compare: bool = Field(False, description="These sales never count: they only check a day.")

    def way(self) -> Way:
        """Return the same as the events say it."""
        return Way(stands_for=self.stands_for, only_compare=self.only_compare)


class SettingsBody(BaseModel):
    """What changes in a connection's settings; what is left out stays as it is."""

    model_config = _example({"schedule": DAILY, "locations": [LOCATION_CHANGE]})

    schedule: ScheduleBody | None = None
    start_date: date | None = Field(None, description="Sales before this business date are read past.")
    locations: list[LocationBody] = Field(default_factory=list, max_length=500)
    way: WayBody | None = Field(None, description="Given, it replaces the whole way.")


class StartBody(BaseModel):
    """Confirm what is imported. What is left out is as drafted before by PATCH."""

    model_config = _example({"start_date": "2026-01-01", "schedule": DAILY})

    start_date: date | None = None
    schedule: ScheduleBody | None = None


class DisconnectBody(BaseModel):
    """Whether the imported data is kept or erased."""

    model_config = _example({"erase": False})

    erase: bool = False


class ScopeView(BaseModel):
    """A permission asked for at the provider, and why."""

    name: str
    reason: str


class AuthorizeView(BaseModel):
    """Where to send the person's browser, and what the provider will ask."""

    model_config = _example(AUTHORIZE_EXAMPLE)

    authorize_url: str | None = Field(
        description="Null where what was typed has connected the account: nothing is left to do."
    )
    scopes: list[ScopeView]


class ScheduleView(BaseModel):
    """How often a connection is synced by itself."""

    kind: str
    daily_at: str | None = None
    timezone: str
    every_minutes: int | None = None
    cron: str | None = None


class ZoneView(BaseModel):
    """Zone and day cut-off of a location, from a business date on (null = since ever)."""

    timezone: str
    day_cutoff: str
    from_date: date | None = None


class LocationView(BaseModel):
    """One location of the provider's account. Imported where it is chosen, tied and has a zone."""

    location_id: str
    name: str
    currency: str | None = None
    chosen: bool
    suppli_location_id: str | None = None
    zones: list[ZoneView]


class WayView(BaseModel):
    """Whether a connection carries the same sales as another."""

    stands_for: UUID | None = None
    only_compare: bool = False


class AccountView(BaseModel):
    """The provider's account."""

    account_id: str
    name: str | None = None


class ConnectionErrorView(BaseModel):
    """What is wrong with a connection now, or was."""

    error_class: str = Field(description="`auth` needs a person; the others are tried again.")
    message: str
    at: datetime
    reauth_required: bool = False
    works_until: datetime | None = Field(None, description="Until then the sync still works.")
    run_id: UUID | None = None


class ConnectionView(BaseModel):
    """A connection in a list."""

    model_config = _example(CONNECTION_EXAMPLE)

    id: UUID
    provider: str
    environment: str
    state: StateName
    status: str = Field(description="The state in a sentence for a person.")
    revision: int
    account: AccountView | None = None
    schedule: ScheduleView
    start_date: date | None = None
    started_at: datetime | None = Field(None, description="Since when the import is confirmed.")
    first_day: date | None = Field(
        None, description="The day it was first connected; sales before it are historical."
    )
    created_at: datetime
    changed_at: datetime
    disconnected_at: datetime | None = None
    last_sync_at: datetime | None = None
    next_sync_at: datetime | None = None
    error: ConnectionErrorView | None = None
    waits_for: WaitsForName | None = Field(
        None,
        description="The part of Suppli that is away, so that sales come in later; it goes on by itself.",
    )
    unmapped_items: int = 0


class ConnectionDetails(ConnectionView):
    """A connection with all that is known of it."""

    model_config = _example(DETAILS_EXAMPLE)

    locations: list[LocationView]
    way: WayView
    active_run: RunView | None = None
    last_run: RunView | None = None
    errors: list[ConnectionErrorView] = Field(description="The newest errors, newest first.")


class ConnectionPage(BaseModel):
    """Connections, oldest first."""

    model_config = _example({"items": [CONNECTION_EXAMPLE], "next_cursor": None})

    items: list[ConnectionView]
    next_cursor: str | None = None


class CreatedConnection(AuthorizeView):
    """A connection that waits for its authorization, or is connected by what was typed.

    `revived`: the account was connected before, and its earlier connection goes on.
    """

    model_config = _example({"connection": {**DETAILS_EXAMPLE, "state": "pending"}, **AUTHORIZE_EXAMPLE})

    connection: ConnectionDetails
    revived: bool = False


class ConnectedView(BaseModel):
    """What the authorization led to; `revived` = the account's earlier connection goes on."""

    model_config = _example({"connection": DETAILS_EXAMPLE, "revived": False})

    connection: ConnectionDetails
    revived: bool


class StartedView(BaseModel):
    """The confirmed connection and the run that imports its past."""

    model_config = _example({"connection": DETAILS_EXAMPLE, "run": REQUESTED_EXAMPLE})

    connection: ConnectionDetails
    run: RequestedRun


class PreviewSaleView(BaseModel):
    """A sale as it will be understood; nothing is imported."""

    order_id: str
    location_id: str
    occurred_at: datetime
    business_date: date
    net: int = Field(description="Minor units of the currency, without tax.")
    currency: str
    lines: list[str]


class PreviewView(BaseModel):
    """The last days' sales and the catalog's size."""

    sales: list[PreviewSaleView]
    orders: int
    items: int
    truncated: bool = False


class SetAsideView(BaseModel):
    """An order that could not be understood; it is read again when the reading improves."""

    order_id: str
    location_id: str
    reason: str
    field_path: str | None = None
    since: datetime


class SetAsidePage(BaseModel):
    """Orders that wait for a better reading."""

    items: list[SetAsideView]


class DayView(BaseModel):
    """Where one business day's money went, in minor units without tax."""

    location_id: str
    business_date: date
    currency: str
    state: DayStateName | None = Field(
        None, description="What is known of the day by this connection; null = not stated yet."
    )
    use: WayUseName | None = Field(None, description="Whether these sales are the ones that count.")
    covered_until: datetime | None = None
    sold_gross: int
    sold_discount: int
    sold_net: int
    sold_quantity: str
    parked_gross: int
    parked_discount: int
    parked_net: int
    parked_quantity: str
    ignored_gross: int
    ignored_discount: int
    ignored_net: int
    ignored_quantity: str
    superseded_gross: int = Field(0, description="What another way of the same sales counts in its place.")
    superseded_discount: int = 0
    superseded_net: int = 0
    superseded_quantity: str = "0"
    other_gross: int
    other_discount: int
    other_net: int
    void_quantity: str
    adjustments: int
    tax: int
    provider_net: int


class DayPage(BaseModel):
    """Business days of a connection, oldest first."""

    items: list[DayView]
