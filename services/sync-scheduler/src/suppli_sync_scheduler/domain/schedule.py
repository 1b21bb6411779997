"""When a connection is due: local times, intervals, and what keeps them apart from one another."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from uuid import UUID
from zoneinfo import ZoneInfo

from suppli_contracts.events.connections import LEAST_SPACING_MINUTES, Schedule, ScheduleKind
from suppli_service_kit.cron import BadCron, Cron, cron

LEAST_INTERVAL = timedelta(minutes=LEAST_SPACING_MINUTES)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class BadSchedule(ValueError):
    """A schedule that names no time; `field` says which part of it is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"schedule.{field} {reason}")
        self.field = field


def share(connection_id: UUID, purpose: str) -> float:
    """Return this connection's own fraction, 0 <= x < 1: always the same, evenly spread over connections."""
    digest = blake2b(connection_id.bytes, digest_size=7, key=purpose.encode()).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def check(schedule: Schedule) -> None:
    """Refuse a schedule that no time can be computed from.

    Raises:
        BadSchedule: an unknown zone, no `HH:MM`, no cron expression, or times less than five minutes apart.
    """
    zone(schedule.timezone)
    if schedule.kind == ScheduleKind.DAILY:
        wall_time(schedule.daily_at)
    elif schedule.kind == ScheduleKind.INTERVAL:
        interval(schedule.every_minutes)
    elif schedule.kind == ScheduleKind.CRON and cron_times(schedule.cron).closest() < LEAST_INTERVAL:
        raise BadSchedule("cron", f"{schedule.cron!r} has times less than 5 minutes apart")


def next_due(
    schedule: Schedule, connection_id: UUID, *, after: datetime, jitter: timedelta
) -> datetime | None:
    """Return the first instant after `after` at which the connection is due, None = not by itself.

    Daily and cron times are moved later by the connection's own part of `jitter`, an interval's times by its
    own part of the interval: they depend on the arguments alone, so that every replica and restart finds the
    same.

    Args:
        schedule: as the connection's owner set it.
        connection_id: decides the connection's part of the jitter.
        after: an aware instant.
        jitter: how far the same local time of many connections is spread.

    Raises:
        BadSchedule: the schedule names no time.
    """
    if schedule.kind == ScheduleKind.DAILY:
        offset = jitter * share(connection_id, "daily")
        return next_daily(wall_time(schedule.daily_at), zone(schedule.timezone), after=after, offset=offset)
    if schedule.kind == ScheduleKind.INTERVAL:
        every = interval(schedule.every_minutes)
        return _next_on_grid(every, every * share(connection_id, "interval"), after)
    if schedule.kind == ScheduleKind.CRON:
        offset = jitter * share(connection_id, "cron")
        return next_cron(cron_times(schedule.cron), zone(schedule.timezone), after=after, offset=offset)
    return None


def next_sweep(schedule: Schedule, connection_id: UUID, *, after: datetime, hour: int) -> datetime:
    """Return the first instant after `after` for the daily sweep: within the local `hour`.

    Raises:
        BadSchedule: the zone is unknown.
    """
    offset = timedelta(hours=1) * share(connection_id, "sweep")
    return next_daily(time(hour), zone(schedule.timezone), after=after, offset=offset)


def next_daily(wall: time, where: ZoneInfo, *, after: datetime, offset: timedelta = timedelta()) -> datetime:
    """Return the first instant after `after` that is `offset` past `wall` on some local day (UTC)."""
    day = (after - offset).astimezone(where).date() - _DAY
    while True:
        instant = instant_of(day, wall, where) + offset
        if instant > after:
            return instant
        day += _DAY


def next_cron(
    times: Cron, where: ZoneInfo, *, after: datetime, offset: timedelta = timedelta()
) -> datetime | None:
    """Return the first instant after `after` that is `offset` past one of `times` (UTC), None = never again.

    Times that clocks skip are one due time, at the jump; one that they show twice is its first occurrence.
    """
    for wall in times.walls((after - offset).astimezone(where).replace(tzinfo=None)):
        # Within a doubled hour the clock shows times again that have been served already.
        instant = instant_of(wall.date(), wall.time(), where) + offset
        if instant > after:
            return instant
    return None


def instant_of(day: date, wall: time, where: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which clocks in `where` show `wall` on `day`.

    A doubled time is its first occurrence; one that clocks skip is the instant at which they jump.
    """
    local = datetime.combine(day, wall, where)
    instant = local.astimezone(UTC)
    if instant.astimezone(where).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In the gap, fold=1 reads with the offset after the jump, which gives an instant before it.
    return _jump_between(local.replace(fold=1).astimezone(UTC), instant, where)


def caught_up_at(connection_id: UUID, *, now: datetime, spread: timedelta) -> datetime:
    """Return when a connection whose time was missed runs: its own moment within `spread` from now."""
    return now + spread * share(connection_id, "catch-up")


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name; raises `BadSchedule`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadSchedule("timezone", f"{name!r} is no IANA time zone") from error


def wall_time(text: str | None) -> time:
    """Return the time of day `HH:MM`; raises `BadSchedule`."""
    try:
        return datetime.strptime(text or "", "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone
    except ValueError as error:
        raise BadSchedule("daily_at", f"{text!r} is no time HH:MM") from error


def interval(minutes: int | None) -> timedelta:
    """Return the interval; raises `BadSchedule` where it is missing or under five minutes."""
    if minutes is None or timedelta(minutes=minutes) < LEAST_INTERVAL:
        raise BadSchedule("every_minutes", f"{minutes!r} is not 5 or more")
    return timedelta(minutes=minutes)


def cron_times(text: str | None) -> Cron:
    """Return the times of a cron expression; raises `BadSchedule`."""
    try:
        return cron(text or "")
    except BadCron as error:
        raise BadSchedule("cron", str(error)) from error


def _next_on_grid(every: timedelta, phase: timedelta, after: datetime) -> datetime:
    origin = datetime(2020, 1, 1, tzinfo=UTC) + phase
    return origin + every * ((after - origin) // every + 1)


def _jump_between(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    """Return the first whole second after `before` with the offset that holds at `after`."""
    offset = before.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(where).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
