"""One row as it was understood: what is put aside until its order is complete."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class OrderPart(Struct, frozen=True, array_like=True, gc=False):
    """What a row says of its order as a whole, in minor units; with tax where the prices have it.

    Attributes:
        subtotal: of all lines after all discounts.
        refunded: what was given back, without saying for what.
    """

    subtotal: int
    shipping: int
    tax: int
    total: int
    refunded: int
    cancelled: bool


class Piece(Struct, frozen=True, array_like=True, gc=False):
    """A line of a sale in the making; money in minor units without tax, signed.

    Two rows are equal where all of this is: what else stands in them makes no difference. The sequence of the
    fields makes the ids of lines that have none of their own (`test_ids.py` holds them fast).

    Attributes:
        day: business date as `date.toordinal`.
        disposition: value of `Disposition`.
        kind: value of `LineKind`, or `gift_card`.
        restock: value of `Restock`, for what was taken back.
    """

    day: int
    at_us: int
    order: str | None
    uid: str | None
    disposition: str
    quantity: str
    gross: int
    discount: int
    net: int
    tax: int
    item_id: str | None
    sku: str | None
    name: str | None
    variation: str | None
    unit: str
    currency: str
    kind: str = "item"
    tax_included: bool = False
    restock: str | None = None
    barcode: str | None = None
    category: str | None = None
    channel: str | None = None
    whole: OrderPart | None = None


GIFT_CARD = "gift_card"
LINE_BYTES = 5
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Piece).decode


def record_of(line: int, piece: Piece) -> bytes:
    """Return a piece with the line of its row, as a spool keeps it; what follows the line is its content."""
    return line.to_bytes(LINE_BYTES, "big") + encode(piece)
