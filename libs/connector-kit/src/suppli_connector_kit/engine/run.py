"""One run from its first call to its last page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from suppli_contracts.events.connections import ConnectedLocation, ConnectionChanged
from suppli_contracts.events.sync import CoveredDays, Republish, RunKind
from suppli_service_kit.clock import Clock

from suppli_connector_kit.domain.business_day import day_start
from suppli_connector_kit.domain.changes import is_imported
from suppli_connector_kit.domain.coverage import Spans, merge
from suppli_connector_kit.domain.decisions import Again, Changed, Rules
from suppli_connector_kit.domain.evidence import past_windows, worth
from suppli_connector_kit.domain.instants import HOUR_US, MINUTE_US, SECOND_US, to_us
from suppli_connector_kit.domain.planning import Walk, plan
from suppli_connector_kit.engine.catalog import sync_catalog
from suppli_connector_kit.engine.pages import PageSayer
from suppli_connector_kit.engine.ports import (
    Books,
    History,
    Job,
    Lease,
    Limits,
    PageEntry,
    Publisher,
    Queue,
    Report,
)
from suppli_connector_kit.engine.walk import ProviderClock, Walker
from suppli_connector_kit.errors import (
    AuthError,
    CommandRefused,
    CoverageAhead,
    ProviderError,
    ProviderRefused,
)
from suppli_connector_kit.protocol import Connector, LocationContext, Session, Zone

_RECENT = 1000  # recorded orders looked through at once
_ROUNDS = 3  # a long run looks again whether time has passed meanwhile; the rest is the next run's
_LATER_US = 60 * SECOND_US
_AHEAD_US = 5 * MINUTE_US  # more than the clocks of a provider's servers are apart
_MICROSECOND = timedelta(microseconds=1)
_EVER_US = 1 << 62  # later than any instant that a provider tells


def imported_locations(connection: ConnectionChanged) -> dict[str, LocationContext]:
    """Return the locations whose sales are imported: chosen, tied, and with a confirmed zone."""
    return {
        location.location_id: _context(location) for location in connection.locations if is_imported(location)
    }


def _context(location: ConnectedLocation) -> LocationContext:
    zones = tuple(Zone(period.timezone, period.day_cutoff, period.from_date) for period in location.zones)
    return LocationContext(location.location_id, location.currency, zones)


def first_instant(start: date, location: LocationContext) -> int:
    """Return from which modification on a location is read: a day before its start date's local midnight.

    The day more covers sales of the start date that are told by a clock or zone a little off.
    """
    return to_us(day_start(start, location.zones[0]) - timedelta(days=1))


def again_of(job: Job) -> Again | None:
    """Return what a run is to say again, unchanged or not; None where it is no such run."""
    asked = job.republish
    if job.kind is not RunKind.REPUBLISH or asked is None:
        return None
    window = None
    if asked.has_window:
        since = to_us(asked.from_at) if asked.from_at is not None else 0
        window = (since, to_us(asked.to_at) if asked.to_at is not None else _EVER_US)
    return Again(window, frozenset(asked.order_ids))


class SyncRun:
    """Does one run; raises what ends it early, having recorded what it published."""

    def __init__(
        self,
        connector: Connector[Any],
        session: Session,
        job: Job,
        *,
        books: Books,
        publisher: Publisher,
        lease: Lease,
        queue: Queue,
        clock: Clock,
        limits: Limits,
        slots: asyncio.Semaphore | None = None,
        history: History | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            history: says whether sales were expected where none are found; None = nobody knows.
            slots: bounds the walks of all runs of this process together, and with them its memory.
        """
        self._connector, self._session, self._job, self._books = connector, session, job, books
        self._limits = limits
        self._slots = slots or asyncio.Semaphore(limits.walks)
        self.report = Report(job.tally)
        self._locations = imported_locations(job.connection)
        self._covered: dict[str, Spans] = dict(job.coverage)
        self._history = history
        self._asked: dict[str, Spans] = {}
        self._waiting = set(job.waiting)
        again = again_of(job)
        self._again = again or Again()
        rules = Rules(
            normalise=connector.normalise,
            revision=connector.normaliser_revision,
            locations=self._locations,
            start=job.connection.start_date or date.max,
            again=again,
            trust_hashes=not job.unfinished,
        )
        self._sayer = PageSayer(
            job,
            rules,
            books=books,
            publisher=publisher,
            lease=lease,
            queue=queue,
            clock=clock,
            limits=limits,
        )
        self._clock = ProviderClock(clock, limits.safety_lag // _MICROSECOND)
        self._walker = Walker(
            connector,
            session,
            sayer=self._sayer,
            books=books,
            covered=self._covered,
            waiting=self._waiting,
            report=self.report,
            clock=self._clock,
        )

    @property
    def coverage(self) -> dict[str, Spans]:
        """What is imported of each location, as far as it is recorded."""
        return self._covered

    @property
    def days(self) -> tuple[CoveredDays, ...]:
        """None: what a provider was asked for is said in instants."""
        return ()

    async def run(self) -> None:
        """Do the run.

        Raises:
            ProviderError: the provider ended it, or did not give all; its class says whether to try again.
            CoverageAhead: see there.
            CommandRefused: it is to publish again, and nothing that could be is named.
            LeaseLost, RunCancelled: see there.
        """
        if self._job.kind is RunKind.REPUBLISH:
            problem = (self._job.republish or Republish()).problem()
            if problem is not None:
                raise CommandRefused(f"What is to be published again is not clear: {problem}")
        unread = await self._catalog()
        if self._job.connection.start_date is not None and self._locations:
            await self._by_id(self._outgrown())
            await self._named()
            await self._rounds()
            if self._job.kind is RunKind.SWEEP:
                await self._missed()
            await self._gone_again()
            self._refuse_the_future()
        if unread is not None:
            raise unread
        if not self.report.tally.orders_read:
            past = past_windows(self._asked) if self._history is not None else []
            sold = await self._history.sold([(each[0], each[2]) for each in past]) if self._history else []
            self.report.nothing_found = worth(self._asked, past, sold)

    async def _catalog(self) -> ProviderError | None:
        """Read the catalog; return why it may not be read: that keeps no sale back, and ends the run after
        them.
        """
        try:
            await sync_catalog(self._connector, self._session, self._books, self.report)
        except (AuthError, ProviderRefused) as refused:
            return refused
        return None

    def _refuse_the_future(self) -> None:
        """Raise where more is recorded as imported than can have happened: nobody would look at it again."""
        ends = [spans[-1][1] for key, spans in self._covered.items() if spans and key in self._locations]
        ahead = max(ends, default=0) - self._clock.horizon()
        if ahead > _AHEAD_US:
            raise CoverageAhead(
                f"What is imported is recorded up to {ahead // MINUTE_US} minutes into the future;"
                " sales of that time are read by the daily sweep only"
            )

    def _outgrown(self) -> list[str]:
        """Return the set-aside orders that an older reading failed on."""
        revision = self._connector.normaliser_revision
        return sorted(order for order, failed in self._job.waiting.items() if failed < revision)

    async def _missed(self) -> None:
        """End at zero the orders that the sweep should have listed and that the provider no longer has.

        That the walk did not list an order proves nothing, it may have moved on: each one is asked for by id.
        """
        since, after = self._read_again()[0][0], ""
        while recent := await self._books.recent(since, after, _RECENT):
            missed = [order for order in recent if order.order_id not in self._sayer.seen]
            gone = {order.order_id: change for order in missed if (change := order.gone()) is not None}
            await self._by_id(list(gone), gone)
            after = recent[-1].order_id

    async def _named(self) -> None:
        """Say the orders again that are named by their ids; one that is gone, as gone."""
        order_ids = sorted(self._again.order_ids)
        recorded = await self._books.recorded_of(order_ids) if order_ids else ()
        gone = {
            order.order_id: change for order in recorded if (change := order.gone(again=True)) is not None
        }
        await self._by_id(order_ids, gone)

    async def _gone_again(self) -> None:
        """Say again what the walk cannot show: orders that were modified in the window and are gone."""
        window, after = self._again.window, ""
        if window is None:
            return
        while recent := await self._books.recent(window[0], after, _RECENT):
            gone = {
                order.order_id: change
                for order in recent
                if self._again.within(order.source_version)
                and order.gone() is None
                and (change := order.gone(again=True)) is not None
            }
            await self._by_id(list(gone), gone)
            after = recent[-1].order_id

    async def _by_id(self, order_ids: Sequence[str], known: Mapping[str, Changed] | None = None) -> None:
        """Read single orders again; one that is gone at the provider waits no longer.

        Args:
            known: what is said of those that are gone.
        """
        most = self._connector.ids_per_call
        for at in range(0, len(order_ids), most):
            asked = order_ids[at : at + most]
            page = await self._connector.orders_by_id(self._session, asked)
            gone = set(asked) - {order.order_id for order in page.orders}
            taken_back = [known[order] for order in sorted(gone) if order in known] if known else []
            said = await self._sayer.say(page.orders, taken_back)
            entry = said.entry(self._waiting)
            cleared = set(entry.cleared) | gone & self._waiting
            self.report.tally.add(entry.tally)
            entry = PageEntry(entry.tally, entry.changed, entry.set_aside, cleared)
            await self._books.record(entry, self.report)
            self._waiting -= cleared

    async def _rounds(self) -> None:
        start = self._job.connection.start_date
        if start is None:
            return
        starts = {key: first_instant(start, location) for key, location in self._locations.items()}
        for number in range(_ROUNDS):
            walks = plan(
                self._covered,
                starts,
                horizon_us=self._clock.horizon(),
                overlap_us=self._limits.overlap // _MICROSECOND,
                per_call=self._connector.locations_per_call,
                again=self._read_again() if number == 0 else (),
                least_us=_LATER_US if number else 0,
            )
            if not walks:
                return
            await self._walk_all(walks)

    def _read_again(self) -> Spans:
        """Return the times that this kind of run reads again.

        At least the newest, even where coverage already reaches the horizon: what changed since is beyond it.
        """
        horizon = self._clock.horizon()
        if self._job.kind is RunKind.SWEEP:
            return ((horizon - self._connector.manifest.lateness_hours * HOUR_US, horizon),)
        newest = (horizon - self._limits.overlap // _MICROSECOND, horizon)
        return (newest,) if self._again.window is None else (self._again.window, newest)

    async def _walk_all(self, walks: Sequence[Walk]) -> None:
        self._walker.progress.total_us += sum(walk.length_us * len(walk.locations) for walk in walks)
        try:
            async with asyncio.TaskGroup() as group:
                for walk in walks:
                    group.create_task(self._slot(walk))
        except BaseExceptionGroup as failures:
            raise _first(failures) from None
        for walk in walks:
            for location in walk.locations:
                self._asked[location] = merge((*self._asked.get(location, ()), *walk.windows))

    async def _slot(self, walk: Walk) -> None:
        async with self._slots:
            await self._walker.walk(walk)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what a group of failed walks means for the run: its first failure, not wrapped."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
