"""Quantities: decimals as strings, exact."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

from suppli_connector_kit.errors import OrderNotUnderstood

_LONGEST = 20


@lru_cache(maxsize=4096)
def _exact(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if len(text) <= _LONGEST and value.is_finite() and value >= 0 else None


@lru_cache(maxsize=4096)
def _plain(value: Decimal, sign: int) -> str:
    if not value:
        return "0"
    return f"{'-' if sign < 0 else ''}{value.normalize():f}"


def parse(text: str, path: str) -> Decimal:
    """Return a provider's quantity; raises `OrderNotUnderstood` where it is no decimal of 0 or more."""
    value = _exact(text)
    if value is None:
        raise OrderNotUnderstood("a quantity is not a decimal number of 0 or more", path)
    return value


def text(value: Decimal, sign: int = 1) -> str:
    """Return a quantity without trailing zeros, negative for a return."""
    return _plain(value, sign)
