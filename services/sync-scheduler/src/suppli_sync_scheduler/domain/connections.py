"""A connection as the scheduler needs it: may it run, and is it due by itself?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from suppli_contracts.events.connections import ConnectionChanged, ConnectionState, Schedule

MANUAL = Schedule()
_OPEN = frozenset({ConnectionState.CONNECTED, ConnectionState.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The scheduler's copy of a connection, and its due times.

    Attributes:
        revision: of the newest value seen; lower ones are dropped.
        blocked_revision: the provider refused us at this revision; a greater one that is connected ends it.
        planned_at: the next (or missed) due time by the schedule, kept while nothing may start.
        sweep_at: the next daily sweep.
        said_due_at: the due time told last, with `said_revision`.
    """

    connection_id: UUID
    tenant_id: UUID
    provider: str
    revision: int
    state: ConnectionState
    changed_at: datetime
    schedule: Schedule = MANUAL
    start_date: date | None = None
    deleted: bool = False
    blocked_revision: int | None = None
    planned_at: datetime | None = None
    sweep_at: datetime | None = None
    said_due_at: datetime | None = None
    said_revision: int = 0

    @property
    def stopped(self) -> bool:
        """Whether its owner lets nothing run."""
        return self.deleted or self.state not in _OPEN

    @property
    def scheduled(self) -> bool:
        """Whether it may run by itself: open, accepted by the provider, and its start date confirmed."""
        return not self.stopped and self.blocked_revision is None and self.start_date is not None

    @property
    def next_due_at(self) -> datetime | None:
        """When it is due next by itself, None = not."""
        return self.planned_at if self.scheduled else None

    @property
    def next_sweep_at(self) -> datetime | None:
        """When it is swept next, None = not."""
        return self.sweep_at if self.scheduled else None

    def is_due(self, now: datetime, *, sweep: bool) -> bool:
        """Return whether its own time, that of the sweep or of its schedule, has come."""
        at = self.next_sweep_at if sweep else self.next_due_at
        return at is not None and at <= now


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody may start a run now, with what to do about it."""

    slug: str
    title: str
    detail: str


_REFUSALS = {
    ConnectionState.PENDING: Refusal(
        "connection-pending", "The connection is not finished", "Finish connecting it, then sync."
    ),
    ConnectionState.PAUSED: Refusal(
        "connection-paused", "The connection is paused", "Resume the connection, then sync."
    ),
    ConnectionState.DISCONNECTED: Refusal(
        "connection-disconnected", "The connection is disconnected", "Connect the account again, then sync."
    ),
}
_REAUTH = Refusal(
    "reauth-required",
    "The provider no longer accepts this connection",
    "Authorize the connection again; the next sync starts by itself.",
)


def copy_of(known: Connection | None, event: ConnectionChanged) -> Connection | None:
    """Return the copy after `event`, None where it says nothing newer or is not of the same tenant."""
    if known is None:
        return Connection(
            connection_id=event.connection_id,
            tenant_id=event.tenant_id,
            provider=event.provider,
            revision=event.revision,
            state=event.state,
            changed_at=event.changed_at,
            schedule=event.schedule,
            start_date=event.start_date,
            deleted=event.deleted,
        )
    if event.revision <= known.revision or known.deleted or event.tenant_id != known.tenant_id:
        return None
    blocked = known.blocked_revision
    if blocked is not None and event.state == ConnectionState.CONNECTED and event.revision > blocked:
        blocked = None
    return replace(
        known,
        revision=event.revision,
        state=event.state,
        changed_at=event.changed_at,
        schedule=event.schedule,
        start_date=event.start_date,
        deleted=event.deleted,
        blocked_revision=blocked,
    )


def block(connection: Connection, *, found_at: datetime) -> Connection:
    """Return it as refused by the provider, unless it changed (was authorized again) after that."""
    if connection.blocked_revision is not None or connection.changed_at > found_at:
        return connection
    return replace(connection, blocked_revision=connection.revision)


def refusal(connection: Connection, *, settings_revision: int) -> Refusal | None:
    """Return why a run may not be asked for, None = it may.

    Args:
        connection: the copy here.
        settings_revision: what the asking owner knows; where that is newer than the copy, its word counts.
    """
    if settings_revision > connection.revision and not connection.deleted:
        return None
    if connection.deleted:
        return _REFUSALS[ConnectionState.DISCONNECTED]
    if connection.blocked_revision is not None and connection.state in _OPEN:
        return _REAUTH
    if connection.state == ConnectionState.UNKNOWN:
        return _REFUSALS[ConnectionState.PENDING]
    return _REFUSALS.get(connection.state)
