"""Units of measure as Square's orders and catalog carry them."""

from typing import Any

Json = dict[str, Any]

_UNITS = {
    "lb": ("weight_unit", "IMPERIAL_POUND", "TYPE_WEIGHT"),
    "oz": ("weight_unit", "IMPERIAL_WEIGHT_OUNCE", "TYPE_WEIGHT"),
    "kg": ("weight_unit", "METRIC_KILOGRAM", "TYPE_WEIGHT"),
    "g": ("weight_unit", "METRIC_GRAM", "TYPE_WEIGHT"),
    "l": ("volume_unit", "METRIC_LITER", "TYPE_VOLUME"),
    "ml": ("volume_unit", "METRIC_MILLILITER", "TYPE_VOLUME"),
    "gal": ("volume_unit", "GENERIC_GALLON", "TYPE_VOLUME"),
    "m": ("length_unit", "METRIC_METER", "TYPE_LENGTH"),
    "ft": ("length_unit", "IMPERIAL_FOOT", "TYPE_LENGTH"),
    "hr": ("time_unit", "GENERIC_HOUR", "TYPE_TIME"),
}


def measurement_unit(short: str) -> Json:
    """Return a MeasurementUnit of a short name; one that Square has no name for becomes a custom unit."""
    known = _UNITS.get(short.lower())
    if known is None:
        return {"custom_unit": {"name": short, "abbreviation": short[:12]}, "type": "TYPE_CUSTOM"}
    return {known[0]: known[1], "type": known[2]}


def unit_of(short: str, precision: int = 3, catalog_object_id: str | None = None) -> Json | None:
    """Return an order line's quantity_unit, or None for pieces."""
    if short.lower() in ("", "ea", "each"):
        return None
    unit: Json = {"measurement_unit": measurement_unit(short), "precision": precision}
    return unit if catalog_object_id is None else unit | {"catalog_object_id": catalog_object_id}
