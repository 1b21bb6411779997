"""What only a person can say of a file, or surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from suppli_connector_upload.domain.amounts import Amounts, CellProblem
from suppli_connector_upload.domain.detected import Finding, Question
from suppli_connector_upload.domain.detection import settings, styles
from suppli_connector_upload.domain.detection.header import Header
from suppli_connector_upload.domain.files import Cell, Layout
from suppli_connector_upload.domain.line_money import inside_gross
from suppli_connector_upload.domain.plan import DateOrder, Field, Shape
from suppli_connector_upload.domain.texts import Texts

ITEMS = (Field.ITEM, Field.SKU, Field.ITEM_ID)
AMOUNTS = (Field.NET, Field.GROSS, Field.UNIT_PRICE)
_MOST_CHOICES = 50


class Table(NamedTuple):
    """The part of a file in which the sales are."""

    layout: Layout
    header: Header
    rows: list[Sequence[Cell]]
    findings: list[Finding]
    questions: list[Question]


def questions(
    table: Table,
    columns: dict[Field, str],
    order: styles.Told,
    mark: styles.Told,
    money: Question,
    shape: Shape,
) -> list[Question]:
    """Return what a person is asked, each with a suggestion where the file hints at one."""
    names, rows = table.header.columns, table.rows
    asked = []
    if not any(field in columns for field in ITEMS):
        asked.append(_column_question(Field.ITEM, "Which column says what was sold?", names))
    if not any(field in columns for field in AMOUNTS):
        asked.append(_column_question(Field.NET, "Which column has the amount of the line?", names))
    if not order.sure:
        asked.append(
            Question(
                about="date_order",
                text="In which sequence do day, month and year stand?",
                suggestion=order.value,
                because=order.because,
                choices=tuple(DateOrder),
            )
        )
    if not mark.sure:
        asked.append(
            Question(
                about="decimal_mark",
                text="Is the decimal mark a point or a comma?",
                suggestion=mark.value,
                because=mark.because,
                choices=(".", ","),
            )
        )
    asked.append(settings.zone(names, rows))
    cutoff = settings.cutoff(
        names, rows, columns, DateOrder(order.value), sleeps=shape is not Shape.SHOPIFY_ORDERS
    )
    asked += [money] if cutoff is None else [cutoff, money]
    if shape is Shape.GENERIC or shape is Shape.SQUARE_ITEMS:
        beside = _tax_beside(table, columns, mark.value, money.suggestion)
        asked.append(settings.taxes(columns, money.suggestion, beside=beside))
    where = _locations(table, columns)
    if len(where) > 1:
        because = f"The column `{columns[Field.LOCATION]}` names {len(where)} of them. Blank: all."
        asked.append(
            Question(
                about="only_location",
                text="The file has sales of several locations: which of them are imported?",
                suggestion="",
                because=because,
                choices=tuple(where),
            )
        )
    where_to = Question(about="location_id", text="At which location do these sales count?")
    return [*asked, where_to]


def _column_question(field: Field, text: str, names: Sequence[str]) -> Question:
    return Question(
        about=f"columns.{field}", text=text, because="No column's name says it.", choices=tuple(names)
    )


def price_question(columns: dict[Field, str]) -> Question:
    """Return the question whether a price is of one or of the whole line."""
    field = Field.UNIT_PRICE if Field.UNIT_PRICE in columns else Field.NET
    return Question(
        about="price",
        text=f"Is `{columns[field]}` the price of one, or of the whole line?",
        suggestion="one" if field is Field.UNIT_PRICE else "line",
        because="Too few items were sold both once and several at a time to tell.",
        choices=("one", "line"),
    )


def _locations(table: Table, columns: dict[Field, str]) -> list[str]:
    if Field.LOCATION not in columns:
        return []
    at, texts = table.header.columns.index(columns[Field.LOCATION]), Texts()
    return sorted({text for row in table.rows if (text := texts[row[at]]) is not None})[:_MOST_CHOICES]


def _tax_beside(table: Table, columns: dict[Field, str], mark: str, money: str | None) -> bool | None:
    """Return False where gross less net is the tax, row by row; None where the sums say nothing."""
    fields = (Field.GROSS, Field.NET, Field.TAX)
    if not all(field in columns for field in fields):
        return None
    places = [table.header.columns.index(columns[field]) for field in fields]
    amounts, inside, judged = Amounts(mark, money or "XXX"), 0, 0
    for row in table.rows:
        try:
            gross, net, tax = (amounts[row[at]] for at in places)
        except CellProblem:
            continue
        if gross and net is not None and tax:
            judged += 1
            inside += inside_gross(gross, net, tax)
    return False if judged and inside > judged / 2 else None
