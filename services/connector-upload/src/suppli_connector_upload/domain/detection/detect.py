"""A file as it seems to be: shape, columns, styles, ids, and what remains to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from suppli_connector_upload.domain.amounts import Amounts, CellProblem, minor_digits
from suppli_connector_upload.domain.detected import Detected, Finding, Question, Refusal, Trust
from suppli_connector_upload.domain.detection import settings, styles
from suppli_connector_upload.domain.detection.columns import suggest
from suppli_connector_upload.domain.detection.header import Header, find_header
from suppli_connector_upload.domain.detection.names import fingerprint_of
from suppli_connector_upload.domain.detection.text import read_text
from suppli_connector_upload.domain.files import (
    Cell,
    FileKind,
    FileRefused,
    Layout,
    Sample,
    SheetSample,
    TextSample,
    WorkbookSample,
)
from suppli_connector_upload.domain.ids import IdWatch
from suppli_connector_upload.domain.line_money import inside_gross
from suppli_connector_upload.domain.outcomes import Notice
from suppli_connector_upload.domain.plan import DateOrder, Field, PlanProblem, Shape
from suppli_connector_upload.domain.texts import Texts, broken_by_spreadsheet

_ITEMS = (Field.ITEM, Field.SKU, Field.ITEM_ID)
_AMOUNTS = (Field.NET, Field.GROSS, Field.UNIT_PRICE)
_DATES = (Field.DATETIME, Field.DATE, Field.BUSINESS_DATE)
_MOST_CHOICES = 50
_DIGITS = 7
_NO_DATES = Refusal(
    code="no_dates",
    reason="No column holds dates. A sale needs the day on which it was made: export a report with one row"
    " per item sold.",
)


class _Table(NamedTuple):
    """The part of a file in which the sales are."""

    layout: Layout
    header: Header
    rows: list[Sequence[Cell]]
    findings: list[Finding]
    questions: list[Question]


def detect(sample: Sample, answers: Mapping[str, str] | None = None) -> Detected:
    """Find out what a file is.

    Args:
        answers: what a person says of it: `encoding`, `delimiter`, `sheet`, `header_line`; others are left
            aside here.

    Raises:
        FileRefused: it is no table.
        PlanProblem: an answer cannot be.
    """
    said = answers or {}
    table = _of_text(sample, said) if isinstance(sample, TextSample) else _of_workbook(sample, said)
    known = table.header.known
    if not table.rows and (known is None or known.refusal is None):
        raise FileRefused("no_rows", "Below the names of the columns there is no row that has as many cells.")
    if known is not None:
        columns = {field: name for field, name in known.columns.items() if name in table.header.columns}
        findings = [Finding(about="shape", value=known.title, because=table.header.because)]
        return _detected(table, known.shape, columns, findings, known.refusal, known.date_order)
    suggested = suggest(table.header.columns, table.rows)
    findings = [
        Finding(about="shape", value=Shape.GENERIC, because="Its columns are those of no known export.")
    ]
    refusal = None if any(field in suggested.found for field in _DATES) else _NO_DATES
    if suggested.price_unclear:
        table.questions.append(_price_question(suggested.found))
    return _detected(table, Shape.GENERIC, suggested.found, findings + suggested.findings, refusal, None)


def _of_text(sample: TextSample, said: Mapping[str, str]) -> _Table:
    text = read_text(sample, said.get("encoding"), said.get("delimiter"))
    header = find_header(text.head, _header_line(said))
    width = len(header.columns)
    rows: list[Sequence[Cell]] = [cells for line, cells in text.head if line > header.line]
    if header.known is None or header.known.refusal is None:
        rows = [cells for cells in (*rows, *text.later) if len(cells) == width]
    layout = Layout(
        kind=FileKind.TEXT,
        encoding=text.encoding,
        delimiter=text.delimiter,
        header_line=header.line,
        columns=header.columns,
    )
    return _Table(layout, header, rows, [*text.findings, _header_finding(header)], text.questions)


def _header_line(said: Mapping[str, str]) -> int | None:
    text = said.get("header_line")
    if not text:
        return None
    if not text.isdecimal() or len(text) > _DIGITS:
        raise PlanProblem("header_line", "Say the number of the line, 0 for none.")
    return int(text)


def _of_workbook(sample: WorkbookSample, said: Mapping[str, str]) -> _Table:
    wanted = said.get("sheet")
    sheets = [sheet for sheet in sample.sheets if not wanted or sheet.name == wanted]
    if wanted and not sheets:
        raise PlanProblem("sheet", "The workbook has no sheet of this name.")
    line = _header_line(said)
    tables = [table for sheet in sheets if (table := _of_sheet(sample.kind, sheet, line)) is not None]
    if not tables:
        raise FileRefused("empty", "The workbook has no rows that can be read.")
    return max(tables, key=_likeliness)


def _likeliness(table: _Table) -> tuple[bool, int, int]:
    known = table.header.known
    found = known.columns if known is not None else suggest(table.header.columns, table.rows).found
    parts = sum(any(field in found for field in group) for group in (_DATES, _ITEMS, _AMOUNTS))
    return known is not None, parts, len(table.rows)


def _of_sheet(kind: FileKind, sheet: SheetSample, header_line: int | None) -> _Table | None:
    lines = [(line, cells) for line, cells in sheet.rows if cells]
    if not lines:
        return None
    header = find_header(lines, header_line)
    width = len(header.columns)
    rows: list[Sequence[Cell]] = []
    for line, cells in lines:
        if line > header.line:
            rows.append([*cells, *[""] * (width - len(cells))])
    layout = Layout(kind=kind, sheet=sheet.name, header_line=header.line, columns=header.columns)
    because = "Of the workbook's sheets it looks most like a table of sales."
    finding = Finding(about="sheet", value=sheet.name, because=because)
    return _Table(layout, header, rows, [finding, _header_finding(header)], [])


def _header_finding(header: Header) -> Finding:
    return Finding(
        about="header", value=f"line {header.line}" if header.line else "none", because=header.because
    )


def _detected(
    table: _Table,
    shape: Shape,
    columns: dict[Field, str],
    findings: list[Finding],
    refusal: Refusal | None,
    known_order: DateOrder | None,
) -> Detected:
    names = table.header.columns
    order = styles.Told(known_order or DateOrder.YMD, "All exports of this kind write dates so.", sure=True)
    if known_order is None:
        dates = [names.index(columns[field]) for field in _DATES if field in columns]
        order = styles.date_order(row[at] for row in table.rows for at in dates[:1])
    money = settings.currency(names, table.rows, columns)
    amounts = [names.index(columns[field]) for field in (*_AMOUNTS, Field.TAX) if field in columns]
    mark = styles.decimal_mark(
        (row[at] for row in table.rows for at in amounts), minor_digits(money.suggestion or "")
    )
    orders, told = _trust(table, columns.get(Field.ORDER_ID))
    lines, _ = _trust(table, columns.get(Field.LINE_ID))
    styled = (
        Finding(about="date_order", value=order.value, because=order.because),
        Finding(about="decimal_mark", value=mark.value, because=mark.because),
    )
    questions = [] if refusal else _questions(table, columns, order, mark, money, shape)
    return Detected(
        shape=shape,
        fingerprint=fingerprint_of(names),
        layout=table.layout,
        columns=columns,
        date_order=DateOrder(order.value),
        decimal_mark=mark.value,
        order_ids=orders,
        line_ids=lines,
        findings=(*table.findings, *findings, *([] if refusal else styled)),
        questions=(*([] if refusal else table.questions), *questions),
        notices=tuple(told),
        refusal=refusal,
    )


def _questions(
    table: _Table,
    columns: dict[Field, str],
    order: styles.Told,
    mark: styles.Told,
    money: Question,
    shape: Shape,
) -> list[Question]:
    names, rows = table.header.columns, table.rows
    asked = []
    if not any(field in columns for field in _ITEMS):
        asked.append(_column_question(Field.ITEM, "Which column says what was sold?", names))
    if not any(field in columns for field in _AMOUNTS):
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


def _price_question(columns: dict[Field, str]) -> Question:
    field = Field.UNIT_PRICE if Field.UNIT_PRICE in columns else Field.NET
    return Question(
        about="price",
        text=f"Is `{columns[field]}` the price of one, or of the whole line?",
        suggestion="one" if field is Field.UNIT_PRICE else "line",
        because="Too few items were sold both once and several at a time to tell.",
        choices=("one", "line"),
    )


def _locations(table: _Table, columns: dict[Field, str]) -> list[str]:
    if Field.LOCATION not in columns:
        return []
    at, texts = table.header.columns.index(columns[Field.LOCATION]), Texts()
    return sorted({text for row in table.rows if (text := texts[row[at]]) is not None})[:_MOST_CHOICES]


def _tax_beside(table: _Table, columns: dict[Field, str], mark: str, money: str | None) -> bool | None:
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


def _trust(table: _Table, column: str | None) -> tuple[Trust, list[Notice]]:
    if column is None:
        return Trust.ABSENT, []
    at, watch, texts = table.header.columns.index(column), IdWatch(), Texts()
    for line, row in enumerate(table.rows):
        text = texts[row[at]]
        if text is not None and broken_by_spreadsheet(text):
            watch.broken += 1
        elif text is not None:
            watch.see(text, line)
    damage, broken = watch.damage(), watch.broken_notice()
    notices = [notice for notice in (damage, broken) if notice is not None]
    if damage is not None or (watch.broken and not watch.seen):
        return Trust.DAMAGED, notices
    return (Trust.TRUSTED if watch.seen else Trust.ABSENT), notices
