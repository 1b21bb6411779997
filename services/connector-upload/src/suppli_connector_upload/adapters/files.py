"""Files in the database: packed, in chunks, so that any replica reads them and a kill loses nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import cramjam
import sqlalchemy as sa
from suppli_service_kit.database import Database

CHUNK_BYTES = 1 << 20
_LEVEL = 3

_PUT = sa.text("""
    insert into upload_chunks (upload_id, number, tenant_id, packed)
    values (:upload, :number, :tenant, :packed)
""")
_GET = sa.text("select packed from upload_chunks where upload_id = :upload and number = :number")
_DROP = sa.text("delete from upload_chunks where upload_id = :upload")


class FileTooLarge(Exception):
    """More was sent than is taken."""


class FileGone(Exception):
    """The file is not kept any more."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that was written: its size in bytes, its SHA-256 and the number of its chunks."""

    size: int
    sha256: bytes
    chunks: int


class FileStore:
    """Writes and reads the bytes of files, a chunk at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self, tenant_id: UUID, upload_id: UUID, blocks: AsyncIterator[bytes], *, most: int
    ) -> Stored:
        """Store what comes, in as little memory as a chunk takes.

        Raises:
            FileTooLarge: it is more than `most` bytes; what was written is to be dropped.
        """
        digest, size, number = hashlib.sha256(), 0, 0
        waiting = bytearray()
        async for block in blocks:
            size += len(block)
            if size > most:
                raise FileTooLarge
            digest.update(block)
            waiting += block
            while len(waiting) >= CHUNK_BYTES:
                await self._put(tenant_id, upload_id, number, bytes(waiting[:CHUNK_BYTES]))
                del waiting[:CHUNK_BYTES]
                number += 1
        if waiting:
            await self._put(tenant_id, upload_id, number, bytes(waiting))
            number += 1
        return Stored(size, digest.digest(), number)

    async def copy_to(self, path: Path, tenant_id: UUID, upload_id: UUID, chunks: int) -> None:
        """Write the file to a disk.

        Raises:
            FileGone: a chunk is missing.
        """
        with path.open("wb") as target:
            for number in range(chunks):
                await asyncio.to_thread(target.write, await self._get(tenant_id, upload_id, number))

    async def drop(self, tenant_id: UUID, upload_id: UUID) -> None:
        """Delete the file's bytes."""
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_DROP, {"upload": upload_id})

    async def _put(self, tenant_id: UUID, upload_id: UUID, number: int, chunk: bytes) -> None:
        packed = await asyncio.to_thread(_pack, chunk)
        values = {"upload": upload_id, "number": number, "tenant": tenant_id, "packed": packed}
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_PUT, values)

    async def _get(self, tenant_id: UUID, upload_id: UUID, number: int) -> bytes:
        async with self._database.transaction([tenant_id]) as connection:
            asked = {"upload": upload_id, "number": number}
            packed = (await connection.execute(_GET, asked)).scalar_one_or_none()
        if packed is None:
            raise FileGone
        return await asyncio.to_thread(_unpack, packed)


def _pack(chunk: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(chunk, _LEVEL))


def _unpack(packed: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(packed))
