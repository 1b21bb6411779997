"""What people do with files, one transaction each; the import itself is a run's work."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.uploads import Upload, UploadImport, UploadPage, UploadPlan, UploadState
from suppli_service_kit.database import Database
from suppli_service_kit.internal_api import Caller
from suppli_service_kit.problems import Problem

from suppli_connector_upload.adapters.files import FileStore, FileTooLarge
from suppli_connector_upload.adapters.held import held_by_day, read_errors
from suppli_connector_upload.adapters.uploads import UploadBook
from suppli_connector_upload.domain.detected import Detected
from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.domain.giving_out import errors_csv
from suppli_connector_upload.domain.outcomes import RowError
from suppli_connector_upload.domain.plan import PlanProblem
from suppli_connector_upload.domain.planning import plan_of, reads_elsewhere
from suppli_connector_upload.domain.records import Refused, UploadRecord
from suppli_connector_upload.domain.shown import days_of, shown
from suppli_connector_upload.looking import Looker

_NAME_LENGTH = 200
_ERRORS_AT_ONCE = 5_000


class Uploads:
    """The cases of use behind `/internal/v1/uploads`."""

    def __init__(
        self, database: Database, book: UploadBook, files: FileStore, looker: Looker, *, most: int
    ) -> None:
        """Prepare; `most` is how large a file may be (bytes)."""
        self._database, self._book, self._files, self._looker = database, book, files, looker
        self._most = most

    async def receive(
        self, caller: Caller, blocks: AsyncIterator[bytes], *, name: str, request: str | None
    ) -> Upload:
        """Store a file and have it looked at.

        Args:
            name: as the person's computer calls it; shown, never opened.
            request: the `Idempotency-Key`: sent again, the first file is returned.

        Raises:
            Problem: 413 too large, 422 empty, 409 the same request is still arriving.
        """
        key = None if request is None else _request_hash(caller, request)
        upload_id = await self._book.add(caller.tenant_id, name=_clean(name), actor=caller.actor, request=key)
        if upload_id is None:
            return await self._sent_before(caller, key)
        try:
            stored = await self._files.write(caller.tenant_id, upload_id, blocks, most=self._most)
        except BaseException as error:
            await self._forget(caller.tenant_id, upload_id)
            if isinstance(error, FileTooLarge):
                raise self._too_large() from None
            raise
        if not stored.size:
            await self._forget(caller.tenant_id, upload_id)
            raise Problem(422, "file-empty", "The file is empty", "Choose a file with sales in it.")
        await self._book.received(caller.tenant_id, upload_id, stored)
        self._looker.start(caller.tenant_id, upload_id)
        return await self.show(caller, upload_id)

    def _too_large(self) -> Problem:
        detail = f"At most {self._most:,} bytes are taken. Export a shorter time, or split the file."
        return Problem(413, "file-too-large", "The file is too large", detail)

    async def _sent_before(self, caller: Caller, request: bytes | None) -> Upload:
        known = None if request is None else await self._book.sent_before(caller.tenant_id, request)
        if known is None or known[1] == "receiving":
            raise Problem(
                409,
                "request-in-progress",
                "The request is being worked on",
                "The first request with this key is not done yet.",
                headers={"Retry-After": "1"},
            )
        return await self.show(caller, known[0])

    async def show(self, caller: Caller, upload_id: UUID) -> Upload:
        """Return a file with its preview and what the till holds of its days; raises `Problem` (404)."""
        upload = await self._find(caller, upload_id)
        if upload.state is UploadState.LOOKING:
            self._looker.start(caller.tenant_id, upload_id)  # if nobody does: its process may be gone
        held = {}
        days = days_of(upload.look) if upload.look is not None else None
        if days is not None and upload.connection_id is not None:
            held = await held_by_day(self._database, caller.tenant_id, upload.connection_id, days)
        return shown(upload, held=held, same_as=await self._book.same_as(upload))

    async def page(self, caller: Caller, *, before: UUID | None, most: int) -> UploadPage:
        """Return files, newest first."""
        found = await self._book.newest(caller.tenant_id, before=before, most=most)
        return UploadPage(uploads=tuple(shown(each, whole=False) for each in found))

    async def plan(self, caller: Caller, upload_id: UUID, asked: UploadPlan) -> Upload:
        """Take what a person confirmed, and have the file's totals made by it. Where the table is said to be
        elsewhere in the file, that is looked at first, and the rest is to be confirmed once more.

        Raises:
            Problem: 404; 409 it is being imported, or not looked at yet; 422 with every answer that is wrong.
        """
        async with self._database.transaction([caller.tenant_id]) as connection:
            upload = await self._locked(connection, upload_id)
            _check(upload.check_plan)
            if upload.detected is None or upload.detected.refusal is not None:
                raise _refusal(Refused("upload-not-looked-at", "It is not known yet what the file is."))
            answers = {**upload.answers, **asked.answers}
            await self._book.planned(
                connection,
                upload,
                answers=answers,
                plan=_plan(upload.detected, upload.answers, answers),
                till=asked.till,
                connection_id=asked.connection_id,
                adding=asked.adding,
            )
        self._looker.start(caller.tenant_id, upload_id)
        return await self.show(caller, upload_id)

    async def begin_import(self, caller: Caller, upload_id: UUID, asked: UploadImport) -> Upload:
        """Let the till's next run import the file. Asked again while it waits, nothing changes.

        Raises:
            Problem: 404; 409 it is not ready, imported already, or no longer kept.
        """
        async with self._database.transaction([caller.tenant_id]) as connection:
            upload = await self._locked(connection, upload_id)
            if upload.state not in (UploadState.WAITING, UploadState.IMPORTING):
                _check(upload.check_import)
                await self._book.wait_for_import(connection, upload, asked.connection_id)
                await self._book.remember(connection, upload)
        return await self.show(caller, upload_id)

    async def begin_undo(self, caller: Caller, upload_id: UUID) -> Upload:
        """Let the till's next run take the import back. Asked again while it waits, nothing changes.

        Raises:
            Problem: 404; 409 there is nothing to take back.
        """
        async with self._database.transaction([caller.tenant_id]) as connection:
            upload = await self._locked(connection, upload_id)
            if upload.state is not UploadState.UNDOING:
                _check(upload.check_undo)
                if upload.connection_id is None:
                    raise RuntimeError(f"upload {upload_id} was imported for no till")
                await self._book.wait_for_undo(connection, upload, upload.connection_id)
        return await self.show(caller, upload_id)

    async def told_run(self, caller: Caller, upload_id: UUID, run_id: UUID) -> Upload:
        """Note which run will do it; raises `Problem` (404)."""
        await self._find(caller, upload_id)
        await self._book.told_run(caller.tenant_id, upload_id, run_id)
        return await self.show(caller, upload_id)

    async def discard(self, caller: Caller, upload_id: UUID) -> None:
        """Forget a file that nobody imported; raises `Problem` (404, 409)."""
        upload = await self._find(caller, upload_id)
        _check(upload.check_discard)
        await self._forget(caller.tenant_id, upload_id)

    async def errors(self, caller: Caller, upload_id: UUID) -> AsyncIterator[str]:
        """Yield the rows that were left out as CSV; raises `Problem` (404) at once."""
        await self._find(caller, upload_id)
        return self._errors(caller.tenant_id, upload_id)

    async def _errors(self, tenant_id: UUID, upload_id: UUID) -> AsyncIterator[str]:
        yield "".join(errors_csv(()))
        after = -1
        while rows := await read_errors(
            self._database, tenant_id, upload_id, after=after, most=_ERRORS_AT_ONCE
        ):
            errors = (RowError(row.line, row.column_name or None, row.value, row.reason) for row in rows)
            yield "".join(islice(errors_csv(errors), 1, None))
            after = rows[-1].number

    async def _find(self, caller: Caller, upload_id: UUID) -> UploadRecord:
        found = await self._book.find(caller.tenant_id, upload_id)
        if found is None:
            raise _no_such(upload_id)
        return found

    async def _locked(self, connection: AsyncConnection, upload_id: UUID) -> UploadRecord:
        found = await self._book.read(connection, upload_id, lock=True)
        if found is None:
            raise _no_such(upload_id)
        return found

    async def _forget(self, tenant_id: UUID, upload_id: UUID) -> None:
        await self._book.discard(tenant_id, upload_id)
        await self._files.drop(tenant_id, upload_id)


def _request_hash(caller: Caller, request: str) -> bytes:
    return hashlib.sha256("\x1f".join(("upload", caller.actor, request)).encode()).digest()


def _clean(name: str) -> str:
    """Return a file's name for showing: the last part of a path, without what no screen shows."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(each for each in last if each.isprintable()).strip()[:_NAME_LENGTH] or "file"


def _no_such(upload_id: UUID) -> Problem:
    return Problem(404, "upload-not-found", "There is no such upload", f"There is no upload {upload_id}.")


def _check(check: Callable[[], None]) -> None:
    try:
        check()
    except Refused as refused:
        raise _refusal(refused) from None


def _refusal(refused: Refused) -> Problem:
    return Problem(409, refused.slug, "The file's state does not allow this", refused.reason)


def _plan(detected: Detected, before: Mapping[str, str], after: Mapping[str, str]) -> bytes | None:
    """Return the plan that follows from answers; None where the file is to be looked at anew first."""
    if reads_elsewhere(before, after):
        return None
    try:
        return msgspec.json.encode(plan_of(detected, after))
    except PlanProblem as problem:
        field, value = f"$.answers.{problem.about}", after.get(problem.about)
        error = {"in": "body", "field": field, "value": value, "message": problem.reason, "code": "refused"}
        detail = f"{field}: {problem.reason}"
        raise Problem(
            422, "invalid-request", "The request is not valid", detail, extra={"errors": [error]}
        ) from None
    except FileRefused as refused:
        raise _refusal(Refused("upload-without-sales", refused.reason)) from None
