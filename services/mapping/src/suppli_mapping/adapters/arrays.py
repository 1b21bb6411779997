"""Columns of values as PostgreSQL arrays in binary form, encoded in one go.

psycopg adapts lists value by value in Python; a batch has tens of thousands of values, and this is several
times faster. Format: `array_recv` of PostgreSQL's source, `src/backend/utils/adt/arrayfuncs.c`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_NULL = b"\xff\xff\xff\xff"
_length = struct.Struct(">i").pack
_head = struct.Struct(">iiIii").pack


class _Array:
    """An encoded array; its subclass says of what."""

    __slots__ = ("data",)

    oid = 0
    array_oid = 0

    def __init__(self, count: int, body: bytes, *, nulls: bool = False) -> None:
        self.data = _head(1, int(nulls), self.oid, count, 1) + body


class _BigintArray(_Array):
    __slots__ = ()
    oid, array_oid = 20, 1016


class _IntegerArray(_Array):
    __slots__ = ()
    oid, array_oid = 23, 1007


class _TextArray(_Array):
    __slots__ = ()
    oid, array_oid = 25, 1009


class _UuidArray(_Array):
    __slots__ = ()
    oid, array_oid = 2950, 2951


class _DateArray(_Array):
    __slots__ = ()
    oid, array_oid = 1082, 1182


class _InstantArray(_Array):
    __slots__ = ()
    oid, array_oid = 1184, 1185


def bigints(values: Sequence[int]) -> Any:
    """Return a `bigint[]`."""
    return _BigintArray(len(values), _packed("q", 8, values))


def integers(values: Sequence[int]) -> Any:
    """Return an `integer[]`."""
    return _IntegerArray(len(values), _packed("i", 4, values))


def dates(values: Sequence[date]) -> Any:
    """Return a `date[]`."""
    return _DateArray(len(values), _packed("i", 4, [value.toordinal() - _EPOCH_DAY for value in values]))


def instants(values: Sequence[datetime]) -> Any:
    """Return a `timestamptz[]` of aware instants."""
    return _InstantArray(len(values), _packed("q", 8, [(value - _EPOCH) // _MICROSECOND for value in values]))


def uuids(values: Iterable[UUID]) -> Any:
    """Return a `uuid[]`."""
    encoded = []
    previous, raw = None, b""
    for value in values:
        if value is not previous:  # the lines of an order share theirs
            previous, raw = value, value.int.to_bytes(16)
        encoded.append(raw)
    prefix = _length(16)
    return _UuidArray(len(encoded), prefix + prefix.join(encoded) if encoded else b"")


def uuid_texts(values: Sequence[str]) -> Any:
    """Return a `uuid[]` of ids in their usual form."""
    raw = bytes.fromhex("".join(values).replace("-", ""))
    prefix = _length(16)
    return _UuidArray(
        len(values), b"".join([prefix + raw[first : first + 16] for first in range(0, len(raw), 16)])
    )


def texts(values: Iterable[str | None]) -> Any:
    """Return a `text[]`. Values repeat a lot within a column, so each is encoded once."""
    known = _EncodedTexts()
    encoded = [known[value] for value in values]
    return _TextArray(len(encoded), b"".join(encoded), nulls=True)


class _EncodedTexts(dict[str | None, bytes]):
    def __missing__(self, value: str | None) -> bytes:
        if value is None:
            encoded = _NULL
        else:
            raw = value.replace("\x00", "").encode()  # PostgreSQL has no NUL in text
            encoded = _length(len(raw)) + raw
        self[value] = encoded
        return encoded


def _packed(code: str, size: int, values: Sequence[int]) -> bytes:
    interleaved = [size] * (2 * len(values))
    interleaved[1::2] = values
    return struct.pack(">" + f"i{code}" * len(values), *interleaved)


def _register(kind: type[_Array]) -> None:
    class _Dumper(Dumper):
        format = Format.BINARY
        oid = kind.array_oid

        def dump(self, obj: Any) -> bytes:
            data: bytes = obj.data
            return data

    psycopg.adapters.register_dumper(kind, _Dumper)


for _kind in (_BigintArray, _IntegerArray, _TextArray, _UuidArray, _DateArray, _InstantArray):
    _register(_kind)
