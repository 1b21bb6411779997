"""Opaque cursors: bound to the query that made them, dead after five minutes of the sandbox's clock."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.times import SECOND

CURSOR_LIFE_US = 300 * SECOND
_KEY = secrets.token_bytes(32)


class Position(msgspec.Struct, array_like=True):
    """Where a walk stands: end of the window, place within it, digest of its query, when it was issued."""

    query: str
    issued_us: int
    end_us: int
    after: tuple[int, str] | None = None
    offset: int = 0


def digest(query: Any) -> str:
    """Return a short digest of a query, for binding a cursor to it."""
    return hashlib.sha256(msgspec.json.encode(query, order="deterministic")).hexdigest()[:16]


def seal(position: Position) -> str:
    """Return a cursor."""
    content = msgspec.msgpack.encode(position)
    return base64.urlsafe_b64encode(_mac(content) + content).rstrip(b"=").decode()


def unseal(cursor: str, query: str, now_us: int) -> Position:
    """Return a cursor's position. Raises 400 INVALID_CURSOR: forged, of another query, or too old."""
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mac, content = sealed[:16], sealed[16:]
        if not hmac.compare_digest(mac, _mac(content)):
            raise invalid_cursor("The cursor is not one of this API.")
        position = msgspec.msgpack.decode(content, type=Position)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise invalid_cursor("The cursor is malformed.") from error
    if position.query != query:
        raise invalid_cursor("The cursor belongs to a different query.")
    if now_us - position.issued_us > CURSOR_LIFE_US:
        raise invalid_cursor("The cursor has expired.")
    return position


def invalid_cursor(detail: str) -> SquareError:
    """Return a 400 INVALID_CURSOR."""
    return bad_request("INVALID_CURSOR", detail, "cursor")


def _mac(content: bytes) -> bytes:
    return hmac.digest(_KEY, content, "sha256")[:16]
