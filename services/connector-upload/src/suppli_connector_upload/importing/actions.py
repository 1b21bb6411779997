"""What waits to be done for a till: imports, and imports to take back; parts of a held run's transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from suppli_connector_kit.adapters.hold import Hold
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database

from suppli_connector_upload.adapters.held import IN_FLIGHT
from suppli_connector_upload.adapters.uploads import COLUMNS, FROM, record_of
from suppli_connector_upload.domain.detected import Refusal
from suppli_connector_upload.domain.records import Counts, UploadRecord

# A run that was cancelled before it began took what it was asked for with it.
_NEXT = sa.text(f"""
    select {COLUMNS} {FROM}
    where u.connection_id = :connection and u.state in ('waiting', 'importing', 'undo_waiting', 'undoing')
    and (u.run_id is null or u.run_id = :run or r.state is null or r.state not in ('cancelled', 'failed'))
    order by greatest(u.version_us, u.undo_us) limit 1
""")
_BEGIN = sa.text("""
    update uploads set state = :state, run_id = :run where upload_id = :upload
""")
_BEGIN_IMPORT = sa.text("""
    update uploads set state = 'importing', run_id = :run, settled = false, reach = greatest(reach, :reach)
    where upload_id = :upload
""")
_ENDING = sa.text("update uploads set ending = true where upload_id = :upload")
_DONE = sa.text("""
    update uploads set state = :state, problem = :problem, counts = :counts, finished_at = :at,
        settled = settled or :state = 'imported'
    where upload_id = :upload
""")
# One that is to be imported again says everything again, under its next version.
_BROKEN_OFF = sa.text(f"""
    select {COLUMNS} {FROM}
    where u.connection_id = :connection and not u.settled and u.state <> 'waiting'
    and (u.state <> 'importing' or (u.run_id <> :run and r.state in ('cancelled', 'failed')))
""")
_SETTLED = sa.text("update uploads set settled = true where upload_id = :upload")
# Those that still say something of the till: imported, or left in the middle.
_SAYING = sa.text(f"""
    select {COLUMNS} {FROM}
    where u.connection_id = :connection and u.upload_id <> :upload and u.version_us is not null
    and u.state in ('imported', 'importing') order by u.version_us desc
""")


class Actions:
    """Reads and ends what waits for one till, under the lease of a run."""

    def __init__(self, database: Database, hold: Hold, *, clock: Clock) -> None:
        self._database, self._hold, self._clock = database, hold, clock
        self._tenant = hold.command.tenant_id
        self._ids: dict[str, Any] = {
            "connection": hold.command.connection_id,
            "run": hold.command.run_id,
        }

    async def next(self) -> UploadRecord | None:
        """Return the file that is next, in the sequence in which people decided; None = nothing waits."""
        rows = await self._read(_NEXT)
        return record_of(rows[0]) if rows else None

    async def saying(self, upload_id: UUID) -> list[UploadRecord]:
        """Return the other files that say something of the till, newest first."""
        return [record_of(row) for row in await self._read(_SAYING, upload=upload_id)]

    async def broken_off(self) -> list[UploadRecord]:
        """Return the files whose import ended in the middle, so that they may have said what nobody knows."""
        return [record_of(row) for row in await self._read(_BROKEN_OFF)]

    async def begin_import(self, upload: UploadRecord) -> None:
        """Note that this run imports it; raises `LeaseLost`."""
        await self._note(_BEGIN_IMPORT, upload, reach=IN_FLIGHT)

    async def begin_undo(self, upload: UploadRecord) -> None:
        """Note that this run takes its import back; raises `LeaseLost`."""
        await self._note(_BEGIN, upload, state="undoing")

    async def ending(self, upload: UploadRecord) -> None:
        """Note that orders which it has not are being ended; raises `LeaseLost`."""
        await self._note(_ENDING, upload)

    async def settled(self, upload: UploadRecord) -> None:
        """Note that what it may have said is known; raises `LeaseLost`."""
        await self._note(_SETTLED, upload)

    async def _note(self, statement: sa.TextClause, upload: UploadRecord, **values: Any) -> None:
        async with self._hold.fenced() as connection:
            await connection.execute(statement, self._ids | {"upload": upload.upload_id} | values)

    async def done(
        self, upload: UploadRecord, state: str, counts: Counts, *, problem: Refusal | None = None
    ) -> None:
        """Note how it ended; raises `LeaseLost`."""
        async with self._hold.fenced() as connection:
            values = {
                "upload": upload.upload_id,
                "state": state,
                "problem": None if problem is None else msgspec.json.encode(problem),
                "counts": msgspec.json.encode(counts),
                "at": self._clock.now(),
            }
            await connection.execute(_DONE, values)

    async def _read(self, statement: sa.TextClause, **values: Any) -> Sequence[sa.Row[Any]]:
        async with self._database.transaction([self._tenant]) as connection:
            return (await connection.execute(statement, self._ids | values)).all()
