"""Due times: what a shop's owner sees on the clock, on the days when clocks jump too."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suppli_contracts.events.connections import Schedule, ScheduleKind
from suppli_sync_scheduler.domain.schedule import (
    BadSchedule,
    caught_up_at,
    check,
    cron_times,
    instant_of,
    next_cron,
    next_daily,
    next_due,
    next_sweep,
    share,
)

NONE = timedelta()
CONNECTION = UUID("018f3c1e-0000-7000-8000-000000000001")
INSTANTS = st.integers(0, 6 * 366 * 86_400).map(
    lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Sydney", "America/Santiago", "Asia/Kolkata", "UTC")


def daily(at: str, zone: str) -> Schedule:
    return Schedule(kind=ScheduleKind.DAILY, daily_at=at, timezone=zone)


# Wall times that clocks skip or show twice; from the tz database, instants worked out by hand.
SKIPPED = [
    ("America/New_York", date(2026, 3, 8), "02:30", "2026-03-08T07:00:00"),
    ("America/New_York", date(2026, 3, 8), "02:00", "2026-03-08T07:00:00"),
    ("Europe/Berlin", date(2026, 3, 29), "02:15", "2026-03-29T01:00:00"),
    ("Australia/Sydney", date(2026, 10, 4), "02:45", "2026-10-03T16:00:00"),
    ("Australia/Lord_Howe", date(2026, 10, 4), "02:10", "2026-10-03T15:30:00"),  # a jump of half an hour
    ("America/Santiago", date(2026, 9, 6), "00:30", "2026-09-06T04:00:00"),  # at midnight
    ("Pacific/Apia", date(2011, 12, 30), "12:00", "2011-12-30T10:00:00"),  # a whole day
]
DOUBLED = [
    ("America/New_York", date(2026, 11, 1), "01:30", "2026-11-01T05:30:00"),
    ("Europe/Berlin", date(2026, 10, 25), "02:30", "2026-10-25T00:30:00"),
    ("Australia/Sydney", date(2026, 4, 5), "02:30", "2026-04-04T15:30:00"),
    ("America/Santiago", date(2026, 4, 4), "23:30", "2026-04-05T02:30:00"),
]
PLAIN = [
    ("America/New_York", date(2026, 3, 8), "03:00", "2026-03-08T07:00:00"),
    ("America/New_York", date(2026, 3, 8), "01:59", "2026-03-08T06:59:00"),
    ("Asia/Kolkata", date(2026, 6, 1), "03:00", "2026-05-31T21:30:00"),
    ("UTC", date(2026, 6, 1), "03:00", "2026-06-01T03:00:00"),
]


@pytest.mark.parametrize(("zone", "day", "wall", "expected"), [*SKIPPED, *DOUBLED, *PLAIN])
def test_local_time_is_the_instant_that_the_owner_means(
    zone: str, day: date, wall: str, expected: str
) -> None:
    """Otherwise a shop's sync is an hour off, or fails, on the day of the change."""
    instant = instant_of(day, time.fromisoformat(wall), ZoneInfo(zone))
    assert instant == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(("zone", "day", "wall", "expected"), [*SKIPPED[:-1], *DOUBLED])
def test_runs_once_on_the_day_of_a_change(zone: str, day: date, wall: str, expected: str) -> None:
    """Otherwise a day is synced twice or not at all when clocks change."""
    after = datetime.fromisoformat(expected).replace(tzinfo=UTC) - timedelta(hours=30)
    times = []
    for _ in range(4):
        after = next_daily(time.fromisoformat(wall), ZoneInfo(zone), after=after)
        times.append(after)
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in times]
    assert datetime.fromisoformat(expected).replace(tzinfo=UTC) in times
    assert days == [days[0] + timedelta(days=n) for n in range(4)]


@given(
    after=INSTANTS,
    wall=st.times().map(lambda at: at.strftime("%H:%M")),
    zone=st.sampled_from(ZONES),
    jitter=st.integers(0, 3600).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_next_daily_is_ahead_and_within_a_day(
    after: datetime, wall: str, zone: str, jitter: timedelta
) -> None:
    """Otherwise a schedule loops on the same instant, or skips a day."""
    due = next_due(daily(wall, zone), CONNECTION, after=after, jitter=jitter)
    assert due is not None
    assert after < due <= after + timedelta(hours=26)
    local = (due - jitter * share(CONNECTION, "daily")).astimezone(ZoneInfo(zone))
    assert abs(local.hour * 60 + local.minute - int(wall[:2]) * 60 - int(wall[3:])) <= 60


def cron(expression: str, zone: str = "UTC") -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, cron=expression, timezone=zone)


def due_by_the_clock_on_the_wall(
    zone: ZoneInfo, begin: datetime, end: datetime, minutes: set[int], hours: set[int]
) -> list[datetime]:
    """Return when somebody who watches the clock minute by minute would sync: each time it shows, once; what
    it skips, when it jumps.
    """
    seen: set[datetime] = set()
    due: list[datetime] = []
    moment = begin
    shown = moment.astimezone(zone).replace(tzinfo=None)
    while moment <= end:
        moment += timedelta(minutes=1)
        before, shown = shown, moment.astimezone(zone).replace(tzinfo=None)
        since = [
            before + timedelta(minutes=n) for n in range(1, (shown - before) // timedelta(minutes=1) + 1)
        ]
        fresh = {wall for wall in (*since, shown) if wall not in seen}
        seen |= fresh
        if any(wall.minute in minutes and wall.hour in hours for wall in fresh):
            due.append(moment)
    return due


@settings(max_examples=60, deadline=None)  # the watcher looks at every minute of some days
@given(
    change=st.sampled_from([*SKIPPED, *DOUBLED, *PLAIN]),
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=6),
    hours=st.sets(st.integers(0, 23), min_size=1) | st.just({0, 1, 2, 3, 23}),
)
def test_cron_keeps_the_owners_times_when_clocks_change(
    change: tuple[str, date, str, str], minutes: set[int], hours: set[int]
) -> None:
    """Otherwise a shop's sync is left out, or runs twice, on the day of the change."""
    zone, instant = ZoneInfo(change[0]), datetime.fromisoformat(change[3]).replace(tzinfo=UTC)
    begin, end = instant - timedelta(hours=30), instant + timedelta(hours=30)
    times = cron_times(f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *")
    found, after = [], begin
    while (due := next_cron(times, zone, after=after)) is not None and due <= end:
        assert due > after
        found.append(due)
        after = due
    watched = due_by_the_clock_on_the_wall(zone, begin, end, minutes, hours)
    assert found == [moment for moment in watched if moment <= end]


@given(
    after=INSTANTS,
    zone=st.sampled_from(ZONES),
    jitter=st.integers(0, 3600).map(lambda seconds: timedelta(seconds=seconds)),
    expression=st.sampled_from(["*/5 * * * *", "30 4 * * MON-FRI", "0 2,14 L * *", "15 1 29 2 *"]),
    connection=st.uuids(),
)
def test_next_cron_is_ahead_the_same_for_every_replica_and_late_by_its_own_part_alone(
    after: datetime, zone: str, jitter: timedelta, expression: str, connection: UUID
) -> None:
    """Otherwise replicas book different times, or a schedule loops on one."""
    schedule = cron(expression, zone)
    due = next_due(schedule, connection, after=after, jitter=jitter)
    assert due is not None
    assert due > after
    assert next_due(schedule, connection, after=due - timedelta(microseconds=1), jitter=jitter) == due
    plain = due - jitter * share(connection, "cron")
    before = plain - timedelta(microseconds=1)
    assert next_due(schedule, connection, after=before, jitter=NONE) == plain


@given(
    minutes=st.integers(5, 7 * 24 * 60),
    connection=st.uuids(),
    after=INSTANTS,
)
def test_interval_keeps_its_distance(minutes: int, connection: UUID, after: datetime) -> None:
    """Otherwise "every 15 minutes" drifts with each run or bunches up."""
    schedule = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=minutes)
    first = next_due(schedule, connection, after=after, jitter=NONE)
    assert first is not None
    assert after < first <= after + timedelta(minutes=minutes)
    second = next_due(schedule, connection, after=first, jitter=NONE)
    assert second == first + timedelta(minutes=minutes)
    assert next_due(schedule, connection, after=first - timedelta(microseconds=1), jitter=NONE) == first


def test_manual_schedule_is_never_due() -> None:
    """Otherwise a connection syncs although its owner asked it not to."""
    assert next_due(Schedule(), CONNECTION, after=datetime.now(UTC), jitter=NONE) is None


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (daily("03:00", "Europe/Atlantis"), "timezone"),
        (daily("03:00", "../etc/passwd"), "timezone"),
        (daily("03:00", ""), "timezone"),
        (daily("25:00", "UTC"), "daily_at"),
        (daily("3 am", "UTC"), "daily_at"),
        (Schedule(kind=ScheduleKind.DAILY), "daily_at"),
        (Schedule(kind=ScheduleKind.INTERVAL), "every_minutes"),
        (Schedule(kind=ScheduleKind.INTERVAL, every_minutes=4), "every_minutes"),
        (Schedule(kind=ScheduleKind.CRON), "cron"),
        (cron("0 25 * * *"), "cron"),
        (cron("* * * * *"), "cron"),
        (cron("0 4 * * *", "Mars/Olympus"), "timezone"),
    ],
)
def test_wrong_schedule_is_named(schedule: Schedule, field: str) -> None:
    """Otherwise an operator reads a dead letter without knowing what to mend."""
    with pytest.raises(BadSchedule) as caught:
        check(schedule)
    assert caught.value.field == field


def test_many_connections_are_spread_evenly() -> None:
    """Otherwise everybody's 3:00 is the same second, and providers answer 429."""
    shares = [share(uuid4(), "daily") for _ in range(4000)]
    for tenth in range(10):
        assert 300 < sum(tenth / 10 <= part < (tenth + 1) / 10 for part in shares) < 500
    now = datetime(2026, 1, 1, tzinfo=UTC)
    moved = {caught_up_at(uuid4(), now=now, spread=timedelta(minutes=10)) - now for _ in range(200)}
    assert len(moved) == 200
    assert NONE <= min(moved) < max(moved) < timedelta(minutes=10)


@pytest.mark.parametrize("zone", ZONES)
def test_sweep_falls_into_its_local_hour(zone: str) -> None:
    """Otherwise the nightly re-reading competes with a shop's busy hours."""
    after = datetime(2026, 6, 1, 12, tzinfo=UTC)
    due = next_sweep(Schedule(timezone=zone), CONNECTION, after=after, hour=4)
    assert due.astimezone(ZoneInfo(zone)).hour == 4
    assert due - after <= timedelta(days=1)
