"""What a shop would lose: rows, the line number of an error, or the service's memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from suppli_connector_upload.domain.files import FileKind, FileRefused, Layout
from suppli_connector_upload.reading import Limits, open_rows, take_sample


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "sales.csv"
    path.write_bytes(content)
    return path


def _layout(**changes: object) -> Layout:
    return Layout(kind=FileKind.TEXT, **changes)  # type: ignore[arg-type]


def test_a_row_is_named_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    """Breaks inside quotes, blank lines and CRLF: the person must find the line in an editor."""
    path = _file(tmp_path, b'a,b\r\n1,"x\r\ny"\r\n\r\n2,z\r\n')
    assert list(open_rows(path, _layout())) == [(2, ["1", "x\r\ny"]), (5, ["2", "z"])]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("\ufeffa\tCafé\n", "utf-8-sig"),
        ("a\tCafé\n", "cp1252"),
        ("\ufeffa\tCafé\n", "utf-16"),
    ],
)
def test_text_is_read_as_it_was_written(tmp_path: Path, content: str, encoding: str) -> None:
    path = _file(tmp_path, content.lstrip("\ufeff").encode(encoding))
    assert list(open_rows(path, _layout(encoding=encoding, delimiter="\t", header_line=0))) == [
        (1, ["a", "Café"])
    ]


def test_bytes_that_are_no_utf8_are_read_as_windows_text(tmp_path: Path) -> None:
    """Two sources in one file: the name must not end as a sign of replacement, nor the import stop."""
    path = _file(tmp_path, "Café,1\n".encode() + "Café,2\n".encode("cp1252"))
    assert [cells for _, cells in open_rows(path, _layout(header_line=0))] == [["Café", "1"], ["Café", "2"]]


def test_a_quote_that_is_never_closed_costs_its_rows_only(tmp_path: Path) -> None:
    """What it swallows is said, and what follows is read."""
    swallowed = b'"open,1\n' + b"x,1\n" * 40_000
    path = _file(tmp_path, b"a,b\nfirst,1\n" + swallowed + b"y,2\n" * 10)
    rows = list(open_rows(path, _layout()))
    assert rows[:2] == [(2, ["first", "1"]), (3, None)]
    assert rows[-1][1] == ["y", "2"]


def test_what_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    endless = _file(tmp_path, b"a," * 1_000_000)
    with pytest.raises(FileRefused, match="a line of over"):
        list(open_rows(endless, _layout(header_line=0)))
    wide = _file(tmp_path, b"a\n" + b"1," * 2_000)
    with pytest.raises(FileRefused, match="2001 columns"):
        list(open_rows(wide, _layout()))
    with pytest.raises(FileRefused, match="at most 1 MiB"):
        take_sample(_file(tmp_path, b"a\n" * 600_000), Limits(text_bytes=1 << 20))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"\x1f\x8b\x08\x00", "packed"),
        (b"%PDF-1.7", "pdf"),
        (b"\n<html><table><tr><td>1", "web_page"),
        (b'<?xml version="1.0"?><Workbook>', "xml"),
        (b'[{"id": 1}]', "json"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not_a_table"),
    ],
)
def test_what_is_no_table_is_refused_by_its_bytes(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(FileRefused) as refused:
        take_sample(_file(tmp_path, content))
    assert refused.value.code == code
