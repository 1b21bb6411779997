"""What comes out of a file: sales, row errors, totals and notices. Money in minor units, quantities exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from msgspec import Struct
from suppli_connector_kit.protocol import Sale


class FileSale(Struct, frozen=True, gc=False):
    """One order of a file. All its lines are of one business date: a file's order is what one order id sold
    on one day, so the orders of a day are replaced by leaving out those that a newer file has not.

    Attributes:
        business_date: of all its lines and adjustments.
        sale: clean and redacted text, and lines + adjustments = total less tax, as of every connector;
            `sale.order_id` is the same whenever the same rows are read again.
        line: where its first row begins.
        rows: how many rows it was made of.
    """

    business_date: date
    sale: Sale
    line: int
    rows: int


class RowError(Struct, frozen=True, gc=False):
    """One row that is left out.

    Attributes:
        line: where the row begins in the file.
        column: the column's name; None = the row as a whole.
        value: what stands there, at most 100 characters.
        reason: what is wrong with it, a sentence without the value.
    """

    line: int
    column: str | None
    value: str
    reason: str


class Notice(Struct, frozen=True):
    """Something that a person should know about a file; nothing is left out for it.

    Attributes:
        code: stable, for programs, e.g. `order_ids_damaged`.
        text: a sentence.
    """

    code: str
    text: str


@dataclass(slots=True)
class Totals:
    """Sums of lines, for people to hold against the report that they know.

    Attributes:
        quantity: without voided, cancelled and waiting lines; likewise money.
        gross: before discount, without tax; likewise net = gross - discount.
        tax: of the lines.
        adjustments: money of orders that belongs to no line: delivery, tips, gift cards, refunds by amount.
        left_out_rows: rows of voided, cancelled or waiting lines; `left_out_quantity` and `left_out_net` are
            theirs.
    """

    rows: int = 0
    orders: int = 0
    quantity: Decimal = Decimal(0)
    gross: int = 0
    discount: int = 0
    net: int = 0
    tax: int = 0
    adjustments: int = 0
    left_out_rows: int = 0
    left_out_quantity: Decimal = Decimal(0)
    left_out_net: int = 0


@dataclass(slots=True)
class ControlTotals:
    """A file's totals, in all and by business date.

    Attributes:
        by_day: keys in the sequence of dates.
        currencies: of the sales, usually one.
        errors: rows that are left out because they could not be understood.
        elsewhere: rows of other locations than the plan's.
        ignored: rows that are no sales by their nature, e.g. blank ones and sums.
    """

    all: Totals = field(default_factory=Totals)
    by_day: dict[date, Totals] = field(default_factory=dict)
    currencies: set[str] = field(default_factory=set)
    errors: int = 0
    elsewhere: int = 0
    ignored: int = 0
