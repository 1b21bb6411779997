"""Looks at files for people: what they seem to be, and what they are by a plan. Nothing is imported."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
from suppli_service_kit.logs import get_logger

from suppli_connector_upload.adapters.files import FileGone
from suppli_connector_upload.adapters.uploads import LOOKING_SECONDS, UploadBook
from suppli_connector_upload.apart.reader import OpenFile, Reader, ReaderFailed
from suppli_connector_upload.domain.detected import Detected, Refusal
from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.domain.planning import suggested
from suppli_connector_upload.domain.records import UploadRecord

log = get_logger(__name__)

_RENEWALS = 3  # in the time that a look is somebody's without a sign of life


class Looker:
    """Does looks beside requests; one that was left in the middle is taken up when somebody asks again."""

    def __init__(self, book: UploadBook, reader: Reader, *, at_once: int) -> None:
        """Prepare; `at_once` bounds how many files are read in this process."""
        self._book, self._reader = book, reader
        self._slots = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, tenant_id: UUID, upload_id: UUID) -> None:
        """Look at a file that waits for it, unless somebody does."""
        task = asyncio.create_task(self._take(tenant_id, upload_id), name="look")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Leave what is not looked at to another process."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("look_failed", error=type(error).__name__, exc_info=error)

    async def _take(self, tenant_id: UUID, upload_id: UUID) -> None:
        async with self._slots:
            revision = await self._book.take_look(tenant_id, upload_id)
            if revision is None:
                return
            try:
                upload = await self._book.find(tenant_id, upload_id)
                if upload is not None:
                    await self._beside_renewal(upload)
            finally:
                await asyncio.shield(self._book.let_look_go(tenant_id, upload_id, revision))

    async def _beside_renewal(self, upload: UploadRecord) -> None:
        looking = asyncio.ensure_future(self._look(upload))
        try:
            while not looking.done():
                await asyncio.wait({looking}, timeout=LOOKING_SECONDS / _RENEWALS)
                if not looking.done() and not await self._book.keep_look(
                    upload.tenant_id, upload.upload_id, upload.look_revision
                ):
                    return  # it is to be read otherwise by now
            looking.result()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self, upload: UploadRecord) -> None:
        try:
            async with self._reader.open(upload) as file:
                await self._read(upload, file)
        except FileRefused as refused:
            await self._refuse(upload, Refusal(code=refused.code, reason=refused.reason))
        except FileGone:
            await self._refuse(upload, Refusal(code="file_deleted", reason="The file is no longer kept."))
        except ReaderFailed:
            log.exception("reader_failed", upload=str(upload.upload_id))
            reason = "Reading the file failed on our side; say that it is to be read once more, or tell us."
            await self._refuse(upload, Refusal(code="reader_failed", reason=reason))

    async def _read(self, upload: UploadRecord, file: OpenFile) -> None:
        if upload.plan is not None:
            look = await self._reader.look(file, upload.plan)
            await self._book.looked(upload, state="ready", look=look)
            return
        detected = await self._reader.detect(file, upload.answers)
        if detected.refusal is not None:
            await self._refuse(upload, detected.refusal, detected)
            return
        remembered = await self._book.remembered(upload.tenant_id, detected.fingerprint)
        await self._book.looked(
            upload,
            state="asking",
            detected=msgspec.json.encode(detected),
            answers={**suggested(detected, remembered), **upload.answers},
        )

    async def _refuse(self, upload: UploadRecord, refusal: Refusal, detected: Detected | None = None) -> None:
        await self._book.looked(
            upload,
            state="refused",
            problem=msgspec.json.encode(refusal),
            detected=None if detected is None else msgspec.json.encode(detected),
        )
