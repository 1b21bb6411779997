"""Uploaded files and what became of them: one row a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_connector_kit.domain.instants import to_us
from suppli_contracts.uploads import Till
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.ids import new_id

from suppli_connector_upload.adapters.files import CHUNK_BYTES, Stored
from suppli_connector_upload.domain.looks import Look
from suppli_connector_upload.domain.records import Counts, UploadRecord

RECEIVING = timedelta(hours=2)  # how long a file may take to arrive; what is left of it then is tidied away
UNUSED = timedelta(days=7)  # how long a file is kept that nobody imports
LOOKING_SECONDS = 30.0  # how long a look is somebody's without a sign of life

COLUMNS = """
    u.upload_id, u.tenant_id, u.created_at, u.created_by, u.file_name, u.size, u.sha256, u.chunks,
    u.keep_until, u.file_deleted_at, u.state, u.problem, u.look_revision, u.detected, u.answers, u.plan,
    u.look, u.till, u.connection_id, u.adding, u.version_us, u.undo_us, u.run_id, u.sales_done, u.counts,
    u.finished_at, u.reach, u.ending, u.settled, r.state as run_state
"""
FROM = "from uploads u left join runs r on r.run_id = u.run_id"
_ADD = sa.text("""
    insert into uploads (upload_id, tenant_id, created_at, created_by, request_hash, file_name, chunk_bytes,
        keep_until, state)
    values (:upload, :tenant, :at, :actor, :request, :name, :chunk, :keep, 'receiving')
    on conflict (tenant_id, request_hash) where request_hash is not null do nothing returning upload_id
""")
_SENT_BEFORE = sa.text("select upload_id, state from uploads where request_hash = :request")
_RECEIVED = sa.text("""
    update uploads set size = :size, sha256 = :sha256, chunks = :chunks, state = 'looking', look_revision = 1
    where upload_id = :upload and state = 'receiving'
""")
_ONE = sa.text(f"select {COLUMNS} {FROM} where u.upload_id = :upload")
_LOCKED = sa.text(f"select {COLUMNS} {FROM} where u.upload_id = :upload for update of u")
_NEWEST = sa.text(f"""
    select {COLUMNS} {FROM} where u.state <> 'receiving'
    and (cast(:before as uuid) is null or u.upload_id < :before) order by u.upload_id desc limit :most
""")
_SAME = sa.text("""
    select upload_id from uploads
    where sha256 = :sha256 and upload_id <> :upload and state = 'imported'
    order by upload_id desc limit 1
""")
_TIDY_AT = sa.text("""
    insert into upload_times (upload_id, tenant_id, tidy_at) values (:upload, :tenant, :at)
    on conflict (upload_id) do update set tidy_at = excluded.tidy_at
""")
_TAKE_LOOK = sa.text("""
    update uploads set looking_until = clock_timestamp() + make_interval(secs => :seconds)
    where upload_id = :upload and state = 'looking' and looking_until <= clock_timestamp()
    returning look_revision
""")
_KEEP_LOOK = sa.text("""
    update uploads set looking_until = clock_timestamp() + make_interval(secs => :seconds)
    where upload_id = :upload and state = 'looking' and look_revision = :revision returning upload_id
""")
_LOOKED = sa.text("""
    update uploads set state = :state, problem = :problem, detected = coalesce(:detected, detected),
        answers = :answers, look = :look, looking_until = '-infinity'
    where upload_id = :upload and state = 'looking' and look_revision = :revision returning upload_id
""")
_LET_LOOK_GO = sa.text("""
    update uploads set looking_until = '-infinity' where upload_id = :upload and look_revision = :revision
""")
_PLANNED = sa.text("""
    update uploads set state = 'looking', look_revision = look_revision + 1, looking_until = '-infinity',
        answers = :answers, plan = :plan, till = :till, connection_id = :connection, adding = :adding,
        look = null, problem = null
    where upload_id = :upload
""")
_TOLD = sa.text("""
    update uploads set till = :till, connection_id = :connection, adding = :adding where upload_id = :upload
""")
_NEXT_VERSION = """greatest(cast(:version as bigint), (
    select coalesce(max(greatest(version_us, undo_us)), 0) + 1 from uploads where connection_id = :connection
))"""
_WAIT_FOR_IMPORT = sa.text(f"""
    update uploads set state = 'waiting', connection_id = :connection, run_id = null, sales_done = 0,
        counts = null, finished_at = null, problem = null, keep_until = :keep, version_us = {_NEXT_VERSION}
    where upload_id = :upload
""")
_WAIT_FOR_UNDO = sa.text(f"""
    update uploads set state = 'undo_waiting', run_id = null, counts = null, finished_at = null,
        problem = null, undo_us = {_NEXT_VERSION}
    where upload_id = :upload
""")
_TOLD_RUN = sa.text("""
    update uploads set run_id = :run where upload_id = :upload and state in ('waiting', 'undo_waiting')
""")
_DISCARD = sa.text("delete from uploads where upload_id = :upload")
_REMEMBER = sa.text("""
    insert into layouts (tenant_id, shape, plan, used_at) values (:tenant, :shape, :answers, :at)
    on conflict (tenant_id, shape) do update set plan = excluded.plan, used_at = excluded.used_at
""")
_REMEMBERED = sa.text("select plan from layouts where shape = :shape")
# A later file of the till may be taken back: then what this one says is needed again.
_NEEDED = sa.text("""
    select 1 from uploads
    where upload_id = :upload and state in ('waiting', 'importing', 'undo_waiting', 'undoing')
    union all
    select 1 from uploads
    where connection_id = :connection and upload_id <> :upload and version_us > :version and keep_until > :now
    limit 1
""")
_FILE_DELETED = sa.text("update uploads set file_deleted_at = :at where upload_id = :upload")


class UploadBook:
    """Reads and writes uploads; each method is one transaction of the tenant, or a part of its caller's."""

    def __init__(self, database: Database, *, clock: Clock, keep: timedelta) -> None:
        """Prepare; `keep` is how long a file is kept that was imported."""
        self._database, self._clock, self._keep = database, clock, keep

    # --- arriving -----------------------------------------------------------------------------

    async def add(self, tenant_id: UUID, *, name: str, actor: str, request: bytes | None) -> UUID | None:
        """Begin a file; None where the request was made before, see `sent_before`."""
        upload_id, now = new_id(), self._clock.now()
        values = {
            "upload": upload_id,
            "tenant": tenant_id,
            "at": now,
            "actor": actor,
            "request": request,
            "name": name,
            "chunk": CHUNK_BYTES,
            "keep": now + UNUSED,
        }
        async with self._database.transaction([tenant_id]) as connection:
            if (await connection.execute(_ADD, values)).first() is None:
                return None
            await self._tidy_at(connection, tenant_id, upload_id, now + RECEIVING)
        return upload_id

    async def sent_before(self, tenant_id: UUID, request: bytes) -> tuple[UUID, str] | None:
        """Return the upload that a request with this hash began, and its state."""
        async with self._database.transaction([tenant_id]) as connection:
            row = (await connection.execute(_SENT_BEFORE, {"request": request})).first()
        return None if row is None else (row.upload_id, row.state)

    async def received(self, tenant_id: UUID, upload_id: UUID, stored: Stored) -> None:
        """Note that a file is here as a whole; it is to be looked at."""
        values = {
            "upload": upload_id,
            "size": stored.size,
            "sha256": stored.sha256,
            "chunks": stored.chunks,
        }
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_RECEIVED, values)
            await self._tidy_at(connection, tenant_id, upload_id, self._clock.now() + UNUSED)

    async def discard(self, tenant_id: UUID, upload_id: UUID) -> None:
        """Forget a file; its chunks are dropped apart."""
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_DISCARD, {"upload": upload_id})
            for table in ("upload_errors", "upload_times"):
                await connection.execute(
                    sa.text(f"delete from {table} where upload_id = :upload"), {"upload": upload_id}
                )

    # --- showing ------------------------------------------------------------------------------

    async def find(self, tenant_id: UUID, upload_id: UUID) -> UploadRecord | None:
        """Return a file that arrived, None where there is none of the tenant's."""
        async with self._database.transaction([tenant_id]) as connection:
            return await self.read(connection, upload_id)

    async def read(
        self, connection: AsyncConnection, upload_id: UUID, *, lock: bool = False
    ) -> UploadRecord | None:
        """Return a file that arrived, within the caller's transaction."""
        query = _LOCKED if lock else _ONE
        row = (await connection.execute(query, {"upload": upload_id})).first()
        return None if row is None or row.state == "receiving" else record_of(row)

    async def newest(self, tenant_id: UUID, *, before: UUID | None, most: int) -> list[UploadRecord]:
        """Return files, newest first, beginning behind `before`."""
        async with self._database.transaction([tenant_id]) as connection:
            rows = (await connection.execute(_NEWEST, {"before": before, "most": most})).all()
        return [record_of(row) for row in rows]

    async def same_as(self, upload: UploadRecord) -> UUID | None:
        """Return the newest imported file with the same bytes."""
        async with self._database.transaction([upload.tenant_id]) as connection:
            values = {"sha256": upload.sha256, "upload": upload.upload_id}
            found: UUID | None = (await connection.execute(_SAME, values)).scalar_one_or_none()
            return found

    # --- looking ------------------------------------------------------------------------------

    async def take_look(self, tenant_id: UUID, upload_id: UUID) -> int | None:
        """Take the look at a file that waits for one; None where somebody has it, or none is wanted."""
        async with self._database.transaction([tenant_id]) as connection:
            values = {"upload": upload_id, "seconds": LOOKING_SECONDS}
            found: int | None = (await connection.execute(_TAKE_LOOK, values)).scalar_one_or_none()
            return found

    async def keep_look(self, tenant_id: UUID, upload_id: UUID, revision: int) -> bool:
        """Prolong a look; False where it is wanted no more."""
        async with self._database.transaction([tenant_id]) as connection:
            values = {"upload": upload_id, "seconds": LOOKING_SECONDS, "revision": revision}
            return (await connection.execute(_KEEP_LOOK, values)).first() is not None

    async def let_look_go(self, tenant_id: UUID, upload_id: UUID, revision: int) -> None:
        """Leave a look to whoever asks next."""
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_LET_LOOK_GO, {"upload": upload_id, "revision": revision})

    async def looked(
        self,
        upload: UploadRecord,
        *,
        state: str,
        detected: bytes | None = None,
        answers: dict[str, str] | None = None,
        look: Look | None = None,
        problem: bytes | None = None,
    ) -> None:
        """Record what a look found, unless another one is wanted by now."""
        values = {
            "upload": upload.upload_id,
            "revision": upload.look_revision,
            "state": state,
            "problem": problem,
            "detected": detected,
            "answers": msgspec.json.encode(upload.answers if answers is None else answers),
            "look": None if look is None else msgspec.json.encode(look),
        }
        async with self._database.transaction([upload.tenant_id]) as connection:
            await connection.execute(_LOOKED, values)

    async def remembered(self, tenant_id: UUID, fingerprint: str) -> dict[str, str]:
        """Return what was answered for the last imported file of these columns."""
        async with self._database.transaction([tenant_id]) as connection:
            found = (await connection.execute(_REMEMBERED, {"shape": fingerprint})).scalar_one_or_none()
        return {} if found is None else msgspec.json.decode(found, type=dict[str, str])

    # --- deciding (parts of the caller's transaction) ------------------------------------------

    async def planned(
        self,
        connection: AsyncConnection,
        upload: UploadRecord,
        *,
        answers: dict[str, str],
        plan: bytes | None,
        till: Till | None,
        connection_id: UUID | None,
        adding: bool,
    ) -> None:
        """Note what a person confirmed; the file is looked at anew where that changes how it is read."""
        values: dict[str, Any] = {
            "upload": upload.upload_id,
            "till": None if till is None else msgspec.json.encode(till),
            "connection": connection_id,
            "adding": adding,
        }
        if plan is not None and upload.look is not None and upload.plan_bytes == plan:
            await connection.execute(_TOLD, values)
            return
        values |= {"answers": msgspec.json.encode(answers), "plan": plan}
        await connection.execute(_PLANNED, values)

    async def wait_for_import(
        self, connection: AsyncConnection, upload: UploadRecord, connection_id: UUID
    ) -> None:
        """Let the next run of the till import the file."""
        keep = upload.created_at + self._keep
        values = self._version(upload, connection_id) | {"keep": keep}
        await connection.execute(_WAIT_FOR_IMPORT, values)
        await self._tidy_at(connection, upload.tenant_id, upload.upload_id, keep)

    async def wait_for_undo(
        self, connection: AsyncConnection, upload: UploadRecord, connection_id: UUID
    ) -> None:
        """Let the next run of the till take the import back."""
        await connection.execute(_WAIT_FOR_UNDO, self._version(upload, connection_id))

    def _version(self, upload: UploadRecord, connection_id: UUID) -> dict[str, Any]:
        # An action's version is its instant, but always greater than that of the till's action before it.
        now_us = to_us(self._clock.now())
        return {"upload": upload.upload_id, "connection": connection_id, "version": now_us}

    async def remember(self, connection: AsyncConnection, upload: UploadRecord) -> None:
        """Keep what was answered, for the next file of these columns."""
        if upload.detected is None:
            return
        values = {
            "tenant": upload.tenant_id,
            "shape": upload.detected.fingerprint,
            "answers": msgspec.json.encode(upload.answers),
            "at": self._clock.now(),
        }
        await connection.execute(_REMEMBER, values)

    async def told_run(self, tenant_id: UUID, upload_id: UUID, run_id: UUID) -> None:
        """Note which run will do it, unless one does already."""
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_TOLD_RUN, {"upload": upload_id, "run": run_id})

    async def file_deleted(self, tenant_id: UUID, upload_id: UUID) -> None:
        """Note that only the result is left of a file."""
        async with self._database.transaction([tenant_id]) as connection:
            await connection.execute(_FILE_DELETED, {"upload": upload_id, "at": self._clock.now()})
            await connection.execute(
                sa.text("delete from upload_times where upload_id = :upload"), {"upload": upload_id}
            )

    async def is_needed(self, upload: UploadRecord) -> bool:
        """Return whether the file is read once more, now or when a later one is taken back."""
        values = {
            "upload": upload.upload_id,
            "connection": upload.connection_id,
            "version": upload.version_us,
            "now": self._clock.now(),
        }
        async with self._database.transaction([upload.tenant_id]) as connection:
            return (await connection.execute(_NEEDED, values)).first() is not None

    async def tidy_later(self, upload: UploadRecord, at: datetime) -> None:
        """Look again at a time whether the file is to be deleted."""
        async with self._database.transaction([upload.tenant_id]) as connection:
            await self._tidy_at(connection, upload.tenant_id, upload.upload_id, at)

    async def _tidy_at(
        self, connection: AsyncConnection, tenant_id: UUID, upload_id: UUID, at: datetime
    ) -> None:
        await connection.execute(_TIDY_AT, {"upload": upload_id, "tenant": tenant_id, "at": at})


def record_of(row: sa.Row[Any]) -> UploadRecord:
    """Return a file's row as a value."""
    return UploadRecord.of(row._mapping)


def counts_of(stored: bytes | None) -> Counts:
    """Return what an import has done so far."""
    return Counts() if stored is None else msgspec.json.decode(stored, type=Counts)


async def due(queue_database: Database, now: datetime, *, most: int) -> Sequence[tuple[UUID, UUID]]:
    """Return (tenant, upload) of files whose time has come, across tenants: ids only."""
    query = sa.text(
        "select tenant_id, upload_id from upload_times where tidy_at <= :at order by tidy_at limit :most"
    )
    async with queue_database.transaction() as connection:
        rows = (await connection.execute(query, {"most": most, "at": now})).all()
    return [(row.tenant_id, row.upload_id) for row in rows]
