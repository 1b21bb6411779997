"""A row of cells as a line of a sale, by a plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from suppli_contracts.events.sales import Disposition, LineKind

from suppli_connector_upload.domain.amounts import Amounts, CellProblem, Quantities, Quantity
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.line_money import line_money, without_tax
from suppli_connector_upload.domain.moments import Moment, Moments
from suppli_connector_upload.domain.pieces import GIFT_CARD, Piece
from suppli_connector_upload.domain.places import Events, Places
from suppli_connector_upload.domain.plan import Field, Plan, Shape
from suppli_connector_upload.domain.shopify import WholeOrder
from suppli_connector_upload.domain.texts import (
    Flags,
    GiftCards,
    Name,
    Names,
    Texts,
    TypedTexts,
    Units,
    broken_by_spreadsheet,
    plain_text,
)

_ONE = Quantity(Decimal(1), "1")
_CODE = re.compile(r"[A-Z]{3}")
_SOLD = Disposition.SOLD
_ITEM_KIND, _CUSTOM_KIND = LineKind.ITEM.value, LineKind.CUSTOM_AMOUNT.value
_SUMS = ("total", "subtotal", "sub-total", "grand total", "sum", "summe", "gesamt", "totale", "итого")


class Skip(Enum):
    """Why a row that is no error makes no line."""

    ELSEWHERE = "elsewhere"
    NO_SALE = "no_sale"


class RowProblem(Exception):
    """A row cannot be understood.

    Attributes:
        column: where, as an index of the layout's columns; None = the row as a whole.
    """

    def __init__(self, column: int | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def is_sum(cells: Sequence[Cell]) -> bool:
    """Return whether a row begins as one that adds up those above it."""
    first = next((text for cell in cells if (text := plain_text(cell))), "")
    return first.lower().startswith(_SUMS)


class RowReader:
    """Reads the rows of one file.

    Attributes:
        broken_ids: how many order ids were numbers that a spreadsheet rounded; such are not used.
        broken_items: likewise ids, SKUs and barcodes of items.
    """

    def __init__(self, plan: Plan) -> None:
        names = plan.layout.columns
        self._width = len(names)
        # A column that the file has not is the blank cell that is put behind every row.
        found = {field.value: names.index(column) for field, column in plan.columns.items()}
        if not plan.use_order_ids:
            found.pop(Field.ORDER_ID, None)
        if not plan.use_line_ids:
            found.pop(Field.LINE_ID, None)
        self._at = Places(**{field.value: found.get(field.value, self._width) for field in Field})
        self._judges = min(self._at.voided, self._at.event) < self._width
        self._kinds = min(self._at.kind, self._at.deferred) < self._width
        self._plan = plan
        self._column: int | None = None
        self.broken_ids = self.broken_items = 0
        typed = Field.ITEM_ID not in plan.columns
        self._names, self._labels = Names(typed=typed), TypedTexts() if typed else Texts()
        self._texts, self._flags, self._units, self._events = Texts(), Flags(), Units(), Events()
        self._gift_cards = GiftCards()
        self._ids = Texts()  # apart: they do not repeat as names do, and would push those out
        self._whole = WholeOrder(plan) if plan.shape is Shape.SHOPIFY_ORDERS else None
        self._quantities = Quantities(plan.decimal_mark)
        self._amounts: dict[str, Amounts] = {}
        self._moments = Moments(plan.date_order, ZoneInfo(plan.timezone), plan.day_cutoff)
        self._percent = Decimal(plan.tax_percent) if plan.tax_percent else None

    def read(self, cells: list[Cell]) -> Piece | Skip:
        """Return the line that a row is; `cells` are taken over.

        Raises:
            RowProblem: it cannot be understood.
        """
        self._column = None
        try:
            if len(cells) != self._width:
                cells = self._fitted(cells)
            cells.append("")
            return self._piece(cells)
        except CellProblem as problem:
            if self._is_no_sale(cells):
                return Skip.NO_SALE
            raise RowProblem(self._column, str(problem)) from None

    def _fitted(self, cells: list[Cell]) -> list[Cell]:
        missing = self._width - len(cells)
        if missing > 0:
            return cells + [""] * missing
        if any(plain_text(cell) for cell in cells[self._width :]):
            raise CellProblem(f"the row has {len(cells)} cells, the header {self._width}")
        return cells[: self._width]

    def _is_no_sale(self, cells: list[Cell]) -> bool:
        """Return whether a row that is no sale is blank, or a sum of the rows above."""
        if not any(plain_text(cell) for cell in cells):
            return True
        return self._column in (self._at.datetime, self._at.date, self._at.business_date) and is_sum(cells)

    def _piece(self, cells: list[Cell]) -> Piece | Skip:
        at, plan, texts, labels = self._at, self._plan, self._texts, self._labels
        if plan.only_location is not None and texts[cells[at.location]] != plan.only_location:
            return Skip.ELSEWHERE
        moment = self._moment(cells)
        currency = texts[cells[at.currency]] or plan.currency
        quantity = self._quantity(cells)
        gross, net, tax = self._money(cells, quantity, currency)
        if not (gross or net or tax or quantity.value):
            return Skip.NO_SALE
        name = self._names[cells[at.item]]
        disposition = self._disposition(cells, name) if self._judges or name.voided else _SOLD
        if disposition is _SOLD:
            if quantity.value < 0:
                disposition = Disposition.RETURNED
            elif net == 0 and gross > 0:
                disposition = Disposition.COMPED
        restock = None
        if disposition is Disposition.RETURNED:
            quantity = quantity.taken_back
            if gross > 0 or net > 0:
                gross, net, tax = -gross, -net, -tax
            # what cost nothing did not come back over the counter: it is a correction of the stock
            restock = "unknown" if gross or net else "no"
        return Piece(
            moment.day,
            moment.at_us,
            self._id(cells[at.order_id]),
            self._id(cells[at.line_id]) if at.line_id < self._width else None,
            disposition.value,
            quantity.text,
            gross,
            gross - net,
            net,
            tax,
            self._item_id(cells[at.item_id]),
            self._item_id(cells[at.sku]),
            name.text,
            labels[cells[at.variation]],
            self._units[cells[at.unit]],
            currency,
            self._kind(cells, name) if self._kinds or name.custom else _ITEM_KIND,
            plan.prices_include_tax or self._flags[cells[at.tax_included]],
            restock,
            self._item_id(cells[at.barcode]),
            labels[cells[at.category]],
            texts[cells[at.channel]],
            None if self._whole is None else self._whole.part(cells, self._amounts[currency]),
        )

    def _moment(self, cells: list[Cell]) -> Moment:
        at = self._at
        where = at.datetime
        if where < self._width:
            self._column = where
            moment = self._moments[cells[where]]
        else:
            where = self._column = at.date if at.date < self._width else at.business_date
            if at.time < self._width:
                self._moments.of_day(cells[where])
                self._column = at.time
            moment = self._moments.joined(cells[where], cells[at.time])
        where = at.business_date
        if where < self._width:
            self._column = where
            return Moment(moment.at_us, self._moments.of_day(cells[where]).day)
        return moment

    def _quantity(self, cells: list[Cell]) -> Quantity:
        self._column = where = self._at.quantity
        if where == self._width:
            return _ONE
        quantity = self._quantities[cells[where]]
        if quantity is None:
            raise CellProblem("the quantity is missing")
        return quantity

    def _money(self, cells: list[Cell], quantity: Quantity, currency: str) -> tuple[int, int, int]:
        """Return gross, net and tax of a row, without tax in the first two."""
        at, plan = self._at, self._plan
        amounts = self._amounts.get(currency)
        if amounts is None:
            amounts = self._amounts_of(currency)
        self._column = at.tax
        tax = amounts[cells[at.tax]]
        self._column = at.gross
        gross = amounts[cells[at.gross]]
        self._column = at.net
        net = amounts[cells[at.net]]
        if gross is None and at.unit_price < self._width:
            self._column = at.unit_price
            gross = amounts.times(cells[at.unit_price], quantity)
        if gross is None or net is None:
            self._column = at.discount
            discount = amounts[cells[at.discount]] or 0
            self._column = min(at.net, at.gross, at.unit_price)
            gross, net = line_money(gross, discount, net)
        if plan.prices_include_tax:
            return without_tax(gross, net, tax if at.tax < self._width else None, self._percent)
        return gross, net, tax or 0

    def _amounts_of(self, currency: str) -> Amounts:
        if _CODE.fullmatch(currency) is None:
            self._column = self._at.currency
            raise CellProblem("this is no currency of ISO 4217")
        found = self._amounts[currency] = Amounts(self._plan.decimal_mark, currency)
        return found

    def _disposition(self, cells: list[Cell], name: Name) -> Disposition:
        if name.voided or self._flags[cells[self._at.voided]]:
            return Disposition.VOID_UNKNOWN
        return self._events[cells[self._at.event]]

    def _kind(self, cells: list[Cell], name: Name) -> str:
        at = self._at
        if self._gift_cards[cells[at.kind]] or self._flags[cells[at.deferred]]:
            return GIFT_CARD
        return _CUSTOM_KIND if name.custom else _ITEM_KIND

    def _item_id(self, cell: Cell) -> str | None:
        text = self._texts[cell]
        if text is not None and ("e" in text or "E" in text) and broken_by_spreadsheet(text):
            self.broken_items += 1
            return None
        return text

    def _id(self, cell: Cell) -> str | None:
        text = self._ids[cell]
        if text is not None and ("e" in text or "E" in text) and broken_by_spreadsheet(text):
            self.broken_ids += 1
            return None
        return text
