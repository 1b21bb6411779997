"""A small shop's inventory for generated orders: the same for every seed, so that sums can be compared."""

from typing import Any

Json = dict[str, Any]

_CATEGORIES = {
    "Coffee": (("Latte", 450), ("Espresso", 300), ("Cappuccino", 425), ("Cold Brew", 475)),
    "Bakery": (("Croissant", 375), ("Blueberry Muffin", 350), ("Bagel", 295), ("Banana Bread", 425)),
    "Kitchen": (("Club Sandwich", 1195), ("Tomato Soup", 850), ("Caesar Salad", 1095), ("Quiche", 975)),
    "Retail": (("House Beans", 1600), ("Filter Papers", 650), ("Travel Mug", 2400), ("Loose Tea", 900)),
}
_WEIGHED = {"House Beans": "lb", "Loose Tea": "oz"}
MODIFIERS = (("Oat milk", 75), ("Extra shot", 100), ("No sugar", 0), ("Gluten free", 150))
TAX: Json = {"id": "TAXRATEAAAAA1", "name": "Sales tax", "rate": 825_000, "isDefault": True}
GIFT_CARD = "ITEMGIFTCARD1"


def shaped(prefix: str, name: str) -> str:
    """Return an id in Clover's shape that is always the same for a name."""
    letters = "".join(letter for letter in name.upper() if letter.isalnum())
    return (prefix + letters + "0" * 13)[:13]


def menu(modified_ms: int) -> dict[str, list[Json]]:
    """Return inventory by kind: categories, modifier groups, tax rates, items."""
    categories = [
        {
            "id": shaped("CAT", name),
            "name": name,
            "sortOrder": order,
            "deleted": False,
            "modifiedTime": modified_ms,
        }
        for order, name in enumerate(_CATEGORIES, 1)
    ]
    modifiers = [
        {"id": shaped("MOD", name), "name": name, "price": amount, "available": True}
        for name, amount in MODIFIERS
    ]
    group = {"id": shaped("MODG", "EXTRAS"), "name": "Extras", "modifiers": modifiers}
    items = [
        _item(name, price, category, modified_ms)
        for category, sold in _CATEGORIES.items()
        for name, price in sold
    ]
    gift = {"id": GIFT_CARD, "name": "Gift card", "price": 2500, "priceType": "FIXED", "isRevenue": False}
    items.append({**gift, "hidden": False, "modifiedTime": modified_ms, "deleted": False})
    return {
        "categories": categories,
        "modifier_groups": [{**group, "modifiedTime": modified_ms}],
        "tax_rates": [dict(TAX)],
        "items": items,
    }


def _item(name: str, price: int, category: str, modified_ms: int) -> Json:
    item: Json = {
        "id": shaped("ITM", name),
        "name": name,
        "price": price,
        "priceType": "FIXED",
        "sku": f"{name[:3].upper()}-{price}",
        "code": f"{sum(map(ord, name)):08d}{price:05d}",
        "hidden": False,
        "available": True,
        "deleted": False,
        "isRevenue": True,
        "modifiedTime": modified_ms,
        "categories": [{"id": shaped("CAT", category), "name": category}],
        "taxRates": [dict(TAX)],
    }
    if name in _WEIGHED:
        item |= {"priceType": "PER_UNIT", "unitName": _WEIGHED[name]}
    if category in ("Coffee", "Kitchen"):
        item["modifierGroups"] = [{"id": shaped("MODG", "EXTRAS")}]
    return item
