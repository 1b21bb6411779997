"""What a file is before anybody asks what it means: rows of cells, their layout, a sample of them."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

Cell: TypeAlias = str | int | float | date | time
"""Text files have only text; workbooks also numbers and times as they are stored (a `date` may be a
`datetime`). An empty cell is ''.
"""

Row: TypeAlias = tuple[int, list[Cell] | None]
"""The line on which a record begins, counted from 1, as an editor or Excel shows it; and its cells, None
where they cannot be told: a quote is opened and not closed.
"""


class FileKind(StrEnum):
    """What the bytes are, told by the bytes themselves: names lie."""

    TEXT = "text"
    XLSX = "xlsx"
    XLS = "xls"


class Layout(Struct, frozen=True, kw_only=True):
    """Where in a file the table is.

    Attributes:
        encoding: a codec of Python's; text files only.
        delimiter: one character; text files only.
        sheet: name of the sheet; workbooks only.
        header_line: the line with the columns' names, from 1; 0 = there is none, and the columns are called
            `Column 1`, `Column 2` and so on.
        columns: the columns' names, each once: a second `Name` is `Name (2)`.
    """

    kind: FileKind
    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: str | None = None
    header_line: int = 1
    columns: tuple[str, ...] = ()


class TextSample(Struct, frozen=True):
    """Parts of a text file.

    Attributes:
        head: its first bytes.
        later: parts from further on, each cut anywhere.
        size: of the whole file, in bytes.
    """

    head: bytes
    later: tuple[bytes, ...] = ()
    size: int = 0


class SheetSample(Struct, frozen=True):
    """The first rows of a sheet."""

    name: str
    rows: tuple[Row, ...]


class WorkbookSample(Struct, frozen=True):
    """The first rows of every sheet of a workbook, in the workbook's sequence."""

    kind: FileKind
    sheets: tuple[SheetSample, ...]


Sample: TypeAlias = TextSample | WorkbookSample


class FileRefused(Exception):
    """The file as a whole cannot be imported.

    Attributes:
        code: for programs, e.g. `no_dates`; stable.
        reason: a sentence for the person who uploaded it: what is wrong and what to do instead.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
