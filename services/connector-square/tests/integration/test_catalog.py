"""The catalog over real HTTP: all of it once, then only what changed, and what is gone."""

from __future__ import annotations

from typing import Any

import pytest
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


async def walk(
    connector: SquareConnector, session: HeldSession, token: str | None
) -> tuple[dict[str, CatalogItem], str]:
    found: dict[str, CatalogItem] = {}
    pages = [page async for page in connector.catalog(session, token)]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    for page in pages:
        found |= {entry.external_id: entry for entry in page.items}
    assert pages[-1].next_token is not None
    return found, pages[-1].next_token


async def test_whole_catalog(shop: SandboxControl, connector: SquareConnector, session: HeldSession) -> None:
    """Without SKUs, barcodes, units and categories nobody could map items."""
    found, _ = await walk(connector, session, None)
    assert found == {
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


async def test_nothing_changed_costs_three_calls(
    shop: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A shop that syncs every few minutes must not read its whole catalog each time."""
    _, token = await walk(connector, session, None)
    shop.clear_calls()
    found, _ = await walk(connector, session, token)
    assert found == {}
    assert sum(call["count"] for call in shop.calls(MERCHANT)) == 3


async def test_changed_item_alone(
    shop: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A new price tag or SKU must arrive, with the category's name joined."""
    _, token = await walk(connector, session, None)
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [item("I9", "Mocha", variation("V9", "Only", "I9"), category_id="C1")])
    found, _ = await walk(connector, session, token)
    assert set(found) == {"V9"}
    assert found["V9"].category == "Drinks"


async def test_variation_that_changed_alone_brings_its_item(
    shop: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A variation may change without its item: its name and category come from there."""
    _, token = await walk(connector, session, None)
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [variation("V8", "Tiny", "I1")])
    found, _ = await walk(connector, session, token)
    assert set(found) == {"V1", "V2"}
    assert found["V1"].category == "Drinks"


async def test_renamed_category_says_its_items_again(
    shop: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """Ignoring a category goes by its name: items would keep the old one for ever."""
    _, token = await walk(connector, session, None)
    shop.advance_clock(5)
    shop.put_catalog(MERCHANT, [category("Hot drinks")])
    found, _ = await walk(connector, session, token)
    assert {key: found[key].category for key in ("V1", "V2", "V3")} == {
        "V1": "Hot drinks",
        "V2": "Hot drinks",
        "V3": None,
    }


@pytest.mark.parametrize(
    ("gone", "expected"), [("I1", {"V1", "V2"}), ("V2", {"V2"}), ("ML1", {"M1"}), ("M1", {"M1"})]
)
async def test_deletions_arrive(
    shop: SandboxControl, connector: SquareConnector, session: HeldSession, gone: str, expected: set[str]
) -> None:
    """An item that is gone must not be offered for mapping for ever."""
    _, token = await walk(connector, session, None)
    shop.advance_clock(5)
    shop.delete_catalog_object(MERCHANT, gone)
    found, _ = await walk(connector, session, token)
    assert {key for key, entry in found.items() if entry.deleted} == expected


async def test_large_catalog_is_paged(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A shop with more than 1,000 items must not lose those behind."""
    control.put_catalog(
        MERCHANT, [item(f"I{n}", "Thing", variation(f"V{n}", "One", f"I{n}")) for n in range(1001)]
    )
    found, _ = await walk(connector, session, None)
    assert len(found) == 1001
