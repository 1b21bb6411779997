"""When something was sold: dates and times as files write them, and the shop's day they count on."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from suppli_connector_kit.domain.instants import to_us

from suppli_connector_upload.domain.amounts import CellProblem
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.plan import DateOrder
from suppli_connector_upload.domain.remembered import Remembered

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)
_NUMERIC = re.compile(r"(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})")
_DAY_MONTH = re.compile(r"(\d{1,2})[\s.\-/]+([A-Za-z]{3,9})\.?,?[\s.\-/]+(\d{2,4})")
_MONTH_DAY = re.compile(r"([A-Za-z]{3,9})\.?[\s\-]+(\d{1,2})(?:st|nd|rd|th)?,?[\s\-]+(\d{2,4})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIMED = re.compile(
    r"(?P<date>.*?\d)(?:T|,?\s+(?:at\s+)?)"
    r"(?P<time>\d{1,2}(?:[:.]\d{2}){1,2}(?:[.,]\d{1,9})?(?:\s*[AaPp]\.?[Mm]\.?)?|\d{1,2}\s*[AaPp]\.?[Mm]\.?)"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|UTC|GMT|[A-Z]{3,5})?"
)
_TIME = re.compile(
    r"(\d{1,2})(?:[:.](\d{2}))?(?:[:.](\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])\.?[Mm]\.?)?\s*(?:[A-Z]{3,5})?"
)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})")
_DAY_S = 86_400
_LONGEST = 64
_HALVES = 1 << 17
_FIRST_YEAR, _LAST_YEAR = 1990, 2099


class Moment(NamedTuple):
    """When a line happened and where it counts.

    Attributes:
        at_us: microseconds since 1970 UTC.
        day: the business date, as `date.toordinal`.
    """

    at_us: int
    day: int


def read_date(text: str, order: DateOrder) -> date:
    """Return the date that a text says; a year of four digits in front needs no order.

    Raises:
        CellProblem: it says none.
    """
    text = _WEEKDAY.sub("", text.strip())
    if found := _NUMERIC.fullmatch(text):
        first, second, third = found.groups()
        if len(first) == 4 or order is DateOrder.YMD:
            return _date(first, second, third)
        return _date(third, second, first) if order is DateOrder.DMY else _date(third, first, second)
    if found := _COMPACT.fullmatch(text):
        return _date(*found.groups())
    if found := _DAY_MONTH.fullmatch(text):
        return _date(found[3], _month(found[2]), found[1])
    if found := _MONTH_DAY.fullmatch(text):
        return _date(found[3], _month(found[1]), found[2])
    raise CellProblem("this is no date")


def _month(name: str) -> str:
    try:
        return str(_MONTHS.index(name[:3].lower()) + 1)
    except ValueError:
        raise CellProblem("this is no date: its month is not known") from None


def _date(year: str, month: str, day: str) -> date:
    whole = int(year) + (2000 if len(year) <= 2 else 0)
    try:
        found = date(whole, int(month), int(day))
    except ValueError:
        raise CellProblem("there is no such date: day and month may stand in another sequence") from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise CellProblem("this date is not in the years of this system")
    return found


def read_time(text: str) -> time:
    """Return the time of day that a text says, with AM or PM or of 24 hours.

    Raises:
        CellProblem: it says none.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None or (found[2] is None and found[5] is None):
        raise CellProblem("this is no time of day")
    hour = int(found[1])
    if found[5] is not None:
        if not 1 <= hour <= 12:
            raise CellProblem("this is no time of day: an hour with AM or PM is 1 to 12")
        hour = hour % 12 + (12 if found[5] in "pP" else 0)
    micro = int((found[4] or "0")[:6].ljust(6, "0"))
    try:
        return time(hour, int(found[2] or 0), int(found[3] or 0), micro)
    except ValueError:
        raise CellProblem("this is no time of day") from None


def read_datetime(text: str, order: DateOrder) -> tuple[date, time | None, timezone | None]:
    """Return what a text says of date, time and offset to UTC; names of zones are read past.

    Raises:
        CellProblem: it says no date.
    """
    text = text.strip()
    if len(text) > _LONGEST:  # what is longer is no date, and would take the pattern for ever
        raise CellProblem("this is no date")
    found = _TIMED.fullmatch(text)
    if found is None:
        return read_date(text, order), None, None
    return read_date(found["date"], order), read_time(found["time"]), _offset(found["zone"])


def _offset(zone: str | None) -> timezone | None:
    if zone in ("Z", "UTC", "GMT"):
        return UTC
    found = _OFFSET.fullmatch(zone or "")
    if found is None:
        return None
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if size >= timedelta(hours=24):
        raise CellProblem("this is no time of day: its offset is beyond a day")
    return timezone(-size if found[1] == "-" else size)


class Moments(Remembered[Moment]):
    """Moments of cells under a shop's zone and cut-off.

    A date without a time counts on that date, at the instant that the shop's day begins. Of a wall time that
    comes twice, the first is meant; one that the clocks skip is as long after the jump.
    """

    def __init__(self, order: DateOrder, zone: ZoneInfo, cutoff: str) -> None:
        super().__init__()
        wall = time.fromisoformat(cutoff)
        self._order, self._zone = order, zone
        self._cutoff = timedelta(hours=wall.hour, minutes=wall.minute)
        self._days: dict[str, date] = {}
        self._walls: dict[str, time] = {}

    def find(self, cell: Cell) -> Moment:
        """Return the moment in a cell."""
        return self._moment(*self._parts(cell))

    def _read(self, text: str) -> tuple[date, time | None, timezone | None]:
        """Read date and time by halves where a blank is between them: each half comes again and again."""
        first, _, second = text.partition(" ")
        try:
            day = self._days.get(first)
            if day is None:
                day = self._days[first] = read_date(first, self._order)
            wall = self._walls.get(second)
            if wall is None:
                wall = self._walls[second] = read_time(second)
        except CellProblem:
            return read_datetime(text, self._order)
        if len(self._days) + len(self._walls) > _HALVES:
            self._days.clear()
            self._walls.clear()
        return day, wall, None

    def joined(self, day: Cell, wall: Cell) -> Moment:
        """Return the moment of a date and a time in two cells; an empty time says only the date."""
        if isinstance(day, str) and isinstance(wall, str):
            return self[f"{day} {wall}" if wall.strip() else day]
        found, inside, _ = self._parts(day)
        if inside == time():  # old workbooks store a date alone as its midnight
            inside = None
        if isinstance(wall, datetime):
            inside = wall.time()
        elif isinstance(wall, time):
            inside = wall
        elif isinstance(wall, float) and 0 <= wall < 1:  # a time whose cell has lost its format
            inside = (datetime.combine(found, time()) + timedelta(seconds=round(wall * _DAY_S))).time()
        elif wall != "":
            inside = read_time(str(wall))
        return self._moment(found, inside, None)

    def of_day(self, cell: Cell) -> Moment:
        """Return the moment at which the day in a cell begins, whatever time stands there."""
        return self._moment(self._parts(cell)[0], None, None)

    def _parts(self, cell: Cell) -> tuple[date, time | None, timezone | None]:
        if isinstance(cell, str):
            if not cell.strip():
                raise CellProblem("the date is missing")
            return self._read(cell)
        if isinstance(cell, datetime):
            return cell.date(), cell.time(), None
        if isinstance(cell, date):
            return cell, None, None
        if isinstance(cell, int) and not isinstance(cell, bool):  # 20240410
            return read_date(str(cell), DateOrder.YMD), None, None
        raise CellProblem("a number stands where a date should")

    def _moment(self, day: date, wall: time | None, offset: timezone | None) -> Moment:
        if wall is None:
            begins = datetime.combine(day, time(), self._zone) + self._cutoff
            return Moment(to_us(begins), day.toordinal())
        if offset is not None:
            at = datetime.combine(day, wall, offset)
            local = at.astimezone(self._zone).replace(tzinfo=None)
        else:
            local = datetime.combine(day, wall)
            at = local.replace(tzinfo=self._zone)
        return Moment(to_us(at), (local - self._cutoff).toordinal())
