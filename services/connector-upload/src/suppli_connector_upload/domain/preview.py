"""The first rows as they will be understood, before anything is imported."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from msgspec import Struct
from suppli_connector_kit.domain.instants import from_us
from suppli_contracts.events.sales import Disposition

from suppli_connector_upload.domain.files import Row
from suppli_connector_upload.domain.outcomes import RowError
from suppli_connector_upload.domain.pieces import Piece
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.rows import RowProblem, RowReader, Skip
from suppli_connector_upload.domain.sales import error_of
from suppli_connector_upload.domain.texts import plain_text


class Understood(Struct, frozen=True, kw_only=True):
    """A row as a line of a sale; money in minor units without tax.

    Attributes:
        order_id: the file's own, as far as it can be used.
    """

    occurred_at: datetime
    business_date: date
    order_id: str | None
    item_id: str | None
    sku: str | None
    name: str | None
    variation_name: str | None
    category: str | None
    quantity: str
    unit: str
    gross: int
    discount: int
    net: int
    tax: int
    currency: str
    disposition: Disposition


class PreviewRow(Struct, frozen=True, kw_only=True):
    """A row, and what it is understood as.

    Attributes:
        cells: as they stand in the file.
        understood: None where the row is left out; `error` says why, where it is not a row of another
            location, a blank one or a sum.
    """

    line: int
    cells: tuple[str, ...]
    understood: Understood | None = None
    error: RowError | None = None


def preview(rows: Iterable[Row], plan: Plan, limit: int = 20) -> list[PreviewRow]:
    """Return at most `limit` rows; what is said of an order as a whole is not shared among its lines yet."""
    reader = RowReader(plan)
    shown: list[PreviewRow] = []
    for line, cells in rows:
        if len(shown) == limit:
            break
        texts = tuple(plain_text(cell) for cell in cells or ())
        if cells is None:
            shown.append(PreviewRow(line=line, cells=(), error=error_of(line, (), None, plan)))
            continue
        try:
            piece = reader.read(cells)
        except RowProblem as problem:
            shown.append(PreviewRow(line=line, cells=texts, error=error_of(line, cells, problem, plan)))
            continue
        understood = None if isinstance(piece, Skip) else _understood(piece, plan)
        shown.append(PreviewRow(line=line, cells=texts, understood=understood))
    return shown


def _understood(piece: Piece, plan: Plan) -> Understood:
    return Understood(
        occurred_at=from_us(piece.at_us),
        business_date=date.fromordinal(piece.day),
        order_id=piece.order if plan.use_order_ids else None,
        item_id=piece.item_id,
        sku=piece.sku,
        name=piece.name,
        variation_name=piece.variation,
        category=piece.category,
        quantity=piece.quantity,
        unit=piece.unit,
        gross=piece.gross,
        discount=piece.discount,
        net=piece.net,
        tax=piece.tax,
        currency=piece.currency,
        disposition=Disposition(piece.disposition),
    )
