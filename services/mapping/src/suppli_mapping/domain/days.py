"""What is known of a business day: how far it was asked for, and whether nothing means "sold nothing"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_contracts.events.connections import ZonePeriod
from suppli_contracts.events.days import DayState

Span = tuple[datetime, datetime]
"""A time that was asked for without a gap, half open."""

WEEKS = 4
"""How many past weeks say whether a sale is expected on a weekday."""
_EXPECTED_WEEKS = 2
_DAY = timedelta(days=1)
_UTC = ZonePeriod(timezone="UTC")


@lru_cache(maxsize=4_096)
def _begin(day: date, timezone: str, cutoff: str) -> datetime:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")  # settings are checked where they are made; a day off is better than none
    return datetime.combine(day, time.fromisoformat(cutoff), tzinfo=zone).astimezone(UTC)


def begin(day: date, zones: Sequence[ZonePeriod]) -> datetime:
    """Return the instant at which a business date begins: its local day cut-off.

    Args:
        day: the business date.
        zones: with their effective dates, oldest first; none = UTC.
    """
    held = next((each for each in reversed(zones) if each.from_date is None or day >= each.from_date), None)
    period = held or (zones[0] if zones else _UTC)
    return _begin(day, period.timezone, period.day_cutoff)


def span_of(day: date, zones: Sequence[ZonePeriod]) -> Span:
    """Return the instants from which and to which (exclusive) a business date lasts."""
    return begin(day, zones), begin(day + _DAY, zones)


def covered_until(spans: Iterable[Span], day: Span) -> datetime | None:
    """Return up to where a day was asked for without a gap from its begin, at most its end; None = not at
    all. Coverage is over the time of modification: what was sold within it was modified within it, or later.
    """
    for start, end in spans:
        if start <= day[0] < end:
            return min(end, day[1])
    return None


def touched(spans: Iterable[Span], day: Span) -> bool:
    """Return whether any part of a day was asked for."""
    return any(start < day[1] and day[0] < end for start, end in spans)


def expected(past: Sequence[bool]) -> bool:
    """Return whether a sale is expected on a weekday: on two of the same weekday's last four there was one.

    A shop that closes for good on a weekday is believed after three of them.

    Args:
        past: for each of the `WEEKS` before, whether something was sold on that weekday.
    """
    return sum(past) >= _EXPECTED_WEEKS


def state_of(
    *, orders: int, until: datetime | None, end: datetime, asked: bool, sale_expected: bool
) -> DayState:
    """Return what is known of a day by one way.

    Args:
        orders: how many orders there are of it.
        until: up to where it was asked for without a gap from its begin.
        end: where it ends.
        asked: whether any part of it was asked for.
        sale_expected: whether a day without a sale would be out of the ordinary.
    """
    if until is not None and until >= end:
        if orders:
            return DayState.COMPLETE
        return DayState.SUSPECT if sale_expected else DayState.EMPTY_VERIFIED
    return DayState.PARTIAL if asked or orders else DayState.MISSING


_WORST = (DayState.MISSING, DayState.SUSPECT, DayState.PARTIAL, DayState.UNKNOWN, DayState.COMPLETE)


def together(states: Iterable[DayState]) -> DayState:
    """Return what is known of a day by all the ways that count: the least; empty only where all are."""
    found = set(states)
    return next((state for state in _WORST if state in found), DayState.EMPTY_VERIFIED)


def dates_between(spans: Iterable[Span], zones: Sequence[ZonePeriod]) -> set[date]:
    """Return the business dates that have an instant in common with one of the spans."""
    found: set[date] = set()
    for start, end in spans:
        day = start.date() - 2 * _DAY  # zone and cut-off move a day's begin by less than two days
        while day <= end.date() + _DAY:
            if touched([(start, end)], span_of(day, zones)):
                found.add(day)
            day += _DAY
    return found


def difference(before: Sequence[Span], after: Sequence[Span]) -> list[Span]:
    """Return the times that only one of two coverages has."""
    edges = sorted({instant for span in (*before, *after) for instant in span})
    return [(start, end) for start, end in pairwise(edges) if _has(before, start) != _has(after, start)]


def _has(spans: Sequence[Span], instant: datetime) -> bool:
    return any(start <= instant < end for start, end in spans)
