"""`suppli_contracts.codec.stable_id`, fast: every line needs two ids, most of what it costs otherwise."""

from __future__ import annotations

from hashlib import sha1
from uuid import UUID

from suppli_contracts.codec import NAMESPACE

_NAMESPACE = NAMESPACE.bytes
_SEPARATOR = "\x1f"


def stable_uuid(*parts: str) -> UUID:
    """Return what `stable_id` returns for the same parts."""
    return UUID(int=_version_5(parts))


def stable_text(*parts: str) -> str:
    """Return `str(stable_id(...))` for the same parts."""
    digits = f"{_version_5(parts):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _version_5(parts: tuple[str, ...]) -> int:
    """Return the UUIDv5 as a number (RFC 9562, section 5.5)."""
    digest = sha1(_NAMESPACE + _SEPARATOR.join(parts).encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16])
    number &= ~(0xF000 << 64 | 0xC000 << 48)
    return number | 0x5000 << 64 | 0x8000 << 48
