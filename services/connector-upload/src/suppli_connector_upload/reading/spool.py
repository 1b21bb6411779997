"""Records on disk, by key: what is put aside while a file is read, and is gone with the process."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec

from suppli_connector_upload.reading.limits import MIB

_HELD_BYTES = 4 * MIB
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class DiskSpool:
    """A spool in one file without a name: the system removes it, whatever becomes of us.

    Records gather in memory, and go to the file in chunks, each of one key.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Make an empty spool in `folder`; None = where the system keeps temporary files."""
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._held: dict[int, list[bytes]] = {}
        self._held_bytes = 0
        self._chunks: dict[int, array[int]] = {}
        self._counts: dict[int, int] = {}
        self._end = 0

    def __enter__(self) -> DiskSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, key: int, record: bytes) -> None:
        """Put a record aside."""
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = []
        held.append(record)
        self._held_bytes += len(record)
        if self._held_bytes >= _HELD_BYTES:
            self._write()

    def _write(self) -> None:
        chunks = []
        for key, records in self._held.items():
            chunk = _encode(records)
            self._chunks.setdefault(key, array("Q")).extend((self._end, len(chunk)))
            self._counts[key] = self._counts.get(key, 0) + len(records)
            self._end += len(chunk)
            chunks.append(chunk)
        whole = memoryview(b"".join(chunks))
        while whole:
            whole = whole[self._file.write(whole) or 0 :]
        self._held.clear()
        self._held_bytes = 0

    def known(self) -> list[int]:
        """Return the keys that have records, in ascending order."""
        return sorted(self._chunks.keys() | self._held.keys())

    def count(self, key: int) -> int:
        """Return how many records a key has."""
        return self._counts.get(key, 0) + len(self._held.get(key, ()))

    def records(self, key: int) -> Iterator[bytes]:
        """Return a key's records, in the sequence in which they came; `ValueError`: it is closed."""
        if self._file.closed:
            raise ValueError("the spool is closed: what was put aside is gone")
        chunks = self._chunks.get(key, array("Q"))
        for at in range(0, len(chunks), 2):
            self._file.seek(chunks[at])
            yield from _decode(self._read(chunks[at + 1]))
        yield from self._held.get(key, ())

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._file.read(size)
            if not part:
                raise OSError("the spool's file is shorter than what was written to it")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Give back file and memory."""
        self._file.close()
        self._held.clear()
