"""Catalog objects as external items: what sales lines name are variations and modifiers.

Source: Square's OpenAPI specification, CatalogObject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from suppli_connector_kit.domain.parts import page_reader
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.protocol import CatalogItem
from suppli_contracts.events.catalog import ItemKind

from suppli_connector_square.domain.models import MeasurementUnit, unit_name

REFERENCES = ("CATEGORY", "MEASUREMENT_UNIT")
SELLING = ("ITEM", "MODIFIER_LIST")
EVERYTHING = (*REFERENCES, *SELLING, "ITEM_VARIATION", "MODIFIER")
"""Variations and modifiers come within SELLING; asked for by name they tell that one changed."""


class CategoryRef(msgspec.Struct):
    """An item's category; the lowest `ordinal` comes first."""

    id: str | None = None
    ordinal: int | None = None


class ObjectData(msgspec.Struct):
    """What the object's type has of these; `category_id` is the older way to say a category."""

    name: str | None = None
    variations: list[CatalogObject] | None = None
    modifiers: list[CatalogObject] | None = None
    reporting_category: CategoryRef | None = None
    categories: list[CategoryRef] | None = None
    category_id: str | None = None
    sku: str | None = None
    upc: str | None = None
    measurement_unit_id: str | None = None
    measurement_unit: MeasurementUnit | None = None


_NOTHING = ObjectData()


class CatalogObject(msgspec.Struct):
    """An object of the catalog; the data of its type is set."""

    id: str
    item_data: ObjectData | None = None
    item_variation_data: ObjectData | None = None
    modifier_list_data: ObjectData | None = None
    modifier_data: ObjectData | None = None
    category_data: ObjectData | None = None
    measurement_unit_data: ObjectData | None = None


class CatalogAnswer(msgspec.Struct):
    """A page of SearchCatalogObjects."""

    objects: list[CatalogObject] | None = None
    cursor: str | None = None
    latest_time: str | None = None


read_answer = page_reader(CatalogAnswer)
"""Reads a page, and the cursor of the next one."""


def names(objects: Iterable[CatalogObject]) -> dict[str, str]:
    """Return what the categories and units among `objects` are called, by id."""
    found: dict[str, str] = {}
    for each in objects:
        if each.category_data is not None and each.category_data.name:
            found[each.id] = each.category_data.name
        if each.measurement_unit_data is not None:
            found[each.id] = unit_name(each.measurement_unit_data.measurement_unit)
    return found


def items(objects: Iterable[CatalogObject], names: Mapping[str, str]) -> list[CatalogItem]:
    """Return the variations and modifiers of items and modifier lists."""
    return [item for each in objects for item in (*_variations(each, names), *_modifiers(each))]


def _variations(found: CatalogObject, names: Mapping[str, str]) -> Iterator[CatalogItem]:
    item = found.item_data or _NOTHING
    category = names.get(_category_id(item) or "")
    for variation in item.variations or ():
        data = variation.item_variation_data or _NOTHING
        unit = names.get(data.measurement_unit_id or "", EACH)
        yield CatalogItem(
            external_id=variation.id,
            kind=ItemKind.ITEM,
            parent_id=found.id,
            name=item.name,
            variation_name=data.name,
            sku=data.sku or None,
            barcode=data.upc or None,
            category=category,
            unit=None if unit == EACH else unit,
        )


def _modifiers(found: CatalogObject) -> Iterator[CatalogItem]:
    for modifier in (found.modifier_list_data or _NOTHING).modifiers or ():
        name = (modifier.modifier_data or _NOTHING).name
        yield CatalogItem(modifier.id, ItemKind.MODIFIER, parent_id=found.id, name=name)


def _category_id(item: ObjectData) -> str | None:
    if item.reporting_category is not None and item.reporting_category.id:
        return item.reporting_category.id
    ordered = sorted(item.categories or (), key=lambda each: each.ordinal or 0)
    return ordered[0].id if ordered else item.category_id
