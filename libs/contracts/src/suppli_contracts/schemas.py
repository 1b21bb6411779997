"""JSON Schemas, generated from the models.

Schemas are open on purpose: unknown fields pass, and an enumeration is a string with its known values
beside it, because readers take values that a later version adds as `unknown`.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from suppli_contracts.events import Event

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def name_of(event: type[Event]) -> str:
    """Return the file name of an event's schema: name and version, e.g. `SaleRecorded.v1`."""
    return event.event_type.removeprefix("suppli.")


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event's body."""
    (root,), definitions = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    body = {
        "$schema": JSON_SCHEMA,
        "$id": event.event_type,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
    opened = _open(body)
    assert isinstance(opened, dict)  # noqa: S101 - narrows the recursive helper's type
    return opened


def _open(node: Any) -> Any:
    """Turn closed enumerations into strings with known values."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _open(value) for key, value in node.items()}
    values = node.pop("enum", None)
    if values is not None:
        node = {"type": "string", **node, "x-known-values": sorted(values)}
    if isinstance(node.get("description"), str):
        node["description"] = inspect.cleandoc(node["description"])
    return node
