"""A small shop's catalog for generated orders: the same for every seed, so that sums can be compared."""

from typing import Any

from suppli_sandbox.square.money import money
from suppli_sandbox.square.units import measurement_unit

Json = dict[str, Any]

_CATEGORIES = {
    "Coffee": (("Latte", 450), ("Espresso", 300), ("Cappuccino", 425), ("Cold Brew", 475)),
    "Bakery": (("Croissant", 375), ("Blueberry Muffin", 350), ("Bagel", 295), ("Banana Bread", 425)),
    "Kitchen": (("Club Sandwich", 1195), ("Tomato Soup", 850), ("Caesar Salad", 1095), ("Quiche", 975)),
    "Retail": (("House Beans", 1600), ("Filter Papers", 650), ("Travel Mug", 2400), ("Loose Tea", 900)),
}
_SIZES = (("Small", 0), ("Large", 75))
_MODIFIERS = (("Oat milk", 75), ("Extra shot", 100), ("No sugar", 0), ("Gluten free", 150))
WEIGHED = {"House Beans": "lb", "Loose Tea": "oz"}


def menu(currency: str) -> list[Json]:
    """Return categories, modifiers, measurement units, items with variations, in the order to put them."""
    objects: list[Json] = [
        {"type": "MEASUREMENT_UNIT", "id": f"UNIT_{unit.upper()}", "measurement_unit_data": data}
        for unit in sorted(set(WEIGHED.values()))
        for data in ({"measurement_unit": measurement_unit(unit), "precision": 2},)
    ]
    objects.append(_modifier_list(currency))
    for category, items in _CATEGORIES.items():
        category_id = f"CAT_{category.upper()}"
        data = {"name": category, "category_type": "REGULAR_CATEGORY", "is_top_level": True}
        objects.append({"type": "CATEGORY", "id": category_id, "category_data": data})
        objects += [_item(name, base, category, currency) for name, base in items]
    return objects


def _slug(name: str) -> str:
    return name.upper().replace(" ", "_")


def _modifier_list(currency: str) -> Json:
    modifiers = [
        {
            "type": "MODIFIER",
            "id": f"MOD_{_slug(name)}",
            "modifier_data": {
                "name": name,
                "price_money": money(extra, currency),
                "modifier_list_id": "MODLIST_EXTRAS",
            },
        }
        for name, extra in _MODIFIERS
    ]
    data = {"name": "Extras", "selection_type": "MULTIPLE", "modifiers": modifiers}
    return {"type": "MODIFIER_LIST", "id": "MODLIST_EXTRAS", "modifier_list_data": data}


def _item(name: str, base: int, category: str, currency: str) -> Json:
    item_id, entry = f"ITEM_{_slug(name)}", {"id": f"CAT_{category.upper()}", "ordinal": 0}
    sizes = _SIZES if category == "Coffee" else (("Regular", 0),)
    data: Json = {
        "name": name,
        "product_type": "REGULAR",
        "is_archived": False,
        "categories": [entry],
        "reporting_category": entry,
        "variations": [_variation(name, item_id, size, base + more, currency) for size, more in sizes],
    }
    if category in ("Coffee", "Kitchen"):
        data["modifier_list_info"] = [{"modifier_list_id": "MODLIST_EXTRAS", "enabled": True}]
    return {"type": "ITEM", "id": item_id, "item_data": data}


def _variation(name: str, item_id: str, size: str, amount: int, currency: str) -> Json:
    data: Json = {
        "item_id": item_id,
        "name": size,
        "sku": f"{name[:3].upper()}-{size[:1]}-{amount}",
        "pricing_type": "FIXED_PRICING",
        "price_money": money(amount, currency),
        "sellable": True,
        "stockable": True,
    }
    if name in WEIGHED:
        data["measurement_unit_id"] = f"UNIT_{WEIGHED[name].upper()}"
    return {"type": "ITEM_VARIATION", "id": f"VAR_{_slug(name)}_{size.upper()}", "item_variation_data": data}
