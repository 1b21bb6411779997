"""The shop's own day: the local date of an instant, less the location's day cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_connector_kit.protocol import Zone


@lru_cache(maxsize=512)
def _rule(timezone: str, day_cutoff: str) -> tuple[ZoneInfo, timedelta]:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{timezone!r} is not the name of a time zone") from error
    wall = time.fromisoformat(day_cutoff)
    return zone, timedelta(hours=wall.hour, minutes=wall.minute)


def business_date(at: datetime, zones: Sequence[Zone]) -> date:
    """Return the business date of an instant under the zone in force on that date.

    Args:
        at: aware instant.
        zones: oldest first, never empty; a zone holds from its `from_date` on.

    Raises:
        ValueError: a zone or a cut-off is not one.
    """
    day = at.date()
    for period in reversed(zones):
        zone, cutoff = _rule(period.timezone, period.day_cutoff)
        # wall time less the cut-off: on the days the clocks change, the shop looks at the clock on its wall
        day = (at.astimezone(zone).replace(tzinfo=None) - cutoff).date()
        if period.from_date is None or day >= period.from_date:
            return day
    return day


def zone_on(day: date, zones: Sequence[Zone]) -> Zone:
    """Return the zone in force on a business date; before the first one's date, the first."""
    for period in reversed(zones):
        if period.from_date is None or day >= period.from_date:
            return period
    return zones[0]


def day_start(day: date, zone: Zone) -> datetime:
    """Return the instant (UTC) of the local midnight at which a date begins.

    A midnight that the clocks skip begins at the instant they jump; of a doubled one the first counts.
    """
    info, _ = _rule(zone.timezone, zone.day_cutoff)
    return datetime.combine(day, time(), tzinfo=info).astimezone(UTC)
