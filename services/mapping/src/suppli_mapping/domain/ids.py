"""`suppli_contracts.codec.stable_id` as text, fast: every line needs two ids."""

from __future__ import annotations

from suppli_contracts.codec import NAMESPACE
from uuid_utils import UUID, uuid5

_NAMESPACE = UUID(str(NAMESPACE))
_SEPARATOR = "\x1f"


def stable_text(*parts: str) -> str:
    """Return `str(stable_id(...))` for the same parts."""
    return str(uuid5(_NAMESPACE, _SEPARATOR.join(parts)))
