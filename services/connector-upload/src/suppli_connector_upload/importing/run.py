"""One run of a till: the imports that people asked for, and those to take back, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from suppli_connector_kit.adapters.queue import Claimed
from suppli_connector_kit.domain.coverage import Spans
from suppli_connector_kit.engine.ports import Limits, Publisher, Queue, Report
from suppli_connector_kit.errors import CommandRefused
from suppli_contracts.events.sync import CoveredDays, RunKind
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.logs import get_logger

from suppli_connector_upload.adapters.files import FileGone
from suppli_connector_upload.adapters.held import IN_FLIGHT, Claim, HeldBooks, HeldOrder
from suppli_connector_upload.apart.frames import Errors, Sales
from suppli_connector_upload.apart.reader import Reader
from suppli_connector_upload.domain.covering import Days, without
from suppli_connector_upload.domain.detected import Refusal
from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.domain.outcomes import FileSale
from suppli_connector_upload.domain.records import UploadRecord
from suppli_connector_upload.importing.actions import Actions
from suppli_connector_upload.importing.saying import FileSayer, Page
from suppli_connector_upload.manifest import TILL

log = get_logger(__name__)

_ENDED_AT_ONCE = 1_000
UNDO, IMPORT = "undo_waiting", "waiting"


@dataclass(frozen=True, slots=True)
class World:
    """What an import works with, the same for every run of the process."""

    database: Database
    reader: Reader
    publisher: Publisher
    queue: Queue
    clock: Clock
    limits: Limits


def import_runs(world: World) -> Callable[[Claimed], ImportRun]:
    """Return what makes the work of a claimed run."""
    return lambda claimed: ImportRun(claimed, world)


class ImportRun:
    """Does one run."""

    def __init__(self, claimed: Claimed, world: World) -> None:
        """Prepare; nothing is read before `run`."""
        self._job, self._hold, self._world = claimed.job, claimed.hold, world
        self.report = Report(claimed.job.tally)
        self._actions = Actions(world.database, claimed.hold, clock=world.clock)
        self._days: list[CoveredDays] = []

    @property
    def coverage(self) -> Mapping[str, Spans] | None:
        """None: files cover business dates, not times of modification."""
        return None

    @property
    def days(self) -> tuple[CoveredDays, ...]:
        """The dates that were imported, and those that no file covers any more."""
        return tuple(self._days)

    async def run(self) -> None:
        """Do all that waits for the till.

        Raises:
            CommandRefused: it is to publish again what is unchanged, which files cannot.
            LeaseLost, RunCancelled: see there.
        """
        if self._job.kind is RunKind.REPUBLISH:
            raise CommandRefused("Sales of files are published again by importing the file again")
        for broken_off in await self._actions.broken_off():
            await self._settle(broken_off)
        while (upload := await self._actions.next()) is not None:
            if upload.stored_state in (UNDO, "undoing"):
                await self._undo(upload)
            else:
                await self._import(upload)

    # --- import -------------------------------------------------------------------------------

    async def _import(self, upload: UploadRecord) -> None:
        await self._actions.begin_import(upload)
        sayer = self._sayer(upload, upload.version_us or 0, rows=_rows(upload))
        try:
            await self._sales(upload, sayer)
        except (FileRefused, FileGone) as problem:
            refusal = _refusal(problem)
            await self._actions.done(upload, "refused", sayer.counts, problem=refusal)
            return
        covered = upload.look.covered if upload.look is not None else ()
        if not upload.adding:
            await sayer.finish()
            await self._actions.ending(upload)
            for days in covered:
                await self._end_others(sayer, days)
        await sayer.finish()
        await self._actions.done(upload, "imported", sayer.counts)
        self._days += _said(covered)

    async def _sales(self, upload: UploadRecord, sayer: FileSayer) -> None:
        """Say the sales of a file, but for those that are recorded already."""
        skip, done, errors = upload.sales_done, 0, 0
        async with self._world.reader.open(upload) as file:
            async for frame in self._world.reader.read(file, sayer.plan):
                if isinstance(frame, Errors):
                    await sayer.add(Page(errors=frame.errors, first_error=errors))
                    errors += len(frame.errors)
                elif isinstance(frame, Sales):
                    done += len(frame.sales)
                    if done > skip:
                        fresh = frame.sales[max(0, len(frame.sales) - (done - skip)) :]
                        await sayer.add(Page(sales=fresh, done=done))
                    else:
                        sayer.passed(frame.sales)

    async def _end_others(self, sayer: FileSayer, days: Days) -> None:
        """End at zero the orders of these days that other files said and that this one has not."""
        books, after = sayer.books, ""
        while others := await books.others(days, after, _ENDED_AT_ONCE):
            await sayer.add(Page(ended=others))
            after = others[-1].recorded.order_id
        await sayer.finish()

    async def _settle(self, upload: UploadRecord) -> None:
        """Record what an import may have said that broke off between publishing and recording.

        The orders are the file's from then on, whatever they stand at: an undo gives them back, and a newer
        file of their days ends those that it has not.
        """
        sayer, version, done = self._sayer(upload, upload.version_us or 0, rows=0), upload.version_us or 0, 0
        try:
            async with self._world.reader.open(upload) as file:
                async for frame in self._world.reader.read(file, sayer.plan):
                    if isinstance(frame, Sales):
                        first = max(0, upload.sales_done - done)
                        some = frame.sales[first : max(0, upload.reach - done)]
                        if some:
                            await sayer.books.claim([_claim(each, version) for each in some])
                        done += len(frame.sales)
                        if done >= upload.reach:
                            break
        except (FileRefused, FileGone):
            log.warning("broken_off_import_not_read", upload=str(upload.upload_id))
        covered = upload.look.covered if upload.ending and upload.look is not None else ()
        for days in covered:
            others = await sayer.books.others(days, "", IN_FLIGHT)
            await sayer.books.claim([_claim_of(each, version) for each in others])
        await self._actions.settled(upload)

    # --- undo ---------------------------------------------------------------------------------

    async def _undo(self, upload: UploadRecord) -> None:
        """Give each order that the file says back to the file that said it before; what none says, ends."""
        await self._actions.begin_undo(upload)
        sayer = self._sayer(upload, upload.undo_us or 0, rows=0)
        covered = upload.look.covered if upload.look is not None else ()
        others = [each for each in await self._actions.saying(upload.upload_id) if _touch(each, covered)]
        if any(other.file_deleted_at is not None for other in others):
            reason = "An earlier file of the same days is no longer kept, so its sales cannot be put back."
            problem = Refusal(code="earlier_file_deleted", reason=reason)
            await self._actions.done(upload, "imported", sayer.counts, problem=problem)
            return
        for other in others:
            await self._give_back(sayer, upload, other)
        for days in covered:
            await self._end_own(sayer, upload, days, owner=None)
        await sayer.finish()
        await self._actions.done(upload, "undone", sayer.counts)
        still = [span for other in others if other.look is not None for span in other.look.covered]
        self._days += _said(without(covered, still), withdrawn=True)

    async def _give_back(self, sayer: FileSayer, undone: UploadRecord, other: UploadRecord) -> None:
        """Say as `other` does what `undone` says of the orders that `other` has, or had ended."""
        if other.plan is None or other.look is None:
            return
        limit = other.sales_done if other.stored_state == "importing" else None
        done = 0
        async with self._world.reader.open(other) as file:
            async for frame in self._world.reader.read(file, other.plan):
                if not isinstance(frame, Sales):
                    continue
                sales = frame.sales if limit is None else frame.sales[: max(0, limit - done)]
                done += len(frame.sales)
                owned = await sayer.books.owned([each.sale.order_id for each in sales], undone.upload_id)
                back = [each for each in sales if each.sale.order_id in owned]
                if back:
                    await sayer.add(Page(sales=back, owner=other.upload_id))
        await sayer.finish()
        if not other.adding and limit is None:
            for days in other.look.covered:
                await self._end_own(sayer, undone, days, owner=other.upload_id)

    async def _end_own(
        self, sayer: FileSayer, undone: UploadRecord, days: Days, *, owner: UUID | None
    ) -> None:
        """End what `undone` still says of these days; `owner` says so from then on."""
        after = ""
        while own := await sayer.books.of(undone.upload_id, days, after, _ENDED_AT_ONCE):
            await sayer.add(Page(ended=own, owner=owner))
            after = own[-1].recorded.order_id
        await sayer.finish()

    # --- parts --------------------------------------------------------------------------------

    def _sayer(self, upload: UploadRecord, version_us: int, *, rows: int) -> FileSayer:
        world, job, hold = self._world, self._job, self._hold
        if upload.plan is None:
            raise RuntimeError(f"upload {upload.upload_id} waits for its import without a plan")
        return FileSayer(
            job,
            hold,
            upload,
            upload.plan,
            version_us=version_us,
            books=HeldBooks(
                world.database,
                hold,
                connection_id=hold.command.connection_id,
                tenant_id=hold.command.tenant_id,
                upload_id=upload.upload_id,
            ),
            report=self.report,
            publisher=world.publisher,
            queue=world.queue,
            clock=world.clock,
            limits=world.limits,
            rows=rows,
        )


def _claim(each: FileSale, version_us: int) -> Claim:
    sale = each.sale
    return Claim(sale.order_id, version_us, sale.location_id, sale.currency, each.business_date)


def _claim_of(each: HeldOrder, version_us: int) -> Claim:
    order = each.recorded
    return Claim(order.order_id, version_us, order.location_id, order.currency, each.business_date)


def _rows(upload: UploadRecord) -> int:
    return upload.look.totals.rows if upload.look is not None else 0


def _touch(upload: UploadRecord, covered: tuple[Days, ...]) -> bool:
    own = upload.look.covered if upload.look is not None else ()
    return any(one.first <= other.last and other.first <= one.last for one in own for other in covered)


def _refusal(problem: FileRefused | FileGone) -> Refusal:
    if isinstance(problem, FileRefused):
        return Refusal(code=problem.code, reason=problem.reason)
    return Refusal(code="file_deleted", reason="The file is no longer kept; upload it once more.")


def _said(spans: tuple[Days, ...], *, withdrawn: bool = False) -> list[CoveredDays]:
    return [
        CoveredDays(location_id=TILL, from_date=span.first, to_date=span.last, withdrawn=withdrawn)
        for span in spans
    ]
