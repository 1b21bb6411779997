"""A connection and its settings, as the gateway owns them."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, Instant, OpenEnum, Part


class ConnectionState(OpenEnum):
    """What the owner decided; whether a run is in progress is told by sync events."""

    PENDING = "pending"
    CONNECTED = "connected"
    PAUSED = "paused"
    ERROR = "error"
    DISCONNECTED = "disconnected"
    UNKNOWN = "unknown"


class ScheduleKind(OpenEnum):
    """How often a connection is synced by itself."""

    DAILY = "daily"
    INTERVAL = "interval"
    CRON = "cron"
    MANUAL = "manual"
    UNKNOWN = "unknown"


LEAST_SPACING_MINUTES = 5
"""The least time between two due times of a connection, whatever its schedule."""


class Schedule(Part, frozen=True, kw_only=True):
    """When a connection is synced by itself.

    Attributes:
        kind: daily at a local time, every so many minutes, by a cron expression, or only when asked.
        daily_at: local wall time `HH:MM` (kind daily).
        timezone: IANA name that `daily_at` and `cron` are read in.
        every_minutes: minutes from one due time to the next (kind interval), at least 5.
        cron: five fields: minute, hour, day of month, month, day of week (kind cron); its times are at least
            5 minutes apart.
    """

    kind: ScheduleKind = ScheduleKind.MANUAL
    daily_at: str | None = None
    timezone: str = "UTC"
    every_minutes: int | None = None
    cron: str | None = None


class ZonePeriod(Part, frozen=True, kw_only=True):
    """Zone and day cut-off of a location from a date on.

    Attributes:
        timezone: IANA name.
        day_cutoff: local wall time `HH:MM` before which a sale belongs to the day before.
        from_date: first business date this holds for; None = since ever.
    """

    timezone: str
    day_cutoff: str = "00:00"
    from_date: date | None = None


class ConnectedLocation(Part, frozen=True, kw_only=True):
    """One location of the provider's account.

    Attributes:
        location_id: the provider's id.
        name: the provider's name for it.
        currency: ISO 4217, where the provider says.
        chosen: whether its sales are imported.
        suppli_location_id: the Suppli location that it is tied to; without one its sales are read past.
        zones: zone and cut-off with their effective dates, oldest first; empty = not confirmed yet.
    """

    location_id: str
    name: str = ""
    currency: str | None = None
    chosen: bool = False
    suppli_location_id: str | None = None
    zones: tuple[ZonePeriod, ...] = ()


class Way(Part, frozen=True, kw_only=True):
    """Whose sales a connection carries, where another connection carries the same ones.

    Per Suppli location, till and business date exactly one way counts: the connection that is stood for on
    its complete days, on the others the newest file. What does not count stays visible as superseded.

    Attributes:
        stands_for: the connection whose sales these are, too (a till's, exported into files); None = they
            are a till's of its own.
        only_compare: these sales never count; their totals are shown in the day's statement.
    """

    stands_for: UUID | None = None
    only_compare: bool = False


class ConnectionChanged(Event, frozen=True, kw_only=True):
    """A connection as it now stands (topic `suppli.connections.v1`, compacted).

    Attributes:
        revision: grows with every change of this connection; drop lower ones.
        provider: its short name, as in its command topic.
        environment: the provider's environment, `production` or `sandbox`.
        account_id: the provider's account, once known.
        start_date: sales before this business date are read past, never published; None = not confirmed.
        first_day: the day the connection was first connected; sales before it are `historical`.
        way: whether it carries the same sales as another connection.
        disconnected_at: since when it is disconnected.
        erase: with `disconnected`: consumers erase what they hold of it, without reversals.
        deleted: the last value of this key; its tombstone follows 30 days later.
    """

    event_type: ClassVar[str] = "suppli.ConnectionChanged.v1"

    connection_id: UUID
    revision: int
    provider: str
    environment: str
    state: ConnectionState
    changed_at: Instant
    account_id: str | None = None
    schedule: Schedule = Schedule()
    start_date: date | None = None
    first_day: date | None = None
    locations: tuple[ConnectedLocation, ...] = ()
    way: Way = Way()
    disconnected_at: Instant | None = None
    erase: bool = False
    deleted: bool = False

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)
