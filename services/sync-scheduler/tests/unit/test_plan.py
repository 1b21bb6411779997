"""Connections: when they may run, and when they are due after something changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from suppli_contracts.events import ConnectionChanged
from suppli_contracts.events.connections import ConnectionState, Schedule, ScheduleKind
from suppli_sync_scheduler.domain import plan
from suppli_sync_scheduler.domain.connections import Connection, block, copy_of, refusal
from suppli_sync_scheduler.domain.policy import Policy

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAILY = Schedule(kind=ScheduleKind.DAILY, daily_at="03:00", timezone="Europe/Berlin")
POLICY = Policy()
CONNECTED, PAUSED = ConnectionState.CONNECTED, ConnectionState.PAUSED


def said(revision: int = 1, **changes: object) -> ConnectionChanged:
    fields: dict[str, object] = {
        "tenant_id": TENANT,
        "connection_id": CONNECTION,
        "revision": revision,
        "provider": "square",
        "environment": "production",
        "state": CONNECTED,
        "changed_at": NOW,
        "schedule": DAILY,
        "start_date": date(2026, 5, 1),
        **changes,
    }
    return ConnectionChanged(**fields)  # type: ignore[arg-type]


TENANT, CONNECTION = uuid4(), uuid4()


def taken(before: Connection | None, event: ConnectionChanged, now: datetime = NOW) -> Connection:
    after = copy_of(before, event)
    assert after is not None
    return plan.replanned(before, after, now=now, policy=POLICY)


def test_older_and_repeated_values_change_nothing() -> None:
    """Otherwise a late copy brings back a schedule that its owner has changed."""
    known = taken(None, said(5))
    assert copy_of(known, said(5)) is None
    assert copy_of(known, said(4, state=PAUSED)) is None


def test_not_scheduled_before_the_start_date_is_confirmed() -> None:
    """Otherwise sales are imported before the owner said from when on."""
    assert taken(None, said(start_date=None)).next_due_at is None


def test_change_of_other_settings_keeps_the_due_time() -> None:
    """Otherwise every edit of a connection pushes its next sync away."""
    known = taken(None, said(1))
    later = taken(known, said(2), now=NOW + timedelta(hours=1))
    assert later.next_due_at == known.next_due_at is not None
    assert later.next_sweep_at == known.next_sweep_at is not None


def test_times_missed_while_paused_make_one_run() -> None:
    """Otherwise a shop that resumes waits until tomorrow, or gets a run per missed day."""
    known = taken(None, said(1))
    paused = taken(known, said(2, state=PAUSED))
    assert paused.next_due_at is None
    week_later = NOW + timedelta(days=7)
    resumed = taken(paused, said(3), now=week_later)
    assert resumed.next_due_at == week_later
    following = plan.after_due(resumed, now=week_later, policy=POLICY)
    assert following.next_due_at is not None
    assert timedelta(0) < following.next_due_at - week_later <= timedelta(days=1)


def test_resuming_before_the_due_time_keeps_it() -> None:
    known = taken(None, said(1))
    resumed = taken(taken(known, said(2, state=PAUSED)), said(3))
    assert resumed.next_due_at == known.next_due_at


def test_disconnecting_forgets_the_plan() -> None:
    known = taken(None, said(1))
    gone = taken(known, said(2, state=ConnectionState.DISCONNECTED))
    assert (gone.planned_at, gone.sweep_at, gone.next_due_at) == (None, None, None)
    revived = taken(gone, said(3))
    assert revived.next_due_at == known.next_due_at


def test_refused_by_the_provider_until_connected_again() -> None:
    """Otherwise a refused token is tried every day, or a re-authorized shop never syncs again."""
    known = taken(None, said(1))
    blocked = block(known, found_at=NOW + timedelta(minutes=1))
    assert blocked.next_due_at is None
    assert blocked.next_sweep_at is None
    in_error = taken(blocked, said(2, state=ConnectionState.ERROR))
    assert in_error.next_due_at is None
    again = taken(in_error, said(3), now=NOW + timedelta(hours=1))
    assert again.next_due_at == NOW + timedelta(hours=1)


def test_refusal_found_before_a_new_authorization_counts_no_more() -> None:
    """Otherwise a late failure of an old run blocks a connection that was just authorized."""
    known = taken(None, said(1))
    assert block(known, found_at=NOW - timedelta(seconds=1)) == known


def test_missed_times_are_spread_after_a_downtime() -> None:
    """Otherwise all shops start at the same second after an outage."""
    known = replace(taken(None, said(1)), planned_at=NOW - timedelta(hours=2))
    moved = plan.caught_up(known, now=NOW, policy=POLICY, late_before=NOW - timedelta(minutes=1))
    assert moved.planned_at is not None
    assert NOW <= moved.planned_at < NOW + POLICY.catch_up_spread
    just_due = replace(known, planned_at=NOW - timedelta(seconds=5))
    assert (
        plan.caught_up(just_due, now=NOW, policy=POLICY, late_before=NOW - timedelta(minutes=1)) == just_due
    )


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"state": ConnectionState.PENDING}, "connection-pending"),
        ({"state": PAUSED}, "connection-paused"),
        ({"state": ConnectionState.DISCONNECTED}, "connection-disconnected"),
        ({"deleted": True}, "connection-disconnected"),
        ({"blocked_revision": 1}, "reauth-required"),
        ({}, None),
        ({"state": ConnectionState.ERROR}, None),
    ],
)
def test_refusal_says_why(changes: dict[str, object], slug: str | None) -> None:
    """Otherwise a person presses "sync now" and learns nothing."""
    connection = replace(taken(None, said(1)), **changes)  # type: ignore[arg-type]
    refused = refusal(connection, settings_revision=1)
    assert (refused and refused.slug) == slug


def test_the_gateways_newer_word_counts() -> None:
    """Otherwise "resume" followed by "sync now" is refused because an event is on its way."""
    connection = taken(None, said(1, state=PAUSED))
    assert refusal(connection, settings_revision=2) is None
