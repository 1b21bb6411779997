"""The zip file that a workbook is: looked over before anything in it is unpacked."""

from __future__ import annotations

import errno
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812 - an exception, whatever its name

from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.reading.limits import MIB, Limits

WORKBOOK = "xl/workbook.xml"
_JUDGED_BYTES = 10 * MIB
_DAMAGED = "The workbook is damaged: open it in Excel and save it again."
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHERS = {
    "xl/workbook.bin": ("xlsb", "This is a binary workbook (.xlsb): save it as .xlsx or CSV."),
    "content.xml": ("ods", "This is a workbook of OpenDocument (.ods): save it as .xlsx or CSV."),
    "word/document.xml": (
        "not_a_table",
        "This is a text document: export the report as CSV or Excel instead.",
    ),
}


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a workbook.

    Raises:
        FileRefused: it is none, is damaged, or would be larger than the limits say; also while it is read.
    """
    size = path.stat().st_size
    if size > limits.workbook_bytes:
        raise FileRefused(
            "too_large",
            f"The workbook has {size // MIB} MiB; at most {limits.workbook_bytes // MIB} MiB are read."
            " Save it as CSV.",
        )
    try:
        with zipfile.ZipFile(path) as package:
            _look_over(package, limits)
            yield package
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ZlibError, EOFError, NotImplementedError) as error:
        raise FileRefused("damaged", _DAMAGED) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise FileRefused("damaged", _DAMAGED) from error  # it points to before its own beginning


def _look_over(package: zipfile.ZipFile, limits: Limits) -> None:
    parts = package.infolist()
    names = {part.filename for part in parts}
    if WORKBOOK not in names:
        for name, (code, reason) in _OTHERS.items():
            if name in names:
                raise FileRefused(code, reason)
        raise FileRefused("packed", "The file is a zip archive, not a workbook: unpack it first.")
    if len(names) != len(parts):
        raise FileRefused("damaged", "The workbook has two parts of one name.")
    if len(parts) > limits.parts:
        raise FileRefused("bomb", f"The workbook has {len(parts)} parts; at most {limits.parts} are read.")
    total = sum(part.file_size for part in parts)
    if total > limits.unpacked_bytes:
        raise FileRefused(
            "bomb",
            f"The workbook would unpack to {total // MIB} MiB; at most {limits.unpacked_bytes // MIB} MiB are"
            " read. Save the sheet as CSV.",
        )
    for part in parts:
        if part.flag_bits & 1:
            raise FileRefused("password", "The workbook is protected by a password: save it without one.")
        if part.compress_type not in _METHODS:
            raise FileRefused("damaged", "The workbook is packed in a way that Excel does not use.")
        if part.file_size > _JUDGED_BYTES and part.file_size > limits.ratio * max(part.compress_size, 1):
            raise FileRefused(
                "bomb", f"A part of the workbook would become over {limits.ratio} times larger by unpacking."
            )
