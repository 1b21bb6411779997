"""The lines of a day as sales: gathered into orders, named, and summed up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from zlib import crc32

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
from suppli_connector_upload.domain.pieces import GIFT_CARD, LINE_BYTES, Piece, decode

_DISPOSITIONS = {each.value: each for each in Disposition}
_KINDS = {each.value: each for each in LineKind}
_RESTOCKS: dict[str | None, Restock | None] = {None: None, **{each.value: each for each in Restock}}
_DIGEST_BYTES = 12
_STATES = {Disposition.CANCELLED: OrderState.CANCELLED, Disposition.NOT_YET: OrderState.OPEN}

Row = tuple[bytes, int, Piece]
"""What a row says (its content, which names it where it has no id), its line, and the piece."""


def part_of(record: bytes, parts: int, *, by_order: bool) -> int:
    """Return in which part of a day a record is, so that orders and equal rows stay together."""
    content = record[LINE_BYTES:]
    if by_order:
        order = decode(content).order
        if order is not None:
            content = order.encode()
    return crc32(content) % parts


@dataclass(frozen=True, slots=True)
class DayGatherer:
    """Makes sales of the records of one business date.

    Attributes:
        by_order: order ids tell which rows belong together.
        by_line: line ids name lines.
    """

    day: date
    location_id: str
    by_order: bool
    by_line: bool

    def sales(self, records: Iterable[bytes]) -> Iterator[FileSale]:
        """Yield the orders; `records` are all rows of each."""
        orders: dict[str, list[Row]] = {}
        ids = Ids()
        for record in records:
            content = record[LINE_BYTES:]
            piece = decode(content)
            row = (content, int.from_bytes(record[:LINE_BYTES], "big"), piece)
            if self.by_order and piece.order is not None:
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
        pieces, names, beside = self._named(rows)
        whole = next((piece.whole for piece in pieces if piece.whole is not None), None)
        if whole is not None:
            pieces, beside = shopify.shared(pieces, whole)
        lines: list[SaleLine] = []
        adjustments: list[Adjustment] = []
        net = tax = discount = 0
        for piece, name in zip(pieces, names, strict=True):
            at = from_us(piece.at_us)
            net += piece.net
            tax += piece.tax
            if piece.kind == GIFT_CARD:  # a liability, not a sale
                adjustments.append(_adjustment(name, AdjustmentKind.GIFT_CARD, piece.net, self.day, at))
            else:
                discount += piece.discount
                lines.append(_line(name, piece, at, self.day))
        for kind, amount in beside:
            if amount:
                net += amount
                adjustments.append(_adjustment(kind.value, kind, amount, self.day, from_us(pieces[0].at_us)))
        first = next((piece for piece in pieces if piece.whole is not None), pieces[0])
        sale = Sale(
            order_id,
            self.location_id,
            _state(lines),
            first.currency,
            SaleTotals(total=net + tax, tax=tax, discount=discount),
            tuple(lines),
            tuple(adjustments),
            first.channel,
        )
        return FileSale(self.day, sale, min(line for _, line, _ in rows), len(rows))

    def _named(self, rows: list[Row]) -> tuple[list[Piece], list[str], shopify.Beside]:
        ids = Ids()
        names = []
        for content, _, piece in rows:
            uid = piece.uid if self.by_line else None
            names.append(ids.take(uid, "") if uid else ids.take(None, _name(content)))
        return [piece for _, _, piece in rows], names, []


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
