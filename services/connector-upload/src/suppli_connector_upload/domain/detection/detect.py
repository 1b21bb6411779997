"""A file as it seems to be: shape, columns, styles, ids, and what remains to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from suppli_connector_upload.domain.amounts import minor_digits
from suppli_connector_upload.domain.detected import Detected, Finding, Refusal, Trust
from suppli_connector_upload.domain.detection import settings, styles
from suppli_connector_upload.domain.detection.columns import suggest
from suppli_connector_upload.domain.detection.header import Header, find_header
from suppli_connector_upload.domain.detection.names import fingerprint_of
from suppli_connector_upload.domain.detection.questions import (
    AMOUNTS,
    ITEMS,
    Table,
    price_question,
    questions,
)
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
from suppli_connector_upload.domain.ids import IdWatch, collapsed
from suppli_connector_upload.domain.outcomes import Notice
from suppli_connector_upload.domain.plan import DateOrder, Field, PlanProblem, Shape
from suppli_connector_upload.domain.texts import Texts, broken_by_spreadsheet

_DATES = (Field.DATETIME, Field.DATE, Field.BUSINESS_DATE)
_DIGITS = 7
_NO_DATES = Refusal(
    code="no_dates",
    reason="No column holds dates. A sale needs the day on which it was made: export a report with one row"
    " per item sold.",
)


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
        table.questions.append(price_question(suggested.found))
    return _detected(table, Shape.GENERIC, suggested.found, findings + suggested.findings, refusal, None)


def _of_text(sample: TextSample, said: Mapping[str, str]) -> Table:
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
    return Table(layout, header, rows, [*text.findings, _header_finding(header)], text.questions)


def _header_line(said: Mapping[str, str]) -> int | None:
    text = said.get("header_line")
    if not text:
        return None
    if not text.isdecimal() or len(text) > _DIGITS:
        raise PlanProblem("header_line", "Say the number of the line, 0 for none.")
    return int(text)


def _of_workbook(sample: WorkbookSample, said: Mapping[str, str]) -> Table:
    wanted = said.get("sheet")
    sheets = [sheet for sheet in sample.sheets if not wanted or sheet.name == wanted]
    if wanted and not sheets:
        raise PlanProblem("sheet", "The workbook has no sheet of this name.")
    line = _header_line(said)
    tables = [table for sheet in sheets if (table := _of_sheet(sample.kind, sheet, line)) is not None]
    if not tables:
        raise FileRefused("empty", "The workbook has no rows that can be read.")
    return max(tables, key=_likeliness)


def _likeliness(table: Table) -> tuple[bool, int, int]:
    known = table.header.known
    found = known.columns if known is not None else suggest(table.header.columns, table.rows).found
    parts = sum(any(field in found for field in group) for group in (_DATES, ITEMS, AMOUNTS))
    return known is not None, parts, len(table.rows)


def _of_sheet(kind: FileKind, sheet: SheetSample, header_line: int | None) -> Table | None:
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
    return Table(layout, header, rows, [finding, _header_finding(header)], [])


def _header_finding(header: Header) -> Finding:
    return Finding(
        about="header", value=f"line {header.line}" if header.line else "none", because=header.because
    )


def _detected(
    table: Table,
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
    amounts = [names.index(columns[field]) for field in (*AMOUNTS, Field.TAX) if field in columns]
    figures = [row[at] for row in table.rows for at in amounts]
    mark = styles.decimal_mark(figures, minor_digits(money.suggestion or ""))
    apart = styles.thousands(figures, mark.value)
    columns, unusable = _without_collapsed(table, columns)
    orders, told = _trust(table, columns.get(Field.ORDER_ID))
    lines, _ = _trust(table, columns.get(Field.LINE_ID))
    styled = (
        Finding(about="date_order", value=order.value, because=order.because),
        Finding(about="decimal_mark", value=mark.value, because=mark.because),
        Finding(about="thousands", value=apart.value, because=apart.because),
    )
    asked = [] if refusal else questions(table, columns, order, mark, money, shape)
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
        questions=(*([] if refusal else table.questions), *asked),
        notices=(*told, *unusable),
        refusal=refusal,
    )


def _without_collapsed(table: Table, columns: dict[Field, str]) -> tuple[dict[Field, str], list[Notice]]:
    """Return the columns without ids of items that stand for several items each."""
    if Field.ITEM not in columns:
        return columns, []
    names, texts, notices = table.header.columns, Texts(), []
    item = names.index(columns[Field.ITEM])
    kept = dict(columns)
    for field in (Field.ITEM_ID, Field.SKU, Field.BARCODE):
        at = names.index(columns[field]) if field in columns else None
        if at is not None and collapsed((texts[row[at]], texts[row[item]]) for row in table.rows):
            del kept[field]
            reason = "stands for several items each time: a spreadsheet has rounded it. It is not used."
            notices.append(Notice("item_ids_alike", f"The column `{columns[field]}` {reason}"))
    return kept, notices


def _trust(table: Table, column: str | None) -> tuple[Trust, list[Notice]]:
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
