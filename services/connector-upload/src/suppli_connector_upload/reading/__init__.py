"""Bytes to rows, streamed: text files and workbooks."""

from suppli_connector_upload.reading.limits import Limits
from suppli_connector_upload.reading.rows import open_rows, take_sample
from suppli_connector_upload.reading.spool import DiskSpool

__all__ = ["DiskSpool", "Limits", "open_rows", "take_sample"]
