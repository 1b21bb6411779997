"""What an owner may change in a connection's settings, checked field by field: pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from zoneinfo import available_timezones

from suppli_contracts.events.connections import (
    LEAST_SPACING_MINUTES,
    ConnectedLocation,
    Schedule,
    ScheduleKind,
    Way,
    ZonePeriod,
)
from suppli_service_kit.cron import EXAMPLE, BadCron, cron

from suppli_gateway.connections.domain import Connection, NotAllowed

_WALL_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
MAX_INTERVAL_MINUTES = 7 * 24 * 60
# Files of the zone database that are no places.
_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request: where, what was given, why it is refused."""

    field: str
    value: str | int | None
    reason: str


class Invalid(Exception):
    """The request's values cannot be taken; nothing was changed.

    Attributes:
        errors: every single one.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.reason}" for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationChange:
    """What changes for one location; a field left None stays as it is.

    Attributes:
        untie: take the tie to a Suppli location back.
        from_date: first business date that zone and cut-off hold for; None = since ever.
    """

    location_id: str
    chosen: bool | None = None
    suppli_location_id: str | None = None
    untie: bool = False
    timezone: str | None = None
    day_cutoff: str | None = None
    from_date: date | None = None


@cache
def zone_names() -> frozenset[str]:
    """Return the IANA names that may be used."""
    return frozenset(available_timezones() - _NO_PLACES)


def zone_problem(name: str) -> str | None:
    """Return why `name` cannot be a time zone, None when it can."""
    if name in zone_names():
        return None
    return "is not an IANA time zone, e.g. `America/New_York`"


def wall_time_problem(text: str) -> str | None:
    """Return why `text` cannot be a local time of day, None when it can."""
    return None if _WALL_TIME.fullmatch(text) else "is not a local time `HH:MM` from 00:00 to 23:59"


def schedule_errors(schedule: Schedule, path: str = "schedule") -> list[FieldError]:
    """Return everything that is wrong with a schedule."""
    errors: list[FieldError] = []
    if problem := zone_problem(schedule.timezone):
        errors.append(FieldError(f"{path}.timezone", schedule.timezone, problem))
    daily, every = schedule.daily_at, schedule.every_minutes
    if schedule.kind is ScheduleKind.DAILY:
        problem = "is needed for a daily schedule" if daily is None else wall_time_problem(daily)
        if problem:
            errors.append(FieldError(f"{path}.daily_at", daily, problem))
    elif daily is not None:
        errors.append(FieldError(f"{path}.daily_at", daily, "is for kind `daily` alone"))
    if schedule.kind is ScheduleKind.INTERVAL:
        if every is None or not LEAST_SPACING_MINUTES <= every <= MAX_INTERVAL_MINUTES:
            reason = f"is needed for an interval: {LEAST_SPACING_MINUTES} to {MAX_INTERVAL_MINUTES} minutes"
            errors.append(FieldError(f"{path}.every_minutes", every, reason))
    elif every is not None:
        errors.append(FieldError(f"{path}.every_minutes", every, "is for kind `interval` alone"))
    if schedule.kind is ScheduleKind.CRON:
        if problem := cron_problem(schedule.cron):
            errors.append(FieldError(f"{path}.cron", schedule.cron, problem))
    elif schedule.cron is not None:
        errors.append(FieldError(f"{path}.cron", schedule.cron, "is for kind `cron` alone"))
    return errors


def cron_problem(expression: str | None) -> str | None:
    """Return why `expression` cannot be a schedule and what to do, None when it can."""
    if expression is None:
        return f"is needed for a cron schedule, e.g. `{EXAMPLE}`"
    try:
        closest = cron(expression).closest()
    except BadCron as error:
        return str(error)
    minutes = int(closest.total_seconds() // 60)
    if minutes < LEAST_SPACING_MINUTES:
        return (
            f"has two times {minutes} minute{'s' * (minutes > 1)} apart; at least {LEAST_SPACING_MINUTES}"
            f" must lie between two syncs, e.g. `*/{LEAST_SPACING_MINUTES} * * * *`"
        )
    return None


def changed_locations(
    known: tuple[ConnectedLocation, ...],
    changes: Sequence[LocationChange],
    *,
    suppli_locations: Collection[str],
    path: str = "locations",
) -> tuple[ConnectedLocation, ...]:
    """Return the locations with `changes` applied.

    Args:
        known: the connection's locations.
        changes: at most one per location.
        suppli_locations: which of the named Suppli locations exist.
        path: where the changes stand in the request, for the errors.

    Raises:
        Invalid: with every error.
    """
    result = {location.location_id: location for location in known}
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, change in enumerate(changes):
        where = f"{path}[{index}]"
        location = result.get(change.location_id)
        if location is None:
            reason = "is not a location of the connected account"
            errors.append(FieldError(f"{where}.location_id", change.location_id, reason))
            continue
        if change.location_id in seen:
            errors.append(FieldError(f"{where}.location_id", change.location_id, "is given twice"))
            continue
        seen.add(change.location_id)
        problems = _location_errors(location, change, where, suppli_locations)
        errors += problems
        if not problems:
            result[change.location_id] = _apply(location, change)
    if errors:
        raise Invalid(errors)
    return tuple(result.values())


def _location_errors(
    location: ConnectedLocation, change: LocationChange, where: str, suppli_locations: Collection[str]
) -> list[FieldError]:
    errors: list[FieldError] = []
    tie = change.suppli_location_id
    if tie is not None and tie not in suppli_locations:
        errors.append(
            FieldError(f"{where}.suppli_location_id", tie, "is not a Suppli location of this tenant")
        )
    if change.timezone is not None and (problem := zone_problem(change.timezone)):
        errors.append(FieldError(f"{where}.timezone", change.timezone, problem))
    if change.day_cutoff is not None and (problem := wall_time_problem(change.day_cutoff)):
        errors.append(FieldError(f"{where}.day_cutoff", change.day_cutoff, problem))
    says_zone = change.timezone is not None or change.day_cutoff is not None
    base = _period(location, change.from_date)
    if change.day_cutoff is not None and change.timezone is None and base is None:
        errors.append(FieldError(f"{where}.timezone", None, "is needed to confirm the day cut-off"))
    if change.from_date is not None:
        given = change.from_date.isoformat()
        if not says_zone:
            errors.append(FieldError(f"{where}.from_date", given, "is for a time zone or day cut-off alone"))
        elif not location.zones:
            reason = "the first time zone holds since ever: leave the date out"
            errors.append(FieldError(f"{where}.from_date", given, reason))
    return errors


def _period(location: ConnectedLocation, from_date: date | None) -> ZonePeriod | None:
    return next((period for period in location.zones if period.from_date == from_date), None)


def _apply(location: ConnectedLocation, change: LocationChange) -> ConnectedLocation:
    tie = None if change.untie else change.suppli_location_id or location.suppli_location_id
    zones = location.zones
    if change.timezone is not None or change.day_cutoff is not None:
        before = _period(location, change.from_date)
        period = ZonePeriod(
            timezone=change.timezone or (before.timezone if before else ""),
            day_cutoff=change.day_cutoff or (before.day_cutoff if before else "00:00"),
            from_date=change.from_date,
        )
        zones = _with_period(zones, period)
    return ConnectedLocation(
        location_id=location.location_id,
        name=location.name,
        currency=location.currency,
        chosen=location.chosen if change.chosen is None else change.chosen,
        suppli_location_id=tie,
        zones=zones,
    )


def _with_period(zones: tuple[ZonePeriod, ...], period: ZonePeriod) -> tuple[ZonePeriod, ...]:
    """Return the periods, oldest first, with `period` in place of the one from the same date."""
    by_date: Mapping[date | None, ZonePeriod] = {
        **{zone.from_date: zone for zone in zones},
        period.from_date: period,
    }
    return tuple(sorted(by_date.values(), key=lambda zone: zone.from_date or date.min))


def with_settings(
    connection: Connection,
    *,
    schedule: Schedule | None,
    start_date: date | None,
    locations: tuple[ConnectedLocation, ...],
    way: Way | None = None,
    now: datetime,
) -> Connection:
    """Return the connection with new settings; unchanged, with the same revision, where nothing differs.

    Raises:
        NotAllowed: it is deleted.
        Invalid: a chosen location of a started connection would lose its tie or have no zone.
    """
    if connection.deleted_at is not None:
        raise NotAllowed("connection-disconnected", "The connection and its data were removed.")
    if connection.started:
        errors = [
            FieldError(
                "locations", location.location_id, "is chosen, so it needs a tie and a confirmed time zone"
            )
            for location in locations
            if location.chosen and not (location.suppli_location_id and location.zones)
        ]
        if errors:
            raise Invalid(errors)
    changed = connection.changed(
        now,
        schedule=schedule or connection.schedule,
        start_date=start_date or connection.start_date,
        locations=locations,
        way=connection.way if way is None else way,
    )
    said = (changed.schedule, changed.start_date, changed.locations, changed.way)
    if said == (connection.schedule, connection.start_date, connection.locations, connection.way):
        return connection
    return changed
