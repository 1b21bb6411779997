"""Workbooks of Excel before 2007 (.xls). They have at most 65,536 rows and are read as a whole."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import xlrd
from xlrd.biffh import (
    XL_CELL_BOOLEAN,
    XL_CELL_DATE,
    XL_CELL_ERROR,
    XL_CELL_NUMBER,
    XL_CELL_TEXT,
    XLRDError,
    error_text_from_code,
)
from xlrd.compdoc import CompDocError

from suppli_connector_upload.domain.files import (
    Cell,
    FileKind,
    FileRefused,
    Layout,
    Row,
    WorkbookSample,
)
from suppli_connector_upload.reading.limits import MIB, Limits
from suppli_connector_upload.reading.samples import sheet_samples

_PASSWORD = "EncryptedPackage".encode("utf-16-le")
_LOOK_BYTES = MIB
_BROKEN = (
    XLRDError, CompDocError, struct.error, AssertionError, AttributeError, IndexError, KeyError,
    OverflowError, TypeError, UnicodeError, ValueError, ZeroDivisionError, EOFError, RecursionError,
)  # fmt: skip
"""What xlrd raises on files that are damaged: it does not look at every number before it uses it."""


def sample_of(path: Path, limits: Limits) -> WorkbookSample:
    """Return the first rows of every sheet.

    Raises:
        FileRefused: it is no workbook, or larger than the limits say.
    """
    book = _book(path, limits)
    try:
        samples = sheet_samples((name, _rows(book, name)) for name in book.sheet_names())
        return WorkbookSample(FileKind.XLS, samples)
    finally:
        book.release_resources()


def sheet_rows(path: Path, layout: Layout, limits: Limits) -> Iterator[Row]:
    """Yield the rows of the layout's sheet below the header; blank rows are none.

    Raises:
        FileRefused: it is damaged, or larger than the limits say.
    """
    book = _book(path, limits)
    try:
        name = layout.sheet or ""
        if name not in book.sheet_names():
            raise FileRefused("no_sheet", f"The workbook has no sheet `{name}`.")
        for row in _rows(book, name):
            if row[0] > layout.header_line:
                yield row
    finally:
        book.release_resources()


def _book(path: Path, limits: Limits) -> xlrd.Book:
    size = path.stat().st_size
    if size > limits.old_workbook_bytes:
        most = limits.old_workbook_bytes // MIB
        raise FileRefused("too_large", f"An .xls of over {most} MiB is not read: save it as .xlsx or CSV.")
    with path.open("rb") as stream:
        if _PASSWORD in stream.read(_LOOK_BYTES):
            raise FileRefused("password", "The workbook is protected by a password: save it without one.")
    try:
        return xlrd.open_workbook(str(path), logfile=io.StringIO(), on_demand=True, ragged_rows=True)
    except _BROKEN as error:
        if "ncrypt" in str(error):
            raise FileRefused(
                "password", "The workbook is protected by a password: save it without one."
            ) from error
        raise FileRefused(
            "damaged", "This is no workbook that can be read: save it as .xlsx or CSV."
        ) from error


def _rows(book: xlrd.Book, name: str) -> Iterator[Row]:
    try:
        sheet = book.sheet_by_name(name)
        for at in range(sheet.nrows):
            pairs = zip(sheet.row_types(at), sheet.row_values(at), strict=True)
            cells = [_cell(kind, value, book.datemode) for kind, value in pairs]
            if any(cell != "" for cell in cells):
                yield at + 1, cells
    except _BROKEN as error:
        raise FileRefused(
            "damaged", "The workbook is damaged: open it in Excel and save it again."
        ) from error


def _cell(kind: int, value: object, datemode: Literal[0, 1]) -> Cell:
    if kind == XL_CELL_TEXT:
        return str(value)
    if kind == XL_CELL_DATE and isinstance(value, float):
        return _moment(value, datemode)
    if kind == XL_CELL_NUMBER and isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 10**15 else value
    if kind == XL_CELL_BOOLEAN:
        return "TRUE" if value else "FALSE"
    if kind == XL_CELL_ERROR and isinstance(value, int):
        return error_text_from_code.get(value, "#ERROR")
    return ""


def _moment(value: float, datemode: Literal[0, 1]) -> Cell:
    try:
        at: datetime = xlrd.xldate.xldate_as_datetime(value, datemode)
    except (xlrd.xldate.XLDateError, OverflowError, ValueError):
        return value
    if value < 1:
        return at.time()
    return at
