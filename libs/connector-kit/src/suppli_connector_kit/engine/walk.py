"""One walk: the pages of a group of locations, oldest change first, each published before it is recorded.

While a page is published the next one is fetched and the one before is recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from suppli_service_kit.clock import Clock
from suppli_service_kit.tracing import span

from suppli_connector_kit.domain import coverage
from suppli_connector_kit.domain.coverage import Span, Spans, page_edge
from suppli_connector_kit.domain.instants import MINUTE_US, from_us, to_us
from suppli_connector_kit.domain.planning import Walk
from suppli_connector_kit.engine.pages import PageSayer, Published
from suppli_connector_kit.engine.ports import Books, Report
from suppli_connector_kit.errors import CursorExpired, ProviderError
from suppli_connector_kit.metrics import PAGES
from suppli_connector_kit.protocol import Connector, OrderPage, Session, Window

# Read beyond where coverage may reach: a sale made a moment before somebody asks must show. It is read again
# later, as only what is older than the safety lag counts as covered.
_AHEAD_US = MINUTE_US
_STALLS = 3  # restarts without any progress after which a walk is given up


@dataclass(slots=True)
class Progress:
    """How much of what a run walks is done, in microseconds of modification time, summed over locations."""

    total_us: int = 0
    done_us: int = 0

    def share(self) -> float | None:
        """Return it as 0 to 1; below 1 as long as the run has not said that it ended."""
        return min(self.done_us / self.total_us, 0.999) if self.total_us else None


@dataclass(slots=True)
class ProviderClock:
    """The provider's clock, as its answers tell it: ours, moved."""

    clock: Clock
    lag_us: int
    skew_us: int = 0

    def heard(self, page: OrderPage[Any]) -> None:
        """Take the provider's word for what time it is."""
        if page.provider_now is not None:
            self.skew_us = to_us(page.provider_now) - to_us(self.clock.now())

    def horizon(self) -> int:
        """Return the instant that coverage may reach now."""
        return to_us(self.clock.now()) + self.skew_us - self.lag_us


class Walker:
    """Walks windows of one run; several walks of it may be under way at once."""

    def __init__(
        self,
        connector: Connector[Any],
        session: Session,
        *,
        sayer: PageSayer,
        books: Books,
        covered: MutableMapping[str, Spans],
        waiting: set[str],
        report: Report,
        clock: ProviderClock,
    ) -> None:
        self._connector, self._session = connector, session
        self._sayer, self._books = sayer, books
        self._covered, self._waiting, self._report = covered, waiting, report
        self._clock = clock
        self.progress = Progress()

    async def walk(self, walk: Walk) -> None:
        """Read every window of `walk`, oldest first."""
        for window in walk.windows:
            await self._window(walk.locations, window)

    async def _window(self, locations: tuple[str, ...], window: Span) -> None:
        """Read one window; an expired cursor starts again at the last instant that is recorded."""
        start, stalls = window[0], 0
        while True:
            leg = _Leg(locations, (start, window[1]), self)
            try:
                await leg.run()
                return
            except CursorExpired:
                stalls = stalls + 1 if leg.edge <= start else 0
                if stalls >= _STALLS:
                    raise
                start = max(start, leg.edge)

    async def record(self, leg: _Leg, page: Published, edge: int | None) -> None:
        """Record a published page, and coverage up to `edge` (exclusive) where it moved on."""
        entry = page.entry(self._waiting)
        if edge is not None and edge > leg.edge:
            moved: dict[str, Spans] = {}
            for location in leg.locations:
                moved[location] = coverage.add(self._covered.get(location, ()), (leg.start, edge))
            self._covered.update(moved)
            entry = replace(entry, coverage=moved)
            self.progress.done_us += (edge - leg.edge) * len(leg.locations)
            leg.edge = edge
        self._report.tally.add(entry.tally)
        self._report.progress = self.progress.share()
        await self._books.record(entry, self._report)
        self._waiting.difference_update(entry.cleared)
        self._waiting.update(order.order_id for order in entry.set_aside)
        PAGES.inc()

    def orders(self, leg: _Leg) -> AsyncIterator[OrderPage[Any]]:
        """Ask the provider for the leg's pages."""
        window = Window(from_us(leg.start), from_us(leg.end + _AHEAD_US))
        return self._connector.orders(self._session, leg.locations, window)

    def heard(self, page: OrderPage[Any]) -> int:
        """Note the provider's clock; return how far coverage may go by it."""
        self._clock.heard(page)
        return self._clock.horizon()

    @property
    def say(self) -> Callable[..., Any]:
        """Publish a page's orders."""
        return self._sayer.say


class _Leg:
    """One query through a window, from its start to its end or to where its cursor broke."""

    def __init__(self, locations: tuple[str, ...], window: Span, walker: Walker) -> None:
        self.locations = locations
        self.start, self.end = window
        self.edge = window[0]
        self._walker = walker
        self._limit: int | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Read, publish and record all pages."""
        pages = self._walker.orders(self)
        try:
            await self._pages(pages)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            close = getattr(pages, "aclose", None)
            if close is not None:
                with contextlib.suppress(ProviderError):
                    await close()

    async def _pages(self, pages: AsyncIterator[OrderPage[Any]]) -> None:
        coming = self._start(_next(pages))
        previous: Published | None = None
        while True:
            try:
                page = await coming
            except ProviderError:
                if previous is not None:  # it is published: what it proves without its successor is kept
                    await self._walker.record(self, previous, self._proven(previous, None))
                raise
            if page is None:  # the provider had no more after all
                await self._finish(previous or await self._walker.say([]))
                return
            if self._limit is None:
                self._limit = min(self.end, self._walker.heard(page))
            if not page.last:
                coming = self._start(_next(pages))
            recording = None
            if previous is not None:
                following = [order.modified_us for order in page.orders]
                recording = self._start(
                    self._walker.record(self, previous, self._proven(previous, following))
                )
            previous = await self._beside(recording, self._walker.say(page.orders))
            if page.last:
                await self._finish(previous)
                return

    async def _beside(self, recording: asyncio.Task[None] | None, saying: Any) -> Published:
        """Publish one page while the one before is recorded."""
        if recording is None:
            published: Published = await saying
            return published
        # both are waited for, whichever fails: cutting a publish off would disturb other runs of the process
        publishing = self._start(saying)
        await asyncio.wait({recording, publishing})
        recording.result()
        said: Published = publishing.result()
        return said

    async def _finish(self, last: Published) -> None:
        """Record the last page: now all of the window is read, as far as the provider's clock reaches."""
        limit = self.end if self._limit is None else self._limit
        await self._walker.record(self, last, limit)

    def _proven(self, page: Published, following: list[int] | None) -> int | None:
        edge = page_edge(page.instants, following)
        limit = self.end if self._limit is None else self._limit
        return None if edge is None else min(edge, limit)

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, as a leg that fails elsewhere does not wait for it


async def _next(pages: AsyncIterator[OrderPage[Any]]) -> OrderPage[Any] | None:
    with span("fetch page"):
        return await anext(pages, None)
