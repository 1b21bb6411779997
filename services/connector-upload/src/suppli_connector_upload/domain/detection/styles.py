"""How dates and numbers are written, told from many of them: one `31/12` says more than a hundred `03/04`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from suppli_connector_upload.domain.amounts import CellProblem
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.moments import read_datetime
from suppli_connector_upload.domain.plan import DateOrder

_DATE = re.compile(r"\s*(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})(?!\d)")
_POINT_LAST = re.compile(r"\d,\d{3}\.\d|\d\.\d{1,2}(?!\d)|\d\.\d{4,}|^\D*\.\d")
_COMMA_LAST = re.compile(r"\d\.\d{3},\d|\d,\d{1,2}(?!\d)|\d,\d{4,}|^\D*,\d|\d[\s'’]\d{3},\d")
_GROUPS = re.compile(r"\d([,.'’\s])\d{3}(?!\d)")
_APART = {",": "comma", ".": "point", "'": "apostrophe", "’": "apostrophe"}
_THREE = re.compile(r"\d[.,]\d{3}(?!\d)")


class Told(NamedTuple):
    """A style, what it was told from, and whether a person should look."""

    value: str
    because: str
    sure: bool


def date_order(cells: Iterable[Cell]) -> Told:
    """Return in which sequence the dates of a column stand."""
    numbers: list[tuple[int, int, int]] = []
    texts: list[str] = []
    iso = None
    for cell in cells:
        if isinstance(cell, str) and (found := _DATE.match(cell)):
            if len(found[1]) == 4:
                iso = cell.strip()
                continue
            numbers.append((int(found[1]), int(found[2]), int(found[3])))
            texts.append(cell.strip())
    if not numbers and iso is not None:
        return Told(DateOrder.YMD, f"`{iso}` begins with the year.", sure=True)
    if not numbers:
        return Told(DateOrder.YMD, "The dates are stored as dates, or name their months.", sure=True)
    day_first = next((at for at, each in enumerate(numbers) if each[0] > 12), None)
    month_first = next((at for at, each in enumerate(numbers) if each[1] > 12), None)
    if day_first is not None and month_first is None:
        return Told(DateOrder.DMY, f"In `{texts[day_first]}` only the first number can be a day.", sure=True)
    if month_first is not None and day_first is None:
        return Told(
            DateOrder.MDY, f"In `{texts[month_first]}` only the second number can be a day.", sure=True
        )
    if day_first is not None:
        if all(_is_date(text, DateOrder.YMD) for text in texts[:200]):
            return Told(DateOrder.YMD, "All dates can be read with the year first.", sure=False)
        return Told(DateOrder.DMY, "Some dates can only be day first, others only month first.", sure=False)
    return _by_steps(texts)


def _is_date(text: str, order: DateOrder) -> bool:
    return _day(text, order) is not None


def _day(text: str, order: DateOrder) -> date | None:
    try:
        return read_datetime(text, order)[0]
    except CellProblem:
        return None


def _by_steps(texts: Sequence[str]) -> Told:
    """Tell by the distance from row to row: read wrongly, one day further is one month further."""
    day_first, month_first = (
        _steps([day for text in texts if (day := _day(text, order)) is not None])
        for order in (DateOrder.DMY, DateOrder.MDY)
    )
    if day_first == month_first:
        return Told(DateOrder.DMY, "No date tells whether day or month stands first.", sure=False)
    order, first = (DateOrder.DMY, "day") if day_first < month_first else (DateOrder.MDY, "month")
    return Told(order, f"Read with the {first} first, the rows lie closer together in time.", sure=False)


def _steps(days: Sequence[date]) -> int:
    return sum(abs((later - earlier).days) for earlier, later in pairwise(days))


def decimal_mark(cells: Iterable[Cell], minor: int = 2) -> Told:
    """Return the decimal mark of columns of amounts.

    Args:
        minor: digits of the currency's minor unit: where it is not 3, three digits behind a mark are
            thousands.
    """
    three = None
    for cell in cells:
        if not isinstance(cell, str):
            continue
        text = cell.strip()
        point, comma = _POINT_LAST.search(text), _COMMA_LAST.search(text)
        if point is not None and comma is None:
            return Told(".", f"`{text}` has a point before its last digits.", sure=True)
        if comma is not None and point is None:
            return Told(",", f"`{text}` has a comma before its last digits.", sure=True)
        if _THREE.search(text):
            three = text
    if three is None:
        return Told(".", "No amount has a fraction, or they are stored as numbers.", sure=True)
    mark = "," if "." in three else "."
    if minor == 3:
        mark = "." if "." in three else ","
    return Told(mark, f"`{three}` can be thousands or a fraction.", sure=False)


def thousands(cells: Iterable[Cell], mark: str) -> Told:
    """Return what stands between an amount's thousands; whatever it is, it is read past."""
    for cell in cells:
        if isinstance(cell, str) and (found := _GROUPS.search(cell)) is not None and found[1] != mark:
            name = _APART.get(found[1], "space")
            return Told(name, f"`{cell.strip()}` has a {name} before three digits.", sure=True)
    return Told("none", "No amount that was looked at has its thousands apart.", sure=True)
