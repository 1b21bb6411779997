"""Short names of units: what mapping converts by."""

from __future__ import annotations

EACH = "each"
UNKNOWN = "unknown"
_SYSTEMS = frozenset({"generic", "imperial", "metric", "us", "weight"})
_SHORT = {
    "unit": EACH, "piece": EACH, "each": EACH,
    "ounce": "oz", "pound": "lb", "stone": "st", "milligram": "mg", "gram": "g", "kilogram": "kg",
    "fluid_ounce": "fl_oz", "cup": "cup", "pint": "pt", "quart": "qt", "gallon": "gal", "shot": "shot",
    "milliliter": "ml", "liter": "l", "cubic_inch": "in3", "cubic_foot": "ft3", "cubic_yard": "yd3",
    "inch": "in", "foot": "ft", "yard": "yd", "mile": "mi",
    "millimeter": "mm", "centimeter": "cm", "meter": "m", "kilometer": "km",
    "acre": "acre", "square_inch": "in2", "square_foot": "ft2", "square_yard": "yd2", "square_mile": "mi2",
    "square_centimeter": "cm2", "square_meter": "m2", "square_kilometer": "km2",
    "millisecond": "ms", "second": "s", "minute": "min", "hour": "hour", "day": "day",
}  # fmt: skip


def first_name(*names: str | None) -> str:
    """Return the short name of the first unit that is named; `UNKNOWN` where none is."""
    return next((short_name(name) for name in names if name), UNKNOWN)


def short_name(name: str) -> str:
    """Return the short name of a unit that a provider names in English, e.g. `IMPERIAL_POUND` -> `lb`.

    The system of measurement before it does not matter. A unit that is new to us goes by its own name: it
    waits for a person instead of being guessed.
    """
    words = name.lower().split("_")
    while words[0] in _SYSTEMS and len(words) > 1:
        words = words[1:]
    return _SHORT.get("_".join(words), name.lower())
