"""Row errors as a CSV that a spreadsheet may open: what looks like a formula is made text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from suppli_connector_upload.domain.outcomes import RowError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
HEADER = ("line", "column", "value", "reason")


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; plain numbers stay."""
    if text.lstrip(" ").startswith(_FORMULA) and _NUMBER.fullmatch(text) is None:
        return "'" + text
    return text


def errors_csv(errors: Iterable[RowError]) -> Iterator[str]:
    """Yield the lines of a CSV of row errors, header first, with CRLF as RFC 4180 has it."""
    yield _line(HEADER)
    for error in errors:
        yield _line((str(error.line), error.column or "", error.value, error.reason))


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()
