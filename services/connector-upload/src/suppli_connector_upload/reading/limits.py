"""How large a file may be, so that none takes the machine with it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes unless said otherwise. What is beyond is refused before it is read.

    Attributes:
        text_bytes: of a text file.
        workbook_bytes: of a workbook as it was uploaded.
        unpacked_bytes: of a workbook's parts together, unpacked.
        ratio: how many times larger a part may become by unpacking.
        parts: files inside a workbook.
        shared_text_bytes: a workbook's table of texts, unpacked: it is held in memory.
        old_workbook_bytes: of an .xls file, which is held in memory as a whole.
        line_characters: of one line of a text file.
        columns: of a table.
    """

    text_bytes: int = 2048 * MIB
    workbook_bytes: int = 256 * MIB
    unpacked_bytes: int = 2048 * MIB
    ratio: int = 200
    parts: int = 2_000
    shared_text_bytes: int = 128 * MIB
    old_workbook_bytes: int = 32 * MIB
    line_characters: int = MIB
    columns: int = 1_000
