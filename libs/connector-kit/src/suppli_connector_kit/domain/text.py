"""Text that PostgreSQL and JSON take: without NUL characters and half characters (lone surrogates)."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

from suppli_connector_kit.protocol import CatalogItem

S = TypeVar("S", bound=msgspec.Struct)


def is_clean(text: str) -> bool:
    """Return whether a text can be stored and sent everywhere."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cleaned(text: str) -> str:
    """Return a text with a sign of replacement for each NUL and a question mark for each half character."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def cleaned_struct(part: S) -> S:
    """Return a struct with its own texts cleaned."""
    fields = msgspec.structs.asdict(part)
    texts = {name: cleaned(value) for name, value in fields.items() if type(value) is str}
    return msgspec.structs.replace(part, **texts)


def cleaned_item(item: CatalogItem) -> CatalogItem:
    """Return a catalog item with clean texts."""
    clean: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if type(value) is str and not is_clean(value):
            clean[field.name] = cleaned(value)
    return dataclasses.replace(item, **clean) if clean else item
