"""The lines of a day as sales: gathered into orders, named, and summed up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from zlib import crc32

from msgspec.structs import replace
from suppli_connector_kit.domain.ids import Ids
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_kit.protocol import Sale
from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Disposition,
    LineKind,
    OrderState,
    Restock,
    SaleLine,
    SaleTotals,
)

from suppli_connector_upload.domain import shopify
from suppli_connector_upload.domain.outcomes import FileSale
from suppli_connector_upload.domain.pieces import GIFT_CARD, LINE_BYTES, Piece, decode, encode

_DISPOSITIONS = {each.value: each for each in Disposition}
_KINDS = {each.value: each for each in LineKind}
_RESTOCKS: dict[str | None, Restock | None] = {None: None, **{each.value: each for each in Restock}}
_DIGEST_BYTES = 12
_STATES = {Disposition.CANCELLED: OrderState.CANCELLED, Disposition.NOT_YET: OrderState.OPEN}

Row = tuple[bytes, int, Piece]
"""What a row says (its content, which names it where it has no id), its line, and the piece."""


def part_of(record: bytes, parts: int, *, by_order: bool) -> int:
    """Return in which part of a day a record is, so that orders and equal rows stay together."""
    piece = decode(record[LINE_BYTES:])
    if piece.order is None:
        return crc32(record[LINE_BYTES:]) % parts
    return crc32(piece.order.encode() if by_order else _without_order(piece)[0]) % parts


def _without_order(piece: Piece) -> tuple[bytes, Piece]:
    """Return a piece whose order id is damaged without it, and the content that is left to name it."""
    bare = replace(piece, order=None)
    return encode(bare), bare


@dataclass(frozen=True, slots=True)
class DayGatherer:
    """Makes sales of the records of one business date.

    Attributes:
        by_order: order ids tell which rows belong together.
    """

    day: date
    location_id: str
    by_order: bool

    def sales(self, records: Iterable[bytes]) -> Iterator[FileSale]:
        """Yield the orders; `records` are all rows of each."""
        orders: dict[str, list[Row]] = {}
        ids = Ids()
        for record in records:
            content = record[LINE_BYTES:]
            piece = decode(content)
            if piece.order is not None and not self.by_order:
                content, piece = _without_order(piece)
            row = (content, int.from_bytes(record[:LINE_BYTES], "big"), piece)
            if piece.order is not None:
                key = f"{piece.order}@{self.day}"
                rows = orders.get(key)
                if rows is None:
                    orders[key] = [row]
                else:
                    rows.append(row)
            else:
                yield self._sale(ids.take(None, f"row-{_name(content)}"), [row])
        for order_id, rows in orders.items():
            yield self._sale(order_id, rows)

    def _sale(self, order_id: str, rows: list[Row]) -> FileSale:
        if len(rows) > 1:
            rows.sort(key=_sequence)  # the file's own is a person's: it may be any
        pieces = [piece for _, _, piece in rows]
        first = next((piece for piece in pieces if piece.whole is not None), pieces[0])
        beside: shopify.Beside = []
        if first.whole is not None:
            pieces, beside = shopify.shared(pieces, first.whole)
        lines, adjustments = self._parts(pieces, _names(rows), beside)
        tax = sum([piece.tax for piece in pieces])
        net = sum([line.net for line in lines]) + sum([each.amount for each in adjustments])
        sale = Sale(
            order_id,
            self.location_id,
            _state(lines),
            first.currency,
            SaleTotals(total=net + tax, tax=tax, discount=sum([line.discount for line in lines])),
            tuple(lines),
            tuple(adjustments),
            first.channel,
        )
        return FileSale(self.day, sale, min([line for _, line, _ in rows]), len(rows))

    def _parts(
        self, pieces: list[Piece], names: list[str], beside: shopify.Beside
    ) -> tuple[list[SaleLine], list[Adjustment]]:
        lines: list[SaleLine] = []
        adjustments: list[Adjustment] = []
        at_us = pieces[0].at_us
        at = begins = from_us(at_us)
        for piece, name in zip(pieces, names, strict=True):
            if piece.at_us != at_us:
                at_us, at = piece.at_us, from_us(piece.at_us)
            if piece.kind == GIFT_CARD:  # a liability, not a sale
                adjustments.append(_adjustment(name, AdjustmentKind.GIFT_CARD, piece.net, self.day, at))
            else:
                lines.append(_line(name, piece, at, self.day))
        for kind, amount in beside:
            if amount:
                adjustments.append(_adjustment(kind.value, kind, amount, self.day, begins))
        return lines, adjustments


def _names(rows: list[Row]) -> list[str]:
    """Return the lines' ids: their own, else of what they say; equal ones are numbered."""
    ids = Ids()
    return [
        ids.take(piece.uid, "") if piece.uid else ids.take(None, _name(content)) for content, _, piece in rows
    ]


def _sequence(row: Row) -> tuple[int, bytes]:
    return row[2].at_us, row[0]


def _name(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _state(lines: list[SaleLine]) -> OrderState:
    if not lines:
        return OrderState.COMPLETED
    states = {_STATES.get(line.disposition, OrderState.COMPLETED) for line in lines}
    return states.pop() if len(states) == 1 else OrderState.COMPLETED


def _adjustment(name: str, kind: AdjustmentKind, amount: int, day: date, at: datetime) -> Adjustment:
    return Adjustment(adjustment_id=name, kind=kind, amount=amount, business_date=day, occurred_at=at)


def _line(name: str, piece: Piece, at: datetime, day: date) -> SaleLine:
    return SaleLine(
        line_id=name,
        occurred_at=at,
        business_date=day,
        disposition=_DISPOSITIONS[piece.disposition],
        quantity=piece.quantity,
        gross=piece.gross,
        discount=piece.discount,
        net=piece.net,
        tax=piece.tax,
        unit=piece.unit,
        kind=_KINDS[piece.kind],
        item_id=piece.item_id,
        sku=piece.sku,
        barcode=piece.barcode,
        name=piece.name,
        variation_name=piece.variation,
        category=piece.category,
        tax_included=piece.tax_included,
        restock=_RESTOCKS[piece.restock],
    )
