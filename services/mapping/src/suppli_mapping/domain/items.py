"""Which external item a line or a modifier names: the key that mappings hang on.

A line's key is its variation's id, else its SKU, else its name and variation, trimmed, case kept, without the
words that tills append to voided lines. Custom amounts and nameless lines share one key per connection.
"""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from suppli_contracts.codec import stable_id
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.sales import LineKind, Modifier, ModifierKind, SaleLine
from suppli_contracts.names import without_void_suffix

CUSTOM_KEY = "custom"


def line_key(line: SaleLine) -> str:
    """Return the item key of a line."""
    if line.kind is LineKind.CUSTOM_AMOUNT:
        return CUSTOM_KEY
    external = line.variation_id or line.item_id
    if external and (external := external.strip()):
        return f"id:{external}"
    if sku := _text(line.sku):
        return f"sku:{sku}"
    name = without_void_suffix(line.name or "")
    if name:
        return f"name:{name}|{_text(line.variation_name)}"
    return CUSTOM_KEY


def modifier_key(modifier: Modifier) -> str:
    """Return the item key of a modifier; "no onions" is another item than "onions"."""
    if external := _text(modifier.external_id):
        key = f"mod:{external}"
    elif name := _text(modifier.name):
        key = f"mod-name:{name}"
    else:
        return CUSTOM_KEY
    return f"{key}|no" if modifier.kind is ModifierKind.NO else key


def catalog_key(external_id: str, kind: ItemKind) -> str:
    """Return the item key of a thing in the provider's catalog."""
    return f"mod:{external_id.strip()}" if kind is ItemKind.MODIFIER else f"id:{external_id.strip()}"


def kind_of(key: str) -> ItemKind:
    """Return what kind of item a key names."""
    if key == CUSTOM_KEY:
        return ItemKind.CUSTOM_AMOUNT
    return ItemKind.MODIFIER if key.startswith(("mod:", "mod-name:")) else ItemKind.ITEM


def item_id(connection_id: UUID, key: str) -> UUID:
    """Return the id of an item: the same for the same connection and key, in every process."""
    return _item_id(connection_id.int, key)


@lru_cache(maxsize=65_536)
def _item_id(connection: int, key: str) -> UUID:
    # By number: a UUID object hashes and compares in Python, and this is asked for every line.
    return stable_id("item", UUID(int=connection), key)


def _text(value: str | None) -> str:
    return value.strip() if value else ""
