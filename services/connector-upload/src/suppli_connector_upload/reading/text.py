"""Text files: CSV, TSV and their kin, as streams of rows."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from suppli_connector_upload.domain.files import FileRefused, Layout, Row, TextSample
from suppli_connector_upload.reading.limits import MIB, Limits

HEAD_BYTES = MIB
_LATER_BYTES = MIB // 16
_LATER_PARTS = 8
LENIENT = "suppli_upload_lenient"


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 as Windows-1252: a file put together from two sources has both."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(LENIENT, _as_windows_1252)


def sample_of(path: Path, limits: Limits) -> TextSample:
    """Return parts from the whole length of a text file.

    Raises:
        FileRefused: it is larger than the limits say.
    """
    size = path.stat().st_size
    if size > limits.text_bytes:
        raise FileRefused(
            "too_large", f"The file has {size // MIB} MiB; at most {limits.text_bytes // MIB} MiB are read."
        )
    later = []
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        for part in range(1, _LATER_PARTS + 1):
            at = len(head) + (size - len(head)) * part // _LATER_PARTS - _LATER_BYTES
            if at > len(head):
                stream.seek(at - at % 4)  # never within a character of UTF-16 or UTF-32
                later.append(stream.read(_LATER_BYTES))
    return TextSample(head, tuple(later), size)


def text_rows(path: Path, layout: Layout, limits: Limits) -> Iterator[Row]:
    """Yield the rows below the header; blank lines are none.

    Raises:
        FileRefused: a line is longer, or a row wider, than the limits say.
    """
    header, widest = layout.header_line, limits.columns
    with path.open("rb") as raw:
        errors = LENIENT if layout.encoding.startswith("utf-8") else "replace"
        text = io.TextIOWrapper(raw, encoding=layout.encoding, errors=errors, newline="")
        records = csv.reader(_lines(text, limits.line_characters), delimiter=layout.delimiter)
        begins = 1
        while True:
            try:
                cells = next(records)
            except StopIteration:
                return
            except csv.Error:  # a cell beyond the csv module's limit: a quote that is opened and not closed
                yield begins, None
                begins = records.line_num + 1
                continue
            if begins > header and cells:
                if len(cells) > widest:
                    raise FileRefused(
                        "too_wide", f"Line {begins} has {len(cells)} columns; {widest} are read."
                    )
                yield begins, cells  # type: ignore[misc]  # a list of text is not changed as one of cells
            begins = records.line_num + 1


def _lines(text: io.TextIOWrapper, longest: int) -> Iterator[str]:
    """Yield lines; one that never ends would fill the memory."""
    while line := text.readline(longest):
        if len(line) == longest and line[-1] not in "\r\n":
            raise FileRefused("line_too_long", f"The file has a line of over {longest} characters.")
        yield line
