"""Opaque cursors: what they hold is ours to change, so they are checked, never trusted."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from fastapi import Query
from suppli_service_kit.problems import Problem

MAX_LIMIT = 200
MAX_CURSOR_LENGTH = 1_000

T = TypeVar("T", UUID, str)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most entries of the page.")]
Cursor = Annotated[
    str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the page before; opaque.")
]


def encode_cursor(kind: str, last: UUID | str) -> str:
    """Return the cursor of the page after `last` in the list `kind`."""
    return urlsafe_b64encode(msgspec.json.encode([kind, str(last)])).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, kind: str, type_: type[T]) -> T | None:
    """Return what a cursor of the list `kind` stands after, None without one.

    Raises:
        Problem: 400, it is none of ours or of another list.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        said_kind, last = msgspec.json.decode(urlsafe_b64decode(padded.encode("ascii")), type=tuple[str, str])
        if said_kind == kind:
            return type_(last)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _not_ours() from error
    raise _not_ours()


def _not_ours() -> Problem:
    detail = "Use `next_cursor` of this list's page before, unchanged, or leave it out."
    return Problem(400, "cursor-invalid", "The cursor is not valid", detail)


def next_cursor(kind: str, last: UUID | str | None, *, more: bool) -> str | None:
    """Return the cursor of the next page, None on the last."""
    return encode_cursor(kind, last) if more and last is not None else None
