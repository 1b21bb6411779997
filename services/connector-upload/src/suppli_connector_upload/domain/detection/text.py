"""A text file's encoding and delimiter, and its rows as far as the sample shows them."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from suppli_connector_upload.domain.detected import Finding, Question
from suppli_connector_upload.domain.files import FileRefused, TextSample
from suppli_connector_upload.domain.plan import ENCODINGS, PlanProblem, is_delimiter

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_JUDGED_RECORDS = 300
_SEP = "sep="
_SAID = "A person says so."

Record = tuple[int, list[str]]


class TextFound(NamedTuple):
    """What the bytes are.

    Attributes:
        head: the first records with the lines on which they begin.
        later: records from further on, without lines; some may be cut.
    """

    encoding: str
    delimiter: str
    head: list[Record]
    later: list[list[str]]
    findings: list[Finding]
    questions: list[Question]


def read_text(sample: TextSample, encoding: str | None = None, delimiter: str | None = None) -> TextFound:
    """Find out encoding and delimiter.

    Args:
        encoding: where a person says it; likewise `delimiter`.

    Raises:
        FileRefused: nothing divides its lines into columns.
        PlanProblem: what is said cannot be.
    """
    found, because, questions = _encoding(sample)
    if encoding and encoding != found:
        if encoding not in ENCODINGS:
            raise PlanProblem("encoding", "This is no encoding that is read here.")
        found, because = encoding, _SAID
    encoding = found
    complete = sample.size <= len(sample.head)
    text = _decoded(sample.head, encoding)
    lines = text.splitlines(keepends=True)
    if not complete and len(lines) > 1:
        del lines[-1]
    if delimiter:
        if not is_delimiter(delimiter):
            raise PlanProblem("delimiter", "A delimiter is one character, and no quote or line break.")
        why = _SAID
    else:
        delimiter, why = _delimiter(lines)
    head = list(_records(lines, delimiter))
    if not complete and len(head) > 1:
        del head[-1]  # it may end beyond the sample
    later: list[list[str]] = []
    for part in sample.later:
        inner = _decoded(part, encoding).splitlines(keepends=True)[1:-1]
        later += [cells for _, cells in _records(inner, delimiter)]
    findings = [
        Finding(about="encoding", value=encoding, because=because),
        Finding(about="delimiter", value=_NAMES.get(delimiter, delimiter), because=why),
    ]
    return TextFound(encoding, delimiter, head, later, findings, questions)


def _encoding(sample: TextSample) -> tuple[str, str, list[Question]]:
    for mark, name in _BOMS:
        if sample.head.startswith(mark):
            return name, "The file begins with the mark of this encoding.", []
    parts = [sample.head, *sample.later]
    if all(part.isascii() for part in parts):
        return "utf-8", "All characters that were looked at are plain ASCII.", []
    wrong = sum(_broken(part) for part in parts)
    if not wrong:
        return "utf-8", "The text holds characters beyond ASCII, and all of them are valid UTF-8.", []
    if sum(_multibyte(part) for part in parts) > wrong:
        return (
            "utf-8",
            "Most characters beyond ASCII are valid UTF-8; the others are read as Windows-1252.",
            [],
        )
    high = Counter(byte >= 0xC0 for part in parts for byte in part if byte >= 0x80 or chr(byte).isalpha())
    suggested = "cp1251" if high[True] > high[False] else "cp1252"
    question = Question(
        about="encoding",
        text="In which encoding is the text? Look at the names in the preview.",
        suggestion=suggested,
        because="The text is not valid UTF-8; which older encoding it is, the bytes do not say.",
        choices=("cp1252", "cp1251", "cp1250", "mac_roman", "cp437"),
    )
    return suggested, "The text is not valid UTF-8.", [question]


def _broken(part: bytes) -> int:
    """Return how many bytes are no UTF-8, those of characters that are cut at the ends left out."""
    body = part.lstrip(bytes(range(0x80, 0xC0)))
    return codecs.getincrementaldecoder("utf-8")("replace").decode(body).count("\ufffd")


def _multibyte(part: bytes) -> int:
    return sum(1 for sign in part.decode("utf-8", "ignore") if not sign.isascii())


def _decoded(part: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(part)


def _delimiter(lines: list[str]) -> tuple[str, str]:
    first = lines[0].strip() if lines else ""
    if first.lower().startswith(_SEP) and len(first) == len(_SEP) + 1:
        return first[-1], "The first line says so."
    best, score, told = "", 0.0, ""
    for delimiter in _DELIMITERS:
        widths = Counter(len(cells) for _, cells in _records(lines[: 4 * _JUDGED_RECORDS], delimiter))
        many = {width: count for width, count in widths.items() if width > 1}
        if not many:
            continue
        width, count = max(many.items(), key=lambda item: (item[1], item[0]))
        share = count / widths.total()
        if share * share * (width - 1) > score:
            best, score = delimiter, share * share * (width - 1)
            told = f"It divides {count} of {widths.total()} rows that were looked at into {width} columns."
    if not best:
        raise FileRefused(
            "one_column", "No comma, semicolon, tab or bar divides the lines into columns: this is no table."
        )
    return best, told


def _records(lines: Iterable[str], delimiter: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter)
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            begins = reader.line_num + 1
            continue
        if any(cells):
            yield begins, cells
        begins = reader.line_num + 1
