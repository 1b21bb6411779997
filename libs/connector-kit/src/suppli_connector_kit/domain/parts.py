"""What the models of providers' answers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

Amount = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
"""Minor units of a currency; bounded, so that sums stay exact everywhere downstream."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
"""Since 1970 UTC."""


class Part(msgspec.Struct, gc=False):
    """A value inside an answer; what it does not name is skipped and never decoded."""


class Money(Part):
    """An amount in a currency that is known otherwise."""

    amount: Amount = 0


class MoneyIn(Money):
    """An amount that says its currency (ISO 4217)."""

    currency: str | None = None


def amount_of(money: Money | None) -> int:
    """Return an amount, 0 where none is stated."""
    return 0 if money is None else money.amount


def page_reader(kind: Any) -> Callable[[bytes], tuple[Any, str | None]]:
    """Return a function that reads a page with a `cursor`: it, and where the next one begins, if any."""
    decode = msgspec.json.Decoder(kind).decode

    def read(body: bytes) -> tuple[Any, str | None]:
        page = decode(body)
        return page, page.cursor or None

    return read


def reader_of(field: str, kind: Any) -> Callable[[bytes], Any]:
    """Return a function that reads the one field of an answer that is wanted; None where it is missing."""
    return msgspec.json.Decoder(msgspec.defstruct("Answer", [(field, kind | None, None)])).decode
