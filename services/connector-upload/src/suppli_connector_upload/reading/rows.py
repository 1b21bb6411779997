"""Opening a file of sales, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from suppli_connector_upload.domain.files import FileKind, Layout, Row, Sample
from suppli_connector_upload.reading import text, xls, xlsx
from suppli_connector_upload.reading.kinds import kind_of
from suppli_connector_upload.reading.limits import Limits


def take_sample(path: Path, limits: Limits | None = None) -> Sample:
    """Return what detection needs of a file.

    Raises:
        FileRefused: it is no table that is read here, or larger than the limits say.
    """
    limits = limits or Limits()
    kind = kind_of(path)
    if kind is FileKind.TEXT:
        return text.sample_of(path, limits)
    return xlsx.sample_of(path, limits) if kind is FileKind.XLSX else xls.sample_of(path, limits)


def open_rows(path: Path, layout: Layout, limits: Limits | None = None) -> Iterator[Row]:
    """Return the rows below the header, one at a time, in little memory.

    Raises:
        FileRefused: while iterating: the file cannot be read on.
    """
    limits = limits or Limits()
    if layout.kind is FileKind.TEXT:
        return text.text_rows(path, layout, limits)
    read = xlsx.sheet_rows if layout.kind is FileKind.XLSX else xls.sheet_rows
    return read(path, layout, limits)
