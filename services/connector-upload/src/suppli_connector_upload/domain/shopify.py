"""What a row of Shopify's order export says of its order as a whole, and sharing that among its lines.

An order's first row has its sums, the rows of its other lines have not; all carry its name. The sums are for
the whole order: discounts and taxes are shared among its lines, shipping and refunds by amount stand beside.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from suppli_connector_kit.domain.allocation import allocate
from suppli_contracts.events.sales import AdjustmentKind, Disposition

from suppli_connector_upload.domain.amounts import Amounts
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.line_money import without_tax
from suppli_connector_upload.domain.pieces import OrderPart, Piece
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.texts import plain_text

_SUMS = ("Subtotal", "Shipping", "Taxes", "Total", "Refunded Amount")
_CANCELLED = "Cancelled at"

Beside = list[tuple[AdjustmentKind, int]]
"""Money of an order that is in no line."""


class WholeOrder:
    """Reads the order's part of a row."""

    def __init__(self, plan: Plan) -> None:
        columns = plan.layout.columns
        self._sums = [columns.index(name) if name in columns else len(columns) for name in _SUMS]
        self._cancelled = columns.index(_CANCELLED) if _CANCELLED in columns else len(columns)

    def part(self, cells: list[Cell], amounts: Amounts) -> OrderPart | None:
        """Return what the row says; None where it only carries a further line.

        Raises:
            CellProblem: a sum is no number.
        """
        if not plain_text(cells[self._sums[0]]):
            return None
        subtotal, shipping, tax, total, refunded = (amounts[cells[at]] or 0 for at in self._sums)
        return OrderPart(subtotal, shipping, tax, total, refunded, bool(plain_text(cells[self._cancelled])))


def shared(pieces: Sequence[Piece], whole: OrderPart) -> tuple[list[Piece], Beside]:
    """Return the lines of an order with their shares of what is said of it as a whole, and what is beside.

    Whether taxes are in the prices, the order's own sums tell. Shipping is beside as it stands: what tax is
    in it is not said, and counts with the lines'.
    """
    inside = whole.tax > 0 and whole.subtotal + whole.shipping == whole.total
    discount = sum(piece.net for piece in pieces) - whole.subtotal
    lines = list(pieces)
    if discount > 0:
        shares = allocate(discount, [piece.net for piece in lines])
        lines = [
            replace(piece, discount=piece.discount + share, net=piece.net - share)
            for piece, share in zip(lines, shares, strict=True)
        ]
    if whole.tax:
        shares = allocate(whole.tax, [piece.net for piece in lines])
        lines = [_taxed(piece, share, inside=inside) for piece, share in zip(lines, shares, strict=True)]
    if whole.cancelled:
        return [replace(piece, disposition=Disposition.CANCELLED.value, restock=None) for piece in lines], []
    return lines, [(AdjustmentKind.DELIVERY, whole.shipping), (AdjustmentKind.REFUND_AMOUNT, -whole.refunded)]


def _taxed(piece: Piece, tax: int, *, inside: bool) -> Piece:
    if not inside:
        return replace(piece, tax=tax)
    gross, net, tax = without_tax(piece.gross, piece.net, tax, None)
    return replace(piece, gross=gross, discount=gross - net, net=net, tax=tax, tax_included=True)
