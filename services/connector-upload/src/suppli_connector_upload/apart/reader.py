"""Asks a process of its own to read a file, and gives what it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from suppli_connector_upload.adapters.files import FileStore
from suppli_connector_upload.apart.frames import (
    DECODER,
    LENGTH,
    LONGEST,
    Ask,
    End,
    Found,
    Frame,
    Looked,
    Refused,
)
from suppli_connector_upload.domain.detected import Detected
from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.domain.looks import Look
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.records import UploadRecord

_PREFIX = "suppli-upload-"
_STOP_SECONDS = 5.0
_BUFFER_BYTES = (
    2 << 20
)  # a frame of sales is mostly less: it comes at once, and the reader is one or two ahead
# Where the code is, and nothing else of ours: no secret is any file's business.
_ENVIRONMENT = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}


class ReaderFailed(Exception):
    """The process ended without having said all: not the file's fault as far as it told."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file on a disk, in a folder of its own."""

    path: Path
    folder: Path


class Reader:
    """Reads stored files."""

    def __init__(self, files: FileStore, *, folder: Path, memory_mb: int) -> None:
        """Prepare.

        Args:
            files: where files are.
            folder: on a disk, for files while they are read.
            memory_mb: most address space of a reading process.
        """
        self._files, self._folder, self._memory = files, folder, memory_mb * 1_000_000

    def tidy(self) -> None:
        """Delete what processes left in the folder that are no more."""
        for left in self._folder.glob(f"{_PREFIX}*"):
            pid = left.name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
                shutil.rmtree(left, ignore_errors=True)

    @asynccontextmanager
    async def open(self, upload: UploadRecord) -> AsyncIterator[OpenFile]:
        """Have a stored file on the disk for a while.

        Raises:
            FileGone: it is not kept any more.
        """
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._folder))
        try:
            path = folder / "file"
            await self._files.copy_to(path, upload.tenant_id, upload.upload_id, upload.chunks)
            yield OpenFile(path, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def detect(self, file: OpenFile, answers: Mapping[str, str]) -> Detected:
        """Return what the file seems to be by what a person says of it; raises `FileRefused`,
        `ReaderFailed`.
        """
        async for frame in self._frames(file, None, looking=True, answers=answers):
            if isinstance(frame, Found):
                return frame.detected
        raise ReaderFailed

    async def look(self, file: OpenFile, plan: Plan) -> Look:
        """Return what all of the file is; raises `FileRefused`, `ReaderFailed`."""
        async for frame in self._frames(file, plan, looking=True):
            if isinstance(frame, Looked):
                return frame.look
        raise ReaderFailed

    async def read(self, file: OpenFile, plan: Plan) -> AsyncIterator[Frame]:
        """Yield errors, then sales, as frames; the last one is an `End`.

        Raises:
            FileRefused: it cannot be read on.
            ReaderFailed: the process broke off.
        """
        async for frame in self._frames(file, plan, looking=False):
            yield frame
            if isinstance(frame, End):
                return
        raise ReaderFailed

    async def _frames(
        self, file: OpenFile, plan: Plan | None, *, looking: bool, answers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Frame]:
        ask = Ask(
            path=str(file.path),
            folder=str(file.folder),
            plan=plan,
            answers=dict(answers or {}),
            looking=looking,
            memory=self._memory,
            parent=os.getpid(),
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-s",
            "-m",
            "suppli_connector_upload.apart.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            limit=_BUFFER_BYTES,
        )
        try:
            if process.stdin is None or process.stdout is None:
                raise ReaderFailed
            process.stdin.write(msgspec.json.encode(ask))
            process.stdin.close()
            while (frame := await _next(process.stdout)) is not None:
                if isinstance(frame, Refused):
                    raise FileRefused(frame.refusal.code, frame.refusal.reason)
                yield frame
        finally:
            await _end(process)


async def _next(stream: asyncio.StreamReader) -> Frame | None:
    try:
        length = int.from_bytes(await stream.readexactly(LENGTH), "little")
        if length > LONGEST:
            raise ReaderFailed(f"a frame of {length} bytes")
        frame: Frame = DECODER.decode(await stream.readexactly(length))
    except asyncio.IncompleteReadError:
        return None
    return frame


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    async with asyncio.timeout(_STOP_SECONDS):
        await process.wait()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
