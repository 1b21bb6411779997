"""How far behind a connection may be before somebody should look."""

from __future__ import annotations

from datetime import timedelta

from suppli_contracts.events.connections import ConnectionChanged, ConnectionState, ScheduleKind

DAILY = timedelta(hours=26)
"""A day, with room for a run and its retries; the daily sweep moves coverage on whatever the schedule."""
_LEAST = timedelta(minutes=30)
_INTERVALS = 3  # so many due times may pass in vain


def fresh_within(connection: ConnectionChanged) -> timedelta | None:
    """Return how old a connection's newest covered instant may be; None where nothing is due by itself."""
    due = connection.state in (ConnectionState.CONNECTED, ConnectionState.ERROR)
    schedule = connection.schedule
    if not due or connection.start_date is None or schedule.kind is ScheduleKind.MANUAL:
        return None
    if schedule.kind is ScheduleKind.INTERVAL and schedule.every_minutes is not None:
        return min(DAILY, max(_LEAST, timedelta(minutes=_INTERVALS * schedule.every_minutes)))
    return DAILY
