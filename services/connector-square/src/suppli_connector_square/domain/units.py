"""Square's measurement units under the short names that mapping converts by."""

from __future__ import annotations

from suppli_connector_square.domain.models import MeasurementUnit, QuantityUnit

EACH = "each"
UNKNOWN = "unknown"
_SHORT = {
    "UNIT": EACH,
    "IMPERIAL_WEIGHT_OUNCE": "oz", "IMPERIAL_POUND": "lb", "IMPERIAL_STONE": "st",
    "METRIC_MILLIGRAM": "mg", "METRIC_GRAM": "g", "METRIC_KILOGRAM": "kg",
    "GENERIC_FLUID_OUNCE": "fl_oz", "GENERIC_CUP": "cup", "GENERIC_PINT": "pt", "GENERIC_QUART": "qt",
    "GENERIC_GALLON": "gal", "GENERIC_SHOT": "shot", "METRIC_MILLILITER": "ml", "METRIC_LITER": "l",
    "IMPERIAL_CUBIC_INCH": "in3", "IMPERIAL_CUBIC_FOOT": "ft3", "IMPERIAL_CUBIC_YARD": "yd3",
    "IMPERIAL_INCH": "in", "IMPERIAL_FOOT": "ft", "IMPERIAL_YARD": "yd", "IMPERIAL_MILE": "mi",
    "METRIC_MILLIMETER": "mm", "METRIC_CENTIMETER": "cm", "METRIC_METER": "m", "METRIC_KILOMETER": "km",
    "IMPERIAL_ACRE": "acre", "IMPERIAL_SQUARE_INCH": "in2", "IMPERIAL_SQUARE_FOOT": "ft2",
    "IMPERIAL_SQUARE_YARD": "yd2", "IMPERIAL_SQUARE_MILE": "mi2", "METRIC_SQUARE_CENTIMETER": "cm2",
    "METRIC_SQUARE_METER": "m2", "METRIC_SQUARE_KILOMETER": "km2",
    "GENERIC_MILLISECOND": "ms", "GENERIC_SECOND": "s", "GENERIC_MINUTE": "min", "GENERIC_HOUR": "hour",
    "GENERIC_DAY": "day",
}  # fmt: skip


def unit_name(unit: MeasurementUnit | None) -> str:
    """Return a unit's short name; one of the seller's or a new one of Square's goes by its own name."""
    if unit is None:
        return UNKNOWN
    if unit.custom_unit is not None:
        return unit.custom_unit.name or UNKNOWN
    name = (
        unit.weight_unit
        or unit.volume_unit
        or unit.generic_unit
        or unit.length_unit
        or unit.area_unit
        or unit.time_unit
    )
    return _SHORT.get(name, name.lower()) if name else UNKNOWN


def line_unit(unit: QuantityUnit | None) -> str:
    """Return what a line's quantity is counted in; pieces where the line does not say."""
    return EACH if unit is None else unit_name(unit.measurement_unit)
