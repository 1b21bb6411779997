"""Catalog objects as external items: what sales lines name are variations and modifiers.

Source: Square's OpenAPI specification, CatalogObject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from suppli_connector_kit.protocol import CatalogItem
from suppli_contracts.events.catalog import ItemKind

from suppli_connector_square.domain.models import MeasurementUnit
from suppli_connector_square.domain.units import EACH, unit_name


class Named(msgspec.Struct, kw_only=True):
    """What a category or a modifier list has to say."""

    name: str | None = None


class CategoryRef(msgspec.Struct):
    """An item's category; the lowest `ordinal` comes first."""

    id: str | None = None
    ordinal: int | None = None


class VariationData(Named):
    """A variation: what is sold."""

    item_id: str | None = None
    sku: str | None = None
    upc: str | None = None
    measurement_unit_id: str | None = None


class ModifierData(Named):
    """A modifier of a list."""

    modifier_list_id: str | None = None


class ItemData(Named):
    """An item with its variations; `category_id` is the older way to say the category."""

    variations: list[CatalogObject] | None = None
    reporting_category: CategoryRef | None = None
    categories: list[CategoryRef] | None = None
    category_id: str | None = None


class ModifierListData(Named):
    """A modifier list with its modifiers."""

    modifiers: list[CatalogObject] | None = None


class UnitData(msgspec.Struct):
    """A measurement unit."""

    measurement_unit: MeasurementUnit | None = None


class CatalogObject(msgspec.Struct):
    """An object of the catalog; the data of its type is set."""

    id: str
    type: str
    is_deleted: bool = False
    item_data: ItemData | None = None
    item_variation_data: VariationData | None = None
    modifier_list_data: ModifierListData | None = None
    modifier_data: ModifierData | None = None
    category_data: Named | None = None
    measurement_unit_data: UnitData | None = None


class CatalogAnswer(msgspec.Struct):
    """A page of SearchCatalogObjects, or an answer of BatchRetrieveCatalogObjects."""

    objects: list[CatalogObject] | None = None
    cursor: str | None = None
    latest_time: str | None = None


@dataclass(frozen=True, slots=True)
class References:
    """Names of what items point to, by id."""

    categories: Mapping[str, str | None]
    units: Mapping[str, str]

    @classmethod
    def of(cls, objects: Iterable[CatalogObject]) -> References:
        """Collect the categories and measurement units among `objects`."""
        categories: dict[str, str | None] = {}
        units: dict[str, str] = {}
        for each in objects:
            if each.category_data is not None:
                categories[each.id] = each.category_data.name
            if each.measurement_unit_data is not None:
                units[each.id] = unit_name(each.measurement_unit_data.measurement_unit)
        return cls(categories, units)


def external_items(found: CatalogObject, references: References) -> Iterator[CatalogItem]:
    """Yield what an item, a modifier list, or a modifier sells; a lone variation only where it is deleted."""
    if found.type == "ITEM" and found.item_data is not None:
        item, category = found.item_data, references.categories.get(_category_id(found.item_data) or "")
        for variation in item.variations or ():
            yield _variation(found, item, variation, category, references)
    elif found.type == "MODIFIER_LIST" and found.modifier_list_data is not None:
        for modifier in found.modifier_list_data.modifiers or ():
            yield _modifier(modifier, found.id, deleted=found.is_deleted or modifier.is_deleted)
    elif found.type == "MODIFIER":
        yield _modifier(found, None, deleted=found.is_deleted)
    elif found.type == "ITEM_VARIATION" and found.is_deleted:
        yield CatalogItem(external_id=found.id, kind=ItemKind.ITEM, deleted=True)


def parent_of(found: CatalogObject) -> str | None:
    """Return the item that a standing variation belongs to."""
    if found.type != "ITEM_VARIATION" or found.is_deleted or found.item_variation_data is None:
        return None
    return found.item_variation_data.item_id


def _variation(
    parent: CatalogObject,
    item: ItemData,
    variation: CatalogObject,
    category: str | None,
    references: References,
) -> CatalogItem:
    data = variation.item_variation_data or VariationData()
    unit = references.units.get(data.measurement_unit_id or "", EACH)
    return CatalogItem(
        external_id=variation.id,
        kind=ItemKind.ITEM,
        parent_id=parent.id,
        name=item.name,
        variation_name=data.name,
        sku=data.sku or None,
        barcode=data.upc or None,
        category=category,
        unit=None if unit == EACH else unit,
        deleted=parent.is_deleted or variation.is_deleted,
    )


def _modifier(found: CatalogObject, list_id: str | None, *, deleted: bool) -> CatalogItem:
    data = found.modifier_data or ModifierData()
    return CatalogItem(
        external_id=found.id,
        kind=ItemKind.MODIFIER,
        parent_id=list_id or data.modifier_list_id,
        name=data.name,
        deleted=deleted,
    )


def _category_id(item: ItemData) -> str | None:
    if item.reporting_category is not None and item.reporting_category.id:
        return item.reporting_category.id
    ordered = sorted(item.categories or (), key=lambda each: each.ordinal or 0)
    return ordered[0].id if ordered else item.category_id
