"""Workbooks of Excel (.xlsx), row by row. Formulas are never evaluated: the value stored with one counts.

Read here rather than by a library: those that are fast hold a whole sheet, as wide and long as its outermost
cells say, and two cells far apart end the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

from suppli_connector_upload.domain.files import (
    Cell,
    FileKind,
    FileRefused,
    Layout,
    Row,
    WorkbookSample,
)
from suppli_connector_upload.reading.limits import Limits
from suppli_connector_upload.reading.packed import opened
from suppli_connector_upload.reading.samples import sheet_samples
from suppli_connector_upload.reading.xlsx_parts import Sheet, Shown, Workbook, index_of, plain, workbook_of
from suppli_connector_upload.reading.xml import local, walk

_EXACT_DIGITS = 15
_LONGEST_TEXT = 1 << 16
_REMEMBERED = 1 << 14
_DAY_S = 86_400
_LAST_DAY = 2_958_465  # 9999-12-31
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a workbook has no zones
_NO_LEAP_DAY = 60  # Excel has a 29 February 1900 that never was


def sample_of(path: Path, limits: Limits) -> WorkbookSample:
    """Return the first rows of every sheet.

    Raises:
        FileRefused: it is no workbook, or larger than the limits say.
    """
    with opened(path, limits) as package:
        workbook = workbook_of(package, limits)
        gathered = [(sheet.name, _rows(package, sheet, workbook, limits)) for sheet in workbook.sheets]
        return WorkbookSample(FileKind.XLSX, sheet_samples(gathered))


def sheet_rows(path: Path, layout: Layout, limits: Limits) -> Iterator[Row]:
    """Yield the rows of the layout's sheet below the header; blank rows are none.

    Raises:
        FileRefused: it is damaged, or larger than the limits say.
    """
    with opened(path, limits) as package:
        workbook = workbook_of(package, limits)
        sheet = next((sheet for sheet in workbook.sheets if sheet.name == layout.sheet), None)
        if sheet is None:
            raise FileRefused("no_sheet", f"The workbook has no sheet `{layout.sheet}`.")
        for row in _rows(package, sheet, workbook, limits):
            if row[0] > layout.header_line:
                yield row


def _rows(package: ZipFile, sheet: Sheet, workbook: Workbook, limits: Limits) -> Iterator[Row]:
    reader = _SheetReader(workbook, limits)
    with package.open(sheet.part) as stream:
        for _ in walk(stream, reader.start, reader.text, reader.end):
            yield from reader.rows
            reader.rows.clear()


class _SheetReader:
    """Gathers the rows of a sheet from the events of its XML.

    Attributes:
        rows: those that are complete; whoever takes them empties the list.
    """

    def __init__(self, workbook: Workbook, limits: Limits) -> None:
        self.rows: list[Row] = []
        self._workbook, self._widest = workbook, limits.columns
        self._epoch = _EPOCH_1904 if workbook.from_1904 else _EPOCH
        self._line = 0
        self._cells: list[Cell] = []
        self._column = -1
        self._type, self._style = "n", 0
        self._text = ""
        self._reading = False
        self._columns: dict[str, int] = {}
        self._moments: dict[tuple[str, Shown], Cell] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin a row, a cell, or the value of one."""
        name = local(name)
        if name == "c":
            reference = attributes.get("r")
            if reference is None:
                self._column += 1
            else:
                letters = reference.rstrip("0123456789")
                column = self._columns.get(letters)
                self._column = self._placed(letters) if column is None else column
            self._type = attributes.get("t", "n")
            style = attributes.get("s")
            self._style = index_of(style) if style is not None else 0
            self._text = ""
        elif name in ("v", "t"):
            self._reading = True
        elif name == "row":
            self._line = index_of(attributes.get("r")) or self._line + 1
            self._cells = []
            self._column = -1
        elif name == "rPh":
            self._reading = False

    def text(self, data: str) -> None:
        """Take a part of a value."""
        if self._reading and len(self._text) < _LONGEST_TEXT:
            self._text += data

    def end(self, name: str) -> None:
        """End a value, a cell or a row."""
        name = local(name)
        if name == "c":
            value = self._value()
            if value != "":
                cells = self._cells
                missing = self._column - len(cells)
                if missing > 0:
                    cells.extend([""] * missing)
                if missing >= 0:
                    cells.append(value)
                else:
                    cells[self._column] = value
        elif name in ("v", "t"):
            self._reading = False
        elif name == "row" and self._cells:
            self.rows.append((self._line, self._cells))
            self._cells = []

    def _placed(self, letters: str) -> int:
        """Return the index of a column by its letters."""
        at = 0
        for letter in letters:
            if not "A" <= letter <= "Z" or at > self._widest:
                at = self._widest + 1
                break
            at = at * 26 + ord(letter) - 64
        if not 0 < at <= self._widest:
            raise FileRefused("too_wide", f"The sheet has a cell beyond column {self._widest}.")
        self._columns[letters] = at - 1
        return at - 1

    def _value(self) -> Cell:
        text, kind = self._text, self._type
        if not text:
            return ""
        if kind == "s":
            return self._workbook.texts[index_of(text)]
        if kind == "n":
            shown = self._workbook.shown
            style = shown[self._style] if self._style < len(shown) else Shown.NUMBER
            return _number(text) if style is Shown.NUMBER else self._moment(text, style)
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        if kind == "d":
            return _iso(text)
        return plain(text)

    def _moment(self, text: str, shown: Shown) -> Cell:
        found = self._moments.get((text, shown))
        if found is None:
            found = _moment(text, shown, self._epoch)
            if len(self._moments) >= _REMEMBERED:
                self._moments.clear()
            self._moments[text, shown] = found
        return found


def _number(text: str) -> Cell:
    """Return a number; a whole one of more digits than a spreadsheet keeps as the rounded one that it is."""
    if len(text) <= _EXACT_DIGITS and text.removeprefix("-").isdecimal():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _iso(text: str) -> Cell:
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return text


def _moment(text: str, shown: Shown, epoch: datetime) -> Cell:
    try:
        serial = float(text)
    except ValueError:
        return text
    if not 0 <= serial <= _LAST_DAY:
        return serial
    days, seconds = int(serial), round(serial % 1 * _DAY_S)
    if days < _NO_LEAP_DAY and epoch is _EPOCH:
        days += 1
    at = epoch + timedelta(days=days, seconds=seconds)
    if shown is Shown.TIME and serial < 1:
        return at.time()
    if shown is Shown.DATE and not seconds:
        return at.date()
    return at
