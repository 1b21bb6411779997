"""What a file is, by its first bytes: names lie, and many an `.xls` is a web page."""

from __future__ import annotations

from pathlib import Path

from suppli_connector_upload.domain.files import FileKind, FileRefused

_PACKED = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LOOK_BYTES = 4096
_PAGES = (b"<html", b"<!doctype html", b"<table", b"<head", b"<body", b"<meta")


def kind_of(path: Path) -> FileKind:
    """Return what the file is.

    Raises:
        FileRefused: it is empty, or something that holds no table that is read here.
    """
    with path.open("rb") as stream:
        start = stream.read(_LOOK_BYTES)
    if start.startswith(_PACKED):
        return FileKind.XLSX
    if start.startswith(_OLE):
        return FileKind.XLS
    _refuse_what_is_no_text(start)
    return FileKind.TEXT


def _refuse_what_is_no_text(start: bytes) -> None:
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        raise FileRefused("empty", "The file is empty.")
    if start.startswith(b"\x1f\x8b"):
        raise FileRefused("packed", "The file is packed with gzip: unpack it and upload what is inside.")
    if start.startswith(b"%PDF"):
        raise FileRefused("pdf", "The file is a PDF: export the report as CSV or Excel instead.")
    words = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if words.startswith(_PAGES):
        raise FileRefused("web_page", "The file is a web page: open it in Excel and save it as .xlsx or CSV.")
    if words.startswith(b"<?xml"):
        raise FileRefused("xml", "The file is XML: open it in Excel and save it as .xlsx or CSV.")
    if words.startswith((b"{", b"[{")):
        raise FileRefused("json", "The file is JSON, not a table: export it as CSV or Excel instead.")
    if b"\0" in start and not start.startswith(_UTF16):
        raise FileRefused("not_a_table", "The file is neither text nor a workbook of Excel.")
