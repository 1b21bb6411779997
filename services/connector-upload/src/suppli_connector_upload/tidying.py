"""Deletes files whose time is over, and what never arrived as a whole."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import sqlalchemy.exc
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.logs import get_logger
from suppli_service_kit.waiting import wait_or_stop

from suppli_connector_upload.adapters.files import FileStore
from suppli_connector_upload.adapters.uploads import UploadBook, due

log = get_logger(__name__)

EVERY_SECONDS = 300.0
AGAIN = timedelta(days=1)
_AT_ONCE = 20


class Tidier:
    """Looks for what is due, across tenants by ids alone, and deletes it in each tenant's own transaction."""

    def __init__(self, book: UploadBook, files: FileStore, queue_database: Database, *, clock: Clock) -> None:
        self._book, self._files, self._queue, self._clock = book, files, queue_database, clock

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy until `stop`; replicas may do the same at once."""
        while not stop.is_set():
            try:
                while await self.once():
                    continue
            except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
                log.warning("tidying_failed", error=type(error).__name__)
            await wait_or_stop(stop, EVERY_SECONDS)

    async def once(self) -> int:
        """Tidy what is due now; return how many files it was."""
        found = await due(self._queue, self._clock.now(), most=_AT_ONCE)
        for tenant_id, upload_id in found:
            await self._tidy(tenant_id, upload_id)
        return len(found)

    async def _tidy(self, tenant_id: UUID, upload_id: UUID) -> None:
        upload = await self._book.find(tenant_id, upload_id)
        if upload is None or upload.version_us is None:  # never arrived, or nobody imported it
            await self._files.drop(tenant_id, upload_id)
            await self._book.discard(tenant_id, upload_id)
            return
        if await self._book.is_needed(upload):
            await self._book.tidy_later(upload, self._clock.now() + AGAIN)
            return
        await self._files.drop(tenant_id, upload_id)
        await self._book.file_deleted(tenant_id, upload_id)
