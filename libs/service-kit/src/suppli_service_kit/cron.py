"""Five-field cron expressions (minute, hour, day of month, month, day of week), as Debian's cron reads them.

Parsed and evaluated by `cronsim`; here are errors that say what is wrong where, and the wall times alone:
what a wall time means on a day when clocks jump is for the caller to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from cronsim import CronSim, CronSimError

MAX_LENGTH = 100
EXAMPLE = "30 4 * * MON-FRI"
_DAY_MINUTES = 24 * 60
# A leap year follows, and every date falls on every day of the week within the time that is looked through.
_EPOCH = datetime(2023, 12, 31, 23, 59)  # noqa: DTZ001 - wall times have no zone
_DAYS_LOOKED_THROUGH = 28 * 366
_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, or L for the last"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of week", "0 to 7 or SUN to SAT (0 and 7 are Sunday), e.g. MON#1 for the first Monday"),
)
_FORMS = "with `*`, lists `1,3`, ranges `1-5` and steps `*/2`"


class BadCron(ValueError):
    """An expression that names no times; its text says what is wrong, where, and what is taken instead."""


class Cron:
    """An expression that names times."""

    def __init__(self, expression: str) -> None:
        """Read an expression.

        Raises:
            BadCron: not five fields, one of them wrong, or no such date in fifty years.
        """
        if len(expression) > MAX_LENGTH:
            raise BadCron(f"is longer than {MAX_LENGTH} characters")
        fields = expression.split()
        if len(fields) != len(_FIELDS):
            raise BadCron(
                f"has {len(fields)} fields; give five: minute, hour, day of month, month, day of week,"
                f" e.g. `{EXAMPLE}`"
            )
        for index, (name, values) in enumerate(_FIELDS):
            alone = ["*"] * len(_FIELDS)
            alone[index] = fields[index]
            if not re.fullmatch(r"[\w*,/#-]+", fields[index], re.ASCII) or _parsed(" ".join(alone)) is None:
                raise BadCron(f"has {fields[index]!r} as {name}; it takes {values}, {_FORMS}")
        self.expression = " ".join(fields)
        parsed = _parsed(self.expression)
        if parsed is None or next(parsed, None) is None:
            raise BadCron(f"names day of month {fields[2]!r} in month {fields[3]!r}: there is no such date")
        self._parsed = parsed

    def closest(self) -> timedelta:
        """Return the least time between two of its times on the wall clock, at most a day."""
        minutes = sorted(hour * 60 + minute for hour in self._parsed.hours for minute in self._parsed.minutes)
        gaps = [later - earlier for earlier, later in pairwise(minutes)]
        overnight = minutes[0] + _DAY_MINUTES - minutes[-1]
        if overnight < min(gaps, default=_DAY_MINUTES) and _days_in_a_row(self._parsed):
            gaps.append(overnight)
        return timedelta(minutes=min(gaps, default=_DAY_MINUTES))

    def walls(self, after: datetime) -> Iterator[datetime]:
        """Yield the wall times after `after` (naive, as the clock in the expression's place shows), for ever.

        Ends only where no date matches for fifty years.
        """
        return CronSim(self.expression, after)


@lru_cache(maxsize=1_000)
def cron(expression: str) -> Cron:
    """Return the expression, read once; raises `BadCron`."""
    return Cron(expression)


def _parsed(expression: str) -> CronSim | None:
    try:
        return CronSim(expression, _EPOCH)
    except CronSimError:
        return None


def _days_in_a_row(parsed: CronSim) -> bool:
    before = False
    day: date = _EPOCH.date()
    for _ in range(_DAYS_LOOKED_THROUGH):
        day += timedelta(days=1)
        matches = day.month in parsed.months and parsed.match_day(day)
        if matches and before:
            return True
        before = matches
    return False
