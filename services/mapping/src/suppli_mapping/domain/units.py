"""Units and exact quantities.

Mass and volume convert by exact fractions (international pound and US customary volumes, NIST Handbook 44,
appendix C). A quantity in stock units is an integer of millionths, rounded once.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

MILLION = 1_000_000
# Keeps products within PostgreSQL's bigint in millionths, and exact arithmetic small.
MAX_QUANTITY = 9_000_000_000_000
_MAX_DIGITS = 32

_POUND = Fraction(45_359_237, 100_000_000)
_GALLON = Fraction(3_785_411_784, 1_000_000_000)
_MASS = {
    "kg": Fraction(1),
    "g": Fraction(1, 1_000),
    "mg": Fraction(1, 1_000_000),
    "t": Fraction(1_000),
    "lb": _POUND,
    "oz": _POUND / 16,
    "st": _POUND * 14,
}
_VOLUME = {
    "l": Fraction(1),
    "dl": Fraction(1, 10),
    "cl": Fraction(1, 100),
    "ml": Fraction(1, 1_000),
    "m3": Fraction(1_000),
    "gal": _GALLON,
    "qt": _GALLON / 4,
    "pt": _GALLON / 8,
    "cup": _GALLON / 16,
    "fl_oz": _GALLON / 128,
}
_SCALES = (_MASS, _VOLUME)
_ALIASES = {
    "ea": "each", "unit": "each", "pc": "each", "pcs": "each", "piece": "each",
    "kilogram": "kg", "kilograms": "kg", "kgs": "kg", "gram": "g", "grams": "g", "milligram": "mg",
    "tonne": "t",
    "pound": "lb", "pounds": "lb", "lbs": "lb", "ounce": "oz", "ounces": "oz", "stone": "st",
    "liter": "l", "litre": "l", "liters": "l", "litres": "l", "milliliter": "ml", "millilitre": "ml",
    "gallon": "gal", "gallons": "gal", "quart": "qt", "pint": "pt", "cups": "cup", "fl oz": "fl_oz",
    "floz": "fl_oz", "fluid_ounce": "fl_oz",
}  # fmt: skip


class BadQuantity(ValueError):
    """A quantity, factor or share is no number, or one beyond all measure."""


@lru_cache(maxsize=4_096)
def unit_name(unit: str | None) -> str:
    """Return a unit in its one spelling; None and blank mean `each`."""
    name = (unit or "").strip().lower()
    return _ALIASES.get(name, name) or "each"


@lru_cache(maxsize=4_096)
def conversion(source: str, target: str) -> Fraction | None:
    """Return how many `target` one `source` is, None where that is not a matter of arithmetic."""
    source, target = unit_name(source), unit_name(target)
    if source == target:
        return Fraction(1)
    for scale in _SCALES:
        if source in scale and target in scale:
            return scale[source] / scale[target]
    return None


@lru_cache(maxsize=65_536)
def exact(text: str) -> Fraction:
    """Return a decimal (`0.5`) or fraction (`1/3`) as it is.

    Raises:
        BadQuantity: it is neither, has more than 32 digits, or is beyond 9 * 10^12.
    """
    numerator, slash, denominator = text.partition("/")
    try:
        value = Fraction(_decimal(numerator))
        if slash:
            value /= Fraction(_decimal(denominator))
    except (ValueError, InvalidOperation, ZeroDivisionError) as error:
        raise BadQuantity(f"{text[:40]!r} is no decimal and no fraction") from error
    if abs(value) > MAX_QUANTITY:
        raise BadQuantity(f"{text[:40]!r} is beyond {MAX_QUANTITY}")
    return value


def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS:
        raise ValueError("too long")
    value = Decimal(text.strip())
    if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        raise ValueError("not finite")
    return value


def millionths(numerator: int, denominator: int) -> int:
    """Return numerator/denominator in millionths, halves away from zero, as a return mirrors its sale."""
    scaled = abs(numerator) * MILLION * 2 + denominator
    rounded = scaled // (2 * denominator)
    return -rounded if numerator < 0 else rounded


@lru_cache(maxsize=65_536)
def decimal_text(amount: int) -> str:
    """Return millionths as a decimal without trailing zeros: 340194 -> `0.340194`, 2000000 -> `2`."""
    whole, part = divmod(abs(amount), MILLION)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:06d}".rstrip("0") if part else f"{sign}{whole}"
