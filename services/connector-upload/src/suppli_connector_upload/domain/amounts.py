"""Amounts and quantities as people and programs write them."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

from suppli_connector_kit.domain import quantities

from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.remembered import Remembered

# ISO 4217; all others have two digits.
_NO_MINOR = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())  # noqa: SIM905
_THREE_DIGITS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))

_MOST_MONEY, _MOST_THINGS = 10**15, 10**12
_PRODUCTS = 1 << 14
_NOTHING = frozenset({"", "-", "–", "—", "NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN"})
_SIGNS = str.maketrans("−–—", "---")
_CURRENCY = (
    r"(?:[A-Z]{0,3}[$€£¥₹₽₺₩₫₪₴₦฿₱₡₲₵₸₼৳﷼]|[A-Z]{3}|[Rr]s\.?|[Ff]r\.?"
    r"|kr\.?|zł|Kč|Ft|лв\.?|руб\.?|грн\.?|lei|din\.?)"
)
_MONEY = re.compile(
    rf"(?P<open>\()? ?(?P<sign>[-+])? ?{_CURRENCY}? ?(?P<sign2>[-+])? ?"
    r"(?P<number>\d(?:[\d.,'’ ]*[\d.,])?|[.,]\d+)(?P<power>[eE][-+]?\d{1,3})?"
    rf" ?{_CURRENCY}? ?(?P<trail>-)? ?(?P<close>\))?"
)
_DIGITS = 20
_LONGEST = 64
_DECIMALS = 9


class CellProblem(Exception):
    """A cell does not hold what its column should; the message is the reason, without the value."""


def minor_digits(currency: str) -> int:
    """Return how many digits a currency's minor unit has behind the point (ISO 4217)."""
    return 0 if currency in _NO_MINOR else 3 if currency in _THREE_DIGITS else 2


@lru_cache(maxsize=4)
def _grouping(mark: str) -> re.Pattern[str]:
    """Return what a number looks like: groups of three (in India of two), all apart by the same sign."""
    other = "," if mark == "." else r"\."
    return re.compile(
        rf"(\d+|\d{{1,3}}(?:(?P<apart>[{other}'’\s])(?:\d{{2,3}}(?P=apart))*\d{{3}}))?(?:{re.escape(mark)}\d*)?"
    )


def number(cell: Cell, mark: str) -> Decimal | None:
    """Return the number in a cell, with or without a currency's sign; None where there is none.

    Args:
        mark: the decimal mark of text, `.` or `,`.

    Raises:
        CellProblem: it is no number.
    """
    if isinstance(cell, str):
        return _written(cell.strip(), mark)
    if isinstance(cell, (date, time)):
        raise CellProblem("a date stands where a number should")
    return Decimal(repr(cell))


def _written(text: str, mark: str) -> Decimal | None:
    if text in _NOTHING:
        return None
    if len(text) > _LONGEST:  # what is longer is no number, and would take the pattern for ever
        raise CellProblem("this is no number")
    found = _MONEY.fullmatch(" ".join(text.translate(_SIGNS).split()))
    if found is None or (found["open"] is None) != (found["close"] is None):
        raise CellProblem("this is no number")
    digits = found["number"].strip()
    if len(digits) > _DIGITS or _grouping(mark).fullmatch(digits) is None:
        raise CellProblem(f"this is no number with `{mark}` as its decimal mark")
    plain = re.sub(r"['’\s]", "", digits.replace("," if mark == "." else ".", "")).replace(mark, ".")
    try:
        value = Decimal(plain + (found["power"] or ""))
    except InvalidOperation:
        raise CellProblem("this is no number") from None
    signs = (found["sign"], found["sign2"], found["trail"])
    return -value if (found["open"] is not None) != (signs.count("-") % 2 == 1) else value


class Quantity(NamedTuple):
    """A quantity, and how it is said: without needless zeros."""

    value: Decimal
    text: str

    @property
    def taken_back(self) -> Quantity:
        """The same, below 0."""
        return Quantity(-abs(self.value), quantities.text(abs(self.value), -1))


class Amounts(Remembered[int | None]):
    """Money of cells in minor units, rounded half up."""

    def __init__(self, mark: str, currency: str) -> None:
        super().__init__()
        self._mark = mark
        self._scale = Decimal(10) ** minor_digits(currency)
        self._products: dict[tuple[Cell, str], int | None] = {}

    def find(self, cell: Cell) -> int | None:
        """Return the amount in a cell; None where there is none."""
        value = number(cell, self._mark)
        return None if value is None else self._minor(value)

    def times(self, price: Cell, quantity: Quantity) -> int | None:
        """Return a price for one times a quantity, rounded once; None where there is no price."""
        key = (price, quantity.text)
        if key not in self._products:
            value = number(price, self._mark)
            if len(self._products) >= _PRODUCTS:
                self._products.clear()
            self._products[key] = None if value is None else self._minor(value * quantity.value)
        return self._products[key]

    def _minor(self, value: Decimal) -> int:
        if not value.is_finite() or abs(value) >= _MOST_MONEY:
            raise CellProblem("this amount is beyond what money can be")
        return int((value * self._scale).to_integral_value(ROUND_HALF_UP))


class Quantities(Remembered[Quantity | None]):
    """Quantities of cells."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self._mark = mark

    def find(self, cell: Cell) -> Quantity | None:
        """Return the quantity in a cell; None where there is none."""
        value = number(cell, self._mark)
        if value is None:
            return None
        if not value.is_finite() or abs(value) >= _MOST_THINGS:
            raise CellProblem("this number is beyond what a quantity can be")
        value = round(value, _DECIMALS)
        return Quantity(value, quantities.text(abs(value), -1 if value < 0 else 1))
