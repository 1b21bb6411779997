"""A connection and what may happen to it: pure, every change gives a new value with the next revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    Schedule,
    Way,
    ZonePeriod,
)
from suppli_contracts.internal import Account


class NotAllowed(Exception):
    """The connection's state does not allow the action.

    Attributes:
        slug: stable name of the problem.
    """

    def __init__(self, slug: str, message: str) -> None:
        super().__init__(message)
        self.slug = slug


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection as its owner, the gateway, holds it.

    Attributes:
        state: what was decided; whether a run is in progress is another matter.
        revision: +1 with every change.
        start_date: drafted until `started_at`, binding from then on; likewise `schedule`.
        first_day: the day of the first authorization; sales before it are historical.
        way: whether it carries the same sales as another connection.
        reauth_reason: why a person must authorize again; None = not needed.
        works_until: the access token held still works until then.
        authorized_at: the newest authorization; what was found out before it is obsolete.
        deleted_at: since when it is gone for its users; the row goes 30 days later, with the tombstone.
    """

    connection_id: UUID
    tenant_id: UUID
    provider: str
    environment: str
    state: ConnectionState
    revision: int
    created_at: datetime
    changed_at: datetime
    schedule: Schedule = field(default_factory=Schedule)
    locations: tuple[ConnectedLocation, ...] = ()
    way: Way = field(default_factory=Way)
    account_id: str | None = None
    account_name: str | None = None
    start_date: date | None = None
    started_at: datetime | None = None
    first_day: date | None = None
    reauth_reason: str | None = None
    reauth_at: datetime | None = None
    works_until: datetime | None = None
    authorized_at: datetime | None = None
    disconnected_at: datetime | None = None
    erase: bool = False
    deleted_at: datetime | None = None

    @property
    def started(self) -> bool:
        """Whether the owner has confirmed what is imported."""
        return self.started_at is not None

    def changed(self, now: datetime, **changes: object) -> Connection:
        """Return the connection with `changes`, the next revision, changed at `now`."""
        return replace(self, revision=self.revision + 1, changed_at=now, **changes)  # type: ignore[arg-type]

    def event(self) -> ConnectionChanged:
        """Say the connection as it now stands; what is only drafted is not said.

        One that never had an account stays `pending` to its end: `disconnected` would have its connector
        revoke at the provider, by account, which may be the account of a connection that works.
        """
        return ConnectionChanged(
            tenant_id=self.tenant_id,
            connection_id=self.connection_id,
            revision=self.revision,
            provider=self.provider,
            environment=self.environment,
            state=ConnectionState.PENDING if self.account_id is None else self.state,
            changed_at=self.changed_at,
            account_id=self.account_id,
            schedule=self.schedule if self.started else Schedule(),
            start_date=self.start_date if self.started else None,
            first_day=self.first_day,
            locations=self.locations,
            way=self.way,
            disconnected_at=self.disconnected_at,
            erase=self.erase,
            deleted=self.deleted_at is not None,
        )


def new_connection(
    *, connection_id: UUID, tenant_id: UUID, provider: str, environment: str, now: datetime
) -> Connection:
    """Return a connection that waits for its authorization."""
    return Connection(
        connection_id=connection_id,
        tenant_id=tenant_id,
        provider=provider,
        environment=environment,
        state=ConnectionState.PENDING,
        revision=1,
        created_at=now,
        changed_at=now,
    )


def authorized(connection: Connection, account: Account, now: datetime) -> Connection:
    """Return the connection with a fresh authorization of `account`.

    A pause outlasts a re-authorization; a disconnected connection comes back to life.

    Raises:
        NotAllowed: another account was authorized, or the connection is deleted.
    """
    _not_deleted(connection)
    if connection.account_id is not None and connection.account_id != account.account_id:
        raise NotAllowed(
            "wrong-account",
            "Another account was authorized than the one this connection belongs to. "
            "Sign in to the provider with the account of this connection and try again.",
        )
    paused = connection.state is ConnectionState.PAUSED
    return connection.changed(
        now,
        state=ConnectionState.PAUSED if paused else ConnectionState.CONNECTED,
        account_id=account.account_id,
        account_name=account.name,
        locations=merged_locations(connection.locations, account),
        first_day=connection.first_day or _local_day(account, now),
        authorized_at=now,
        reauth_reason=None,
        reauth_at=None,
        works_until=None,
        disconnected_at=None,
        erase=False,
    )


def filled_by_files(
    connection: Connection,
    *,
    account_id: str,
    name: str,
    way: Way,
    suppli_location_id: str,
    location_id: str,
    timezone: str,
    day_cutoff: str,
    currency: str,
    first_day: date,
    now: datetime,
) -> Connection:
    """Return the connection of a till that files fill: nothing is authorized, and it is synced when a file
    is uploaded. Unchanged where it is so already; one that was disconnected comes back to life.

    Raises:
        NotAllowed: it is paused or deleted.
    """
    _not_deleted(connection)
    if connection.state is ConnectionState.PAUSED:
        raise NotAllowed("connection-paused", "The till is paused: resume it first.")
    location = ConnectedLocation(
        location_id=location_id,
        name=name,
        currency=currency,
        chosen=True,
        suppli_location_id=suppli_location_id,
        zones=(ZonePeriod(timezone=timezone, day_cutoff=day_cutoff),),
    )
    same = connection.account_id == account_id and connection.state is ConnectionState.CONNECTED
    if same and (connection.locations, connection.way) == ((location,), way):
        return connection
    changes = {
        "state": ConnectionState.CONNECTED,
        "account_id": account_id,
        "account_name": name,
        "locations": (location,),
        "way": way,
        "first_day": connection.first_day or first_day,
        "started_at": connection.started_at or now,
        "authorized_at": connection.authorized_at or now,
        "disconnected_at": None,
        "erase": False,
    }
    if connection.account_id is None:  # not said to anybody yet
        return replace(connection, **changes)  # type: ignore[arg-type]
    return connection.changed(now, **changes)


def merged_locations(known: tuple[ConnectedLocation, ...], account: Account) -> tuple[ConnectedLocation, ...]:
    """Return the account's locations with the owner's choices kept; a new one is not chosen.

    One that the provider no longer names stays, as its past sales do.
    """
    choices: Mapping[str, ConnectedLocation] = {location.location_id: location for location in known}
    named: dict[str, ConnectedLocation] = {}
    for said in account.locations:
        known_one = choices.get(said.location_id, ConnectedLocation(location_id=said.location_id))
        named[said.location_id] = ConnectedLocation(
            location_id=said.location_id,
            name=said.name,
            currency=said.currency,
            chosen=known_one.chosen,
            suppli_location_id=known_one.suppli_location_id,
            zones=known_one.zones,
        )
    gone = (location for location in known if location.location_id not in named)
    return (*named.values(), *gone)


def _local_day(account: Account, now: datetime) -> date:
    for location in account.locations:
        if location.timezone is not None:
            try:
                return now.astimezone(ZoneInfo(location.timezone)).date()
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return now.astimezone(UTC).date()


def reauth_required(
    connection: Connection, *, reason: str, at: datetime, works_until: datetime | None, now: datetime
) -> Connection:
    """Return the connection knowing that the provider no longer accepts us; unchanged where that is
    obsolete.
    """
    if connection.state not in (ConnectionState.CONNECTED, ConnectionState.PAUSED, ConnectionState.ERROR):
        return connection
    newest = max(
        (at for at in (connection.authorized_at, connection.reauth_at) if at is not None), default=None
    )
    if newest is not None and at <= newest:
        return connection
    paused = connection.state is ConnectionState.PAUSED
    return connection.changed(
        now,
        state=ConnectionState.PAUSED if paused else ConnectionState.ERROR,
        reauth_reason=reason,
        reauth_at=at,
        works_until=works_until,
    )


def paused(connection: Connection, now: datetime) -> Connection:
    """Return the connection paused: nothing is synced by itself. Paused already: unchanged.

    Raises:
        NotAllowed: it is not connected.
    """
    if connection.state is ConnectionState.PAUSED:
        return connection
    _connected(connection, "paused")
    return connection.changed(now, state=ConnectionState.PAUSED)


def resumed(connection: Connection, now: datetime) -> Connection:
    """Return the connection resumed; in `error` where a person must authorize again. Not paused: unchanged.

    Raises:
        NotAllowed: it is pending or disconnected.
    """
    if connection.state is not ConnectionState.PAUSED:
        _connected(connection, "resumed")
        return connection
    broken = connection.reauth_reason is not None
    return connection.changed(now, state=ConnectionState.ERROR if broken else ConnectionState.CONNECTED)


def disconnected(connection: Connection, *, erase: bool, now: datetime) -> Connection:
    """Return the connection disconnected; with `erase`, or when it never had an account, also deleted.

    Disconnected already: unchanged, unless what was kept is now to be erased.
    """
    _not_deleted(connection)
    if connection.state is ConnectionState.DISCONNECTED and not erase:
        return connection
    gone = erase or connection.account_id is None
    return connection.changed(
        now,
        state=ConnectionState.DISCONNECTED,
        disconnected_at=connection.disconnected_at or now,
        erase=erase,
        deleted_at=now if gone else None,
        reauth_reason=None,
        reauth_at=None,
        works_until=None,
    )


def superseded(connection: Connection, now: datetime) -> Connection:
    """Return a pending connection removed, because its account has another connection."""
    return connection.changed(
        now, state=ConnectionState.DISCONNECTED, disconnected_at=now, erase=True, deleted_at=now
    )


def started(connection: Connection, *, start_date: date, schedule: Schedule, now: datetime) -> Connection:
    """Return the connection with its import confirmed; unchanged where it is confirmed so already.

    Raises:
        NotAllowed: it is not connected, or a chosen location lacks its tie or its zone.
    """
    may_sync(connection, needs_start=False)
    chosen = [location for location in connection.locations if location.chosen]
    if not chosen:
        raise NotAllowed("no-location-chosen", "Choose at least one location before the start.")
    for location in chosen:
        if location.suppli_location_id is None:
            raise NotAllowed("location-not-tied", f"Tie {_named(location)} to a Suppli location first.")
        if not location.zones:
            raise NotAllowed(
                "zone-not-confirmed", f"Confirm time zone and day cut-off of {_named(location)} first."
            )
    if connection.started and (connection.start_date, connection.schedule) == (start_date, schedule):
        return connection
    return connection.changed(
        now, start_date=start_date, schedule=schedule, started_at=connection.started_at or now
    )


def may_sync(connection: Connection, *, needs_start: bool = True) -> None:
    """Check that a person may ask for a sync now.

    Raises:
        NotAllowed: with what to do first.
    """
    if connection.state is ConnectionState.PAUSED:
        raise NotAllowed("connection-paused", "The connection is paused: resume it first.")
    if connection.state is ConnectionState.ERROR:
        raise NotAllowed("reauth-required", "The provider no longer accepts us: authorize again first.")
    _connected(connection, "synced")
    if needs_start and not connection.started:
        raise NotAllowed("not-started", "Nothing is imported yet: confirm locations and start date first.")


def may_authorize(connection: Connection) -> None:
    """Check that a person may be sent to the provider again; raises `NotAllowed`."""
    _not_deleted(connection)


def _connected(connection: Connection, verb: str) -> None:
    if connection.state is ConnectionState.PENDING:
        raise NotAllowed(
            "connection-pending", f"The connection is not authorized yet, so it cannot be {verb}."
        )
    if connection.state is ConnectionState.DISCONNECTED:
        raise NotAllowed(
            "connection-disconnected", f"The connection is disconnected, so it cannot be {verb}."
        )


def _not_deleted(connection: Connection) -> None:
    if connection.deleted_at is not None:
        raise NotAllowed("connection-disconnected", "The connection and its data were removed.")


def _named(location: ConnectedLocation) -> str:
    return f"location {location.name or location.location_id!r}"
