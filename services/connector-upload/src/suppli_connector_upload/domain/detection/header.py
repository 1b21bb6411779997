"""Where the table begins: the row with the columns' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from suppli_connector_upload.domain.detection.names import SYNONYMS, column_names, compared
from suppli_connector_upload.domain.detection.shapes import KnownShape, known_shape
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.texts import plain_text

_LOOKED_AT = 60
_WIDTH_ROWS = 300
_LONGEST = 64
_FIGURE = re.compile(r"[^A-Za-z]*\d[\d.,:/\-\s]*[^A-Za-z]{0,3}(?:[AaPp][Mm])?")
_WORDS = frozenset(name for names in SYNONYMS.values() for name in names)

Line = tuple[int, Sequence[Cell]]


class Header(NamedTuple):
    """The header as it was found.

    Attributes:
        line: 0 = there is none.
        known: the export that its names belong to.
        because: what it was told from.
    """

    line: int
    columns: tuple[str, ...]
    known: KnownShape | None
    because: str


def find_header(rows: Sequence[Line], said: int | None = None) -> Header:
    """Return the header among a file's first rows, which are not blank.

    Args:
        said: its line, where a person says it; 0 = there is none.
    """
    width = Counter(len(cells) for _, cells in rows[:_WIDTH_ROWS]).most_common(1)[0][0]
    if said is not None:
        cells = next((cells for line, cells in rows if line == said), ())
        return Header(said if cells else 0, column_names(cells, width), None, "A person says so.")
    for line, cells in rows[:_LOOKED_AT]:
        names = column_names(cells, 0)
        known = known_shape(names)
        if known is not None:
            return Header(line, names, known, f"Line {line} has the columns of {known.title}.")
    best: tuple[int, Line] | None = None
    for at, (line, cells) in enumerate(rows[:_LOOKED_AT]):
        if not _could_be_header(cells, width) or not any(map(_is_figure, _next(rows, at))):
            continue
        words = sum(compared(plain_text(cell)) in _WORDS for cell in cells)
        if best is None or words > best[0]:
            best = (words, (line, cells))
    if best is None:
        return Header(0, column_names((), width), None, "No row above the figures has a name in each column.")
    line, cells = best[1]
    return Header(line, column_names(cells, width), None, f"Line {line} has names, and figures follow below.")


def _could_be_header(cells: Sequence[Cell], width: int) -> bool:
    texts = [text for cell in cells if (text := plain_text(cell))]
    return len(texts) >= max(2, 0.6 * width) and not any(map(_is_figure, cells))


def _next(rows: Sequence[Line], at: int) -> Sequence[Cell]:
    return rows[at + 1][1] if at + 1 < len(rows) else ()


def _is_figure(cell: Cell) -> bool:
    """Return whether a cell is a number, a date or a time: names of columns are none."""
    if not isinstance(cell, str):
        return True
    text = cell.strip()
    return len(text) <= _LONGEST and _FIGURE.fullmatch(text) is not None
