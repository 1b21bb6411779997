"""Opaque cursors of lists: where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

T = TypeVar("T")


class BadCursor(ValueError):
    """The cursor is not one that this list gave."""


def to_cursor(position: object) -> str:
    """Return a position as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def from_cursor(cursor: str, kind: type[T]) -> T:
    """Return the position of a cursor; raises `BadCursor`."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError) as error:
        raise BadCursor("the cursor is not one of this list") from error
