"""Which business dates a file covers: told by the dates that it has sales of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct

CLOSED_DAYS = 7
"""A file that has sales before and after so many dates without any covers those too: the shop was closed.
A longer gap may be two exports in one file, or one mistyped date, and proves nothing.
"""


class Days(Struct, frozen=True):
    """Business dates, both ends included."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last


def covered_days(dates: Iterable[date]) -> tuple[Days, ...]:
    """Return the spans that a file covers that has sales on `dates`, oldest first."""
    spans: list[Days] = []
    for day in sorted(set(dates)):
        if spans and day - spans[-1].last <= timedelta(days=CLOSED_DAYS + 1):
            spans[-1] = Days(spans[-1].first, day)
        else:
            spans.append(Days(day, day))
    return tuple(spans)


def without(spans: Iterable[Days], others: Iterable[Days]) -> tuple[Days, ...]:
    """Return what of `spans` none of `others` has."""
    left = list(spans)
    for other in others:
        left = [part for span in left for part in _less(span, other)]
    return tuple(sorted(left, key=lambda span: span.first))


def _less(span: Days, other: Days) -> list[Days]:
    if other.last < span.first or span.last < other.first:
        return [span]
    day = timedelta(days=1)
    parts = []
    if span.first < other.first:
        parts.append(Days(span.first, other.first - day))
    if other.last < span.last:
        parts.append(Days(other.last + day, span.last))
    return parts
