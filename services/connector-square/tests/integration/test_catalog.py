"""The catalog over real HTTP: all of it once, then only what changed, and what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from suppli_connector_kit.engine.catalog import sync_catalog
from suppli_connector_kit.engine.ports import Books, ItemEntry, KnownItem, Report, Tally
from suppli_connector_kit.protocol import CatalogItem
from suppli_connector_square.connector import SquareConnector
from suppli_contracts.events.catalog import ItemKind
from suppli_sandbox.client import SandboxControl

from .conftest import MERCHANT, HeldSession

USD = "USD"


def variation(key: str, name: str, item_id: str = "I1", **data: Any) -> dict[str, Any]:
    return {
        "type": "ITEM_VARIATION",
        "id": key,
        "item_variation_data": {"item_id": item_id, "name": name, **data},
    }


def item(key: str, name: str, *variations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"type": "ITEM", "id": key, "item_data": {"name": name, "variations": list(variations), **data}}


def category(name: str) -> dict[str, Any]:
    return {"type": "CATEGORY", "id": "C1", "category_data": {"name": name}}


SHOP: list[dict[str, Any]] = [
    category("Drinks"),
    {
        "type": "MEASUREMENT_UNIT",
        "id": "U1",
        "measurement_unit_data": {"measurement_unit": {"weight_unit": "IMPERIAL_POUND"}, "precision": 2},
    },
    item(
        "I1",
        "Latte",
        variation("V1", "Small", sku="LAT-S", upc="0123456789012"),
        variation("V2", "Large", sku="LAT-L"),
        reporting_category={"id": "C1", "ordinal": 0},
    ),
    item(
        "I2",
        "Beans",
        variation("V3", "By weight", "I2", measurement_unit_id="U1"),
        categories=[{"id": "GONE"}],
    ),
    {
        "type": "MODIFIER_LIST",
        "id": "ML1",
        "modifier_list_data": {
            "name": "Milk",
            "modifiers": [{"type": "MODIFIER", "id": "M1", "modifier_data": {"name": "Oat milk"}}],
        },
    },
]


@pytest.fixture
def shop(control: SandboxControl) -> SandboxControl:
    control.put_catalog(MERCHANT, SHOP)
    return control


class Shelf:
    """What the kit keeps of a catalog, in memory; `said` is what consumers hear of a sync."""

    def __init__(self, connector: SquareConnector, session: HeldSession) -> None:
        self.connector, self.session = connector, session
        self.known: dict[str, KnownItem] = {}
        self.token: str | None = None
        self.said: dict[str, CatalogItem] = {}

    async def catalog_token(self) -> str | None:
        return self.token

    async def known_items(self, external_ids: Sequence[str] | None) -> Mapping[str, KnownItem]:
        if external_ids is None:
            return {key: kept for key, kept in self.known.items() if not kept.item.deleted}
        return {key: self.known[key] for key in external_ids if key in self.known}

    async def record_items(self, entries: Sequence[ItemEntry], token: str | None, report: Report) -> None:
        for entry in entries:
            self.known[entry.item.external_id] = KnownItem(entry.item, entry.content_hash, entry.revision)
            self.said[entry.item.external_id] = entry.item
        self.token = token or self.token

    async def sync(self) -> dict[str, CatalogItem]:
        self.said = {}
        await sync_catalog(self.connector, self.session, cast(Books, self), Report(Tally()))
        return self.said


@pytest.fixture
def shelf(connector: SquareConnector, session: HeldSession) -> Shelf:
    return Shelf(connector, session)


async def test_whole_catalog(shop: SandboxControl, shelf: Shelf) -> None:
    """Without SKUs, barcodes, units and categories nobody could map items."""
    assert await shelf.sync() == {
        "V1": CatalogItem(
            "V1",
            ItemKind.ITEM,
            parent_id="I1",
            name="Latte",
            variation_name="Small",
            sku="LAT-S",
            barcode="0123456789012",
            category="Drinks",
        ),
        "V2": CatalogItem(
            "V2", ItemKind.ITEM, "I1", "Latte", variation_name="Large", sku="LAT-L", category="Drinks"
        ),
        "V3": CatalogItem("V3", ItemKind.ITEM, "I2", "Beans", variation_name="By weight", unit="lb"),
        "M1": CatalogItem("M1", ItemKind.MODIFIER, "ML1", "Oat milk"),
    }


async def test_nothing_changed_costs_one_call(shop: SandboxControl, shelf: Shelf) -> None:
    """A shop that syncs every few minutes must not read its whole catalog each time."""
    await shelf.sync()
    shop.clear_calls()
    assert await shelf.sync() == {}
    assert sum(call["count"] for call in shop.calls(MERCHANT)) == 1


async def test_changed_item_alone(shop: SandboxControl, shelf: Shelf) -> None:
    """A new price tag or SKU must arrive, with the category's name joined, and nothing else be said."""
    await shelf.sync()
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [item("I9", "Mocha", variation("V9", "Only", "I9"), category_id="C1")])
    said = await shelf.sync()
    assert set(said) == {"V9"}
    assert said["V9"].category == "Drinks"
    assert await shelf.sync() == {}


async def test_variation_that_changed_alone_is_said(shop: SandboxControl, shelf: Shelf) -> None:
    """A variation may change without its item: its name and category come from there."""
    await shelf.sync()
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [variation("V1", "Tiny", "I1", sku="NEW")])
    said = await shelf.sync()
    assert {key: (each.sku, each.name, each.category) for key, each in said.items()} == {
        "V1": ("NEW", "Latte", "Drinks")
    }


async def test_renamed_category_says_its_items_again(shop: SandboxControl, shelf: Shelf) -> None:
    """Ignoring a category goes by its name: items would keep the old one for ever."""
    await shelf.sync()
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [category("Hot drinks")])
    said = await shelf.sync()
    assert {key: each.category for key, each in said.items()} == {"V1": "Hot drinks", "V2": "Hot drinks"}


@pytest.mark.parametrize(
    ("gone", "expected"), [("I1", {"V1", "V2"}), ("V2", {"V2"}), ("ML1", {"M1"}), ("M1", {"M1"})]
)
async def test_deletions_arrive(shop: SandboxControl, shelf: Shelf, gone: str, expected: set[str]) -> None:
    """An item that is gone must not be offered for mapping for ever; its lines still want its name."""
    before = await shelf.sync()
    shop.advance_clock(5)
    shop.delete_catalog_object(MERCHANT, gone)
    said = await shelf.sync()
    assert {key: each.deleted for key, each in said.items()} == dict.fromkeys(expected, True)
    assert {each.name for each in said.values()} == {before[key].name for key in expected}


async def test_large_catalog_is_paged(control: SandboxControl, shelf: Shelf) -> None:
    """A shop with more than 1,000 items must not lose those behind."""
    control.put_catalog(
        MERCHANT, [item(f"I{n}", "Thing", variation(f"V{n}", "One", f"I{n}")) for n in range(1001)]
    )
    assert len(await shelf.sync()) == 1001
