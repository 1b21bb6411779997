"""Item keys decide which lines share a mapping."""

from datetime import UTC, date, datetime

import pytest
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.sales import Disposition, LineKind, Modifier, ModifierKind, SaleLine
from suppli_mapping.domain.items import catalog_key, kind_of, line_key, modifier_key


def a_line(**more: object) -> SaleLine:
    values = {
        "line_id": "1",
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        "business_date": date(2026, 1, 1),
        "disposition": Disposition.SOLD,
        "quantity": "1",
        "gross": 1,
        "discount": 0,
        "net": 1,
        **more,
    }
    return SaleLine(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"variation_id": " V1 ", "item_id": "I1", "sku": "S", "name": "Tea"}, "id:V1"),
        ({"item_id": "I1", "sku": "S", "name": "Tea"}, "id:I1"),
        ({"sku": " S-1 ", "name": "Tea"}, "sku:S-1"),
        ({"name": " Tea ", "variation_name": "Large"}, "name:Tea|Large"),
        ({"name": "Tea (VOID)"}, "name:Tea|"),
        ({"name": "tea"}, "name:tea|"),
        ({"name": "  "}, "custom"),
        ({"kind": LineKind.CUSTOM_AMOUNT, "name": "Something", "sku": "S"}, "custom"),
    ],
)
def test_line_key(given: dict[str, object], key: str) -> None:
    """A wrong key asks the owner to map the same thing twice, or maps two things as one."""
    assert line_key(a_line(**given)) == key


def test_modifiers_are_items_of_their_own() -> None:
    """ "No cheese" mapped as "extra cheese" would take from the shelf what never left it."""
    extra = Modifier(modifier_id="1", external_id="M", name="Cheese")
    assert modifier_key(extra) == "mod:M" == catalog_key("M", ItemKind.MODIFIER)
    assert modifier_key(Modifier(modifier_id="1", external_id="M", kind=ModifierKind.NO)) == "mod:M|no"
    assert modifier_key(Modifier(modifier_id="1", name="Cheese")) == "mod-name:Cheese"
    assert modifier_key(Modifier(modifier_id="1")) == "custom"
    assert kind_of("mod:M") is ItemKind.MODIFIER
    assert kind_of("custom") is ItemKind.CUSTOM_AMOUNT
    assert kind_of("sku:x") is ItemKind.ITEM
