"""Items and modifiers as external items: what sales lines name."""

from __future__ import annotations

import msgspec
from suppli_connector_kit.protocol import CatalogItem
from suppli_contracts.events.catalog import ItemKind

from suppli_connector_clover.domain.models import Elements, listed


class Named(msgspec.Struct):
    """A category or a modifier."""

    id: str
    name: str | None = None


class Item(msgspec.Struct):
    """`code` is the barcode; of several categories the first is the one of Clover's reports."""

    id: str
    name: str | None = None
    sku: str | None = None
    code: str | None = None
    unitName: str | None = None  # noqa: N815 - Clover's name
    priceType: str | None = None  # noqa: N815
    categories: Elements[Named] | None = None


class ModifierGroup(msgspec.Struct):
    """Modifiers that are offered together."""

    id: str
    modifiers: Elements[Named] | None = None


read_items = msgspec.json.Decoder(Elements[Item]).decode
read_groups = msgspec.json.Decoder(Elements[ModifierGroup]).decode


def items(found: Elements[Item]) -> list[CatalogItem]:
    """Return items as external items."""
    return [
        CatalogItem(
            external_id=each.id,
            kind=ItemKind.ITEM,
            name=each.name,
            sku=each.sku or None,
            barcode=each.code or None,
            category=next((category.name for category in listed(each.categories)), None),
            unit=(each.unitName or None) if each.priceType == "PER_UNIT" else None,
        )
        for each in found.elements
    ]


def modifiers(found: Elements[ModifierGroup]) -> list[CatalogItem]:
    """Return the modifiers of groups as external items."""
    return [
        CatalogItem(each.id, ItemKind.MODIFIER, parent_id=group.id, name=each.name)
        for group in found.elements
        for each in listed(group.modifiers)
    ]
