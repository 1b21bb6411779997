"""What a workbook says beside its sheets: their names, its texts, and which numbers are dates."""

from __future__ import annotations

import posixpath
import re
from array import array
from enum import Enum
from typing import NamedTuple
from zipfile import ZipFile

from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.reading.limits import MIB, Limits
from suppli_connector_upload.reading.packed import WORKBOOK
from suppli_connector_upload.reading.xml import Start, Text, local, walk

_SMALL_BYTES = 16 * MIB
_MOST_SHEETS = 50
_LONGEST_TEXT = 1 << 16
_LONGEST_FORMAT = 255
_DIGITS = 9
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NO_TOKENS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]')

# ECMA-376 part 1, 18.8.30 and the formats of East Asian Excels.
_DATES = frozenset([14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)])
_TIMES = frozenset([18, 19, 20, 21, *range(32, 36), 45, 46, 47])
_BOTH = frozenset([22])


def _past(_: str) -> None:
    """Read past it."""


class Shown(Enum):
    """As what a cell's format shows its number."""

    NUMBER = 0
    DATE = 1
    TIME = 2
    BOTH = 3


class Sheet(NamedTuple):
    """A sheet and the part of the package that holds it."""

    name: str
    part: str


class Texts:
    """A workbook's texts in one block: as single strings a million of them would take tenfold the memory."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = array("Q")

    def add(self, text: str) -> None:
        """Add the next text."""
        self._block += text.encode("utf-8", "replace")
        self._ends.append(len(self._block))

    def __getitem__(self, at: int) -> str:
        if not 0 <= at < len(self._ends):
            raise FileRefused("damaged", "A cell of the workbook points to a text that is not there.")
        begin = self._ends[at - 1] if at else 0
        return self._block[begin : self._ends[at]].decode()


class Workbook(NamedTuple):
    """What reading a sheet needs.

    Attributes:
        shown: by the index of a cell's style.
        from_1904: whether days are counted from 1904 on, as old Macs did.
    """

    sheets: list[Sheet]
    texts: Texts
    shown: list[Shown]
    from_1904: bool


def workbook_of(package: ZipFile, limits: Limits) -> Workbook:
    """Read what is beside the sheets.

    Raises:
        FileRefused: it is damaged, or larger than the limits say.
    """
    targets = _targets(package)
    named: list[tuple[str, str]] = []
    from_1904 = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal from_1904
        name = local(name)
        if name == "sheet":
            key = next((value for key, value in attributes.items() if local(key) == "id"), "")
            named.append((attributes.get("name", ""), key))
        elif name == "workbookPr":
            from_1904 = attributes.get("date1904") in ("1", "true")

    _read(package, WORKBOOK, _SMALL_BYTES, start)
    there = set(package.namelist())
    sheets = [Sheet(name, targets[key]) for name, key in named if targets.get(key) in there]
    texts = _texts(package, limits) if "xl/sharedStrings.xml" in there else Texts()
    shown = _shown(package) if "xl/styles.xml" in there else []
    return Workbook(sheets[:_MOST_SHEETS], texts, shown, from_1904)


def plain(text: str) -> str:
    """Return a text without the escapes that workbooks write control characters with."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _read(
    package: ZipFile, part: str, most: int, start: Start, text: Text = _past, end: Text = _past
) -> None:
    if package.getinfo(part).file_size > most:
        raise FileRefused(
            "too_large", f"The workbook's part {part} has over {most // MIB} MiB. Save it as CSV."
        )
    with package.open(part) as stream:
        for _ in walk(stream, start, text, end):
            pass


def _targets(package: ZipFile) -> dict[str, str]:
    """Return the worksheets' parts by the keys that the workbook names them with."""
    found: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if local(name) == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            target = attributes.get("Target", "")
            whole = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            found[attributes.get("Id", "")] = whole

    part = "xl/_rels/workbook.xml.rels"
    if part in package.namelist():
        _read(package, part, _SMALL_BYTES, start)
    return found


def _texts(package: ZipFile, limits: Limits) -> Texts:
    found = Texts()
    parts: list[str] = []
    inside = {"t": 0, "rPh": 0}

    def start(name: str, _: dict[str, str]) -> None:
        name = local(name)
        if name in inside:
            inside[name] += 1

    def text(data: str) -> None:
        if inside["t"] and not inside["rPh"]:  # rPh: how to pronounce it
            parts.append(data)

    def end(name: str) -> None:
        name = local(name)
        if name in inside:
            inside[name] -= 1
        elif name == "si":
            found.add(plain("".join(parts))[:_LONGEST_TEXT])
            parts.clear()

    _read(package, "xl/sharedStrings.xml", limits.shared_text_bytes, start, text, end)
    return found


def _shown(package: ZipFile) -> list[Shown]:
    formats: dict[int, Shown] = dict.fromkeys(_DATES, Shown.DATE)
    formats |= dict.fromkeys(_TIMES, Shown.TIME) | dict.fromkeys(_BOTH, Shown.BOTH)
    styles: list[int] = []
    within = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal within
        name = local(name)
        if name == "numFmt":
            formats[index_of(attributes.get("numFmtId"))] = shown_by(attributes.get("formatCode", ""))
        elif name == "cellXfs":
            within = True
        elif name == "xf" and within:
            styles.append(index_of(attributes.get("numFmtId")))

    def end(name: str) -> None:
        nonlocal within
        if local(name) == "cellXfs":
            within = False

    _read(package, "xl/styles.xml", _SMALL_BYTES, start, end=end)
    return [formats.get(style, Shown.NUMBER) for style in styles]


def index_of(text: str | None) -> int:
    """Return the number that a text is; 0 where it is none that a workbook can have."""
    return int(text) if text is not None and text.isdecimal() and len(text) <= _DIGITS else 0


def shown_by(code: str) -> Shown:
    """Return as what a format's code shows a number: `m/d/yy\\ h:mm;@` is date and time."""
    bare = _NO_TOKENS.sub("", code[:_LONGEST_FORMAT].split(";")[0]).lower()
    if bare == "general":
        return Shown.NUMBER
    has_day = "y" in bare or "d" in bare
    has_time = "h" in bare or "s" in bare
    if not has_day and not has_time and "m" in bare:
        has_day = True
    return (
        Shown.BOTH
        if has_day and has_time
        else Shown.DATE
        if has_day
        else Shown.TIME
        if has_time
        else Shown.NUMBER
    )
