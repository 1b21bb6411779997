"""Sales of a file on their way: compared with what is held, published, then recorded.

While one page is published the one before is recorded, as in the kit's walk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from suppli_connector_kit.adapters.hold import Hold
from suppli_connector_kit.domain.decisions import Changed, Rules
from suppli_connector_kit.engine.pages import PageSayer
from suppli_connector_kit.engine.ports import Job, Limits, Publisher, Queue, Report, Tally
from suppli_connector_kit.protocol import LocationContext, OrderRef, Sale, Zone
from suppli_service_kit.clock import Clock

from suppli_connector_upload.adapters.held import HeldBooks, HeldEntry, HeldOrder
from suppli_connector_upload.domain.outcomes import FileSale, RowError
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.records import Counts, UploadRecord

MOST_ERRORS = 100_000
"""Row errors kept of a file; what is beyond is counted only. Behind them come orders too large for Kafka."""
READING = 1
"""The revision of what is made of a file's rows; grows when the same rows become other sales."""


@dataclass(slots=True)
class Page:
    """What goes together: sales of a file, or orders that end at zero, and row errors.

    Attributes:
        first_error: the number of the first error, counted from the file's first.
        owner: the file that says these orders from then on.
        done: how many of the file's sales are recorded with this page; None = it has not moved on.
    """

    sales: Sequence[FileSale] = ()
    ended: Sequence[HeldOrder] = ()
    errors: Sequence[RowError] = ()
    first_error: int = 0
    owner: UUID | None = None
    done: int | None = None


@dataclass(slots=True)
class _Said:
    page: Page
    errors: Mapping[int, RowError]
    changed: Sequence[Changed]
    kept: Collection[str]
    dates: Mapping[str, date]
    counts: Counts
    tally: Tally


def rules_of(plan: Plan, *, trust_hashes: bool) -> Rules:
    """Return by what the sales of a file are judged: they are understood already."""
    zone = Zone(plan.timezone, plan.day_cutoff)
    context = LocationContext(plan.location_id, plan.currency, (zone,))
    return Rules(
        normalise=_understood,
        revision=READING,
        locations={plan.location_id: context},
        start=date.min,
        trust_hashes=trust_hashes,
        assure=False,  # reading does, see `FileSale`
    )


def _understood(sale: Sale, _: LocationContext) -> Sale:
    return sale


class FileSayer:
    """Says the pages of one action on one file, each before it is recorded."""

    def __init__(
        self,
        job: Job,
        hold: Hold,
        upload: UploadRecord,
        plan: Plan,
        *,
        version_us: int,
        books: HeldBooks,
        report: Report,
        publisher: Publisher,
        queue: Queue,
        clock: Clock,
        limits: Limits,
        rows: int,
    ) -> None:
        """Prepare.

        Args:
            version_us: the action's: every order that it says has it as `source_version`.
            rows: how many there are, for the progress.
        """
        self._upload, self._version, self._report = upload, version_us, report
        self.books, self.plan = books, plan
        self._rows, self._rows_done = rows, 0
        # errors come again when a file is read again, and are counted again
        self.counts = replace(upload.counts or Counts(), row_errors=0)
        self._sayer = PageSayer(
            job,
            rules_of(plan, trust_hashes=not job.unfinished),
            books=books,
            publisher=publisher,
            lease=hold,
            queue=queue,
            clock=clock,
            limits=limits,
        )
        self._previous: _Said | None = None

    async def add(self, page: Page) -> None:
        """Publish a page, and record the one before; raises what either does."""
        before, self._previous = self._previous, None
        saying = asyncio.ensure_future(self._say(page))
        recording = asyncio.ensure_future(self._record(before))
        try:
            await asyncio.wait({saying, recording})
        except asyncio.CancelledError:
            for task in (saying, recording):
                task.cancel()
            await asyncio.gather(saying, recording, return_exceptions=True)
            raise
        failed = [task for task in (recording, saying) if task.exception() is not None]
        if failed:
            await failed[0]
        self._previous = saying.result()

    def passed(self, sales: Sequence[FileSale]) -> None:
        """Note that sales are recorded already, from before the run was resumed."""
        self._rows_done += sum(each.rows for each in sales)

    async def finish(self) -> None:
        """Record the last page."""
        last, self._previous = self._previous, None
        await self._record(last)

    async def _say(self, page: Page) -> _Said:
        refs: list[OrderRef[Any]] = [
            OrderRef(each.sale.order_id, each.sale.location_id, self._version, each.sale)
            for each in page.sales
        ]
        dates = {each.sale.order_id: each.business_date for each in page.sales}
        gone = []
        for order in page.ended:
            dates[order.recorded.order_id] = order.business_date
            if (ended := order.ended(self._version)) is not None:
                gone.append(ended)
        published = await self._sayer.say(refs, gone)
        decided = published.decisions
        changed = {change.sale.order_id for change in decided.changed}
        left_out = {order.order_id for order in decided.set_aside}
        counts = Counts(
            published=len(decided.changed) - len(gone),
            unchanged=decided.unchanged,
            ended=len(gone),
            set_aside=len(decided.set_aside),
            row_errors=len(page.errors),
        )
        kept = dates.keys() - changed - left_out
        errors = {
            number: error
            for number, error in enumerate(page.errors, start=page.first_error)
            if number < MOST_ERRORS
        }
        lines = {each.sale.order_id: each.line for each in page.sales}
        for aside in decided.set_aside:
            line = lines[aside.order_id]
            errors[MOST_ERRORS + line] = RowError(line, None, aside.order_id, f"the order {aside.reason}")
        tally = published.entry(()).tally
        return _Said(page, errors, decided.changed, kept, dates, counts, tally)

    async def _record(self, said: _Said | None) -> None:
        if said is None:
            return
        self.counts = self.counts.plus(said.counts)
        self._report.tally.add(said.tally)
        self._rows_done += sum(each.rows for each in said.page.sales)
        if self._rows:
            self._report.progress = min(self._rows_done / self._rows, 0.999)
        entry = HeldEntry(
            changed=said.changed,
            kept=said.kept,
            dates=said.dates,
            errors=said.errors,
            done=said.page.done,
        )
        await self.books.record(
            entry, self._report, self.counts, upload_id=self._upload.upload_id, owner=said.page.owner
        )
