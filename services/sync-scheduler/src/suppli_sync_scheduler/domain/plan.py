"""When a connection's own times fall after something changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from suppli_contracts.events.connections import ConnectionState, ScheduleKind

from suppli_sync_scheduler.domain.connections import Connection
from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.domain.schedule import caught_up_at, next_due, next_sweep

_SWEEP_AGAIN = timedelta(hours=1)


def replanned(before: Connection | None, after: Connection, *, now: datetime, policy: Policy) -> Connection:
    """Return the connection with its times after its settings, its state or its acceptance changed.

    A time that was missed while it was paused or refused makes one run as soon as it may run again.

    Raises:
        BadSchedule: the schedule names no time.
    """
    same = before is not None and before.schedule == after.schedule
    planned = after.planned_at if same else None
    if after.stopped and after.state != ConnectionState.PAUSED:
        return replace(after, planned_at=None, sweep_at=None)
    if planned is None:
        planned = next_due(after.schedule, after.connection_id, after=now, jitter=policy.daily_jitter)
    elif after.scheduled and before is not None and not before.scheduled:
        planned = max(planned, now)
    by_itself = after.scheduled and after.schedule.kind != ScheduleKind.MANUAL
    if by_itself and before is not None and before.blocked_revision is not None:
        planned = now  # it has just been authorized again: the run that the provider refused is made up for
    sweep = after.sweep_at if same else None
    if by_itself and sweep is None:
        sweep = next_sweep(after.schedule, after.connection_id, after=now, hour=policy.sweep_hour)
    return replace(after, planned_at=planned, sweep_at=sweep if by_itself else None)


def after_due(connection: Connection, *, now: datetime, policy: Policy) -> Connection:
    """Return the connection with the due time after the one that came, however many were missed."""
    planned = next_due(connection.schedule, connection.connection_id, after=now, jitter=policy.daily_jitter)
    return replace(connection, planned_at=planned)


def after_sweep(connection: Connection, *, now: datetime, policy: Policy, busy: bool) -> Connection:
    """Return the connection with its next sweep: tomorrow's, or in an hour where another run was going."""
    if busy:
        return replace(connection, sweep_at=now + _SWEEP_AGAIN)
    sweep = next_sweep(connection.schedule, connection.connection_id, after=now, hour=policy.sweep_hour)
    return replace(connection, sweep_at=sweep)


def caught_up(connection: Connection, *, now: datetime, policy: Policy, late_before: datetime) -> Connection:
    """Return the connection with times missed before `late_before` moved to its own moment from now."""
    at = caught_up_at(connection.connection_id, now=now, spread=policy.catch_up_spread)
    planned, sweep = connection.planned_at, connection.sweep_at
    return replace(
        connection,
        planned_at=at if planned is not None and planned < late_before else planned,
        sweep_at=at + _SWEEP_AGAIN if sweep is not None and sweep < late_before else sweep,
    )
