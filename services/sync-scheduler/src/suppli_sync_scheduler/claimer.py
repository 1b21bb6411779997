"""The loop that looks for times that have come. Any number of replicas may run it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.logs import get_logger
from suppli_service_kit.waiting import Backoff, wait_or_stop

from suppli_sync_scheduler import metrics
from suppli_sync_scheduler.adapters.store import DueConnection, due_backlog, peek_due
from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.scheduler import Scheduler

log = get_logger(__name__)

PAGE = 500  # due times looked at, and claimed in one transaction
MEASURE_SECONDS = 2.0


class Claimer:
    """Finds due connections in the due queue and does what is due of them, one transaction a page.

    A page that fails is halved until the connection that fails is alone: the others go on.
    """

    def __init__(
        self,
        queue: Database,
        database: Database,
        scheduler: Scheduler,
        *,
        clock: Clock,
        policy: Policy,
        poll_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            queue: with the role that sees the due queue alone.
            database: with the application's role.
            scheduler: does the work.
            clock: when something is due; may be moved in development.
            policy: from when on a missed time is caught up.
            poll_seconds: real time between two looks.
            monotonic: real seconds; tells a downtime from a clock that was moved.
        """
        self._queue = queue
        self._database = database
        self._scheduler = scheduler
        self._clock = clock
        self._policy = policy
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._measured_at = float("-inf")
        self.backoff = Backoff(base=0.5, cap=10)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set; a failure is tried again, for ever."""
        wait = 0.0
        while not await wait_or_stop(stop, wait):
            try:
                failures = await self.look(stop)
            except Exception as error:
                log.warning("due_queue_not_readable", error=type(error).__name__)
                failures = 1
            if failures:
                wait = self.backoff.next()
            else:
                self.backoff.reset()
                wait = self._poll_seconds

    async def look(self, stop: asyncio.Event | None = None) -> int:
        """Do everything that is due now; return how many connections failed.

        After a downtime (the first look, or none for longer than `late_after`) what was missed is spread out.
        """
        now = self._clock.now()
        late_before = now - self._policy.late_after if self._was_away() else None
        failures = 0
        while not failures and not (stop and stop.is_set()):
            page = await self._peek()
            taken, failures = await self._take(page, late_before) if page else (0, 0)
            if not taken:  # nothing is due, or the rest is in another replica's hands
                break
        if not failures:
            self._looked_at = self._monotonic()
        return failures

    def _was_away(self) -> bool:
        away = self._policy.late_after.total_seconds()
        return self._looked_at is None or self._monotonic() - self._looked_at > away

    async def _peek(self) -> list[DueConnection]:
        now = self._clock.now()
        async with self._queue.transaction() as connection:
            if self._monotonic() - self._measured_at > MEASURE_SECONDS:
                count, age = await due_backlog(connection, now)
                metrics.DUE.set(count)
                metrics.DUE_AGE.set(age)
                self._measured_at = self._monotonic()
            return await peek_due(connection, now, PAGE)

    async def _take(self, page: Sequence[DueConnection], late_before: datetime | None) -> tuple[int, int]:
        """Do what is due of a page; return of how many connections it was done and how many failed."""
        ids = [due.connection_id for due in page]
        try:
            async with self._database.transaction({due.tenant_id for due in page}) as connection:
                return await self._scheduler.times_came(connection, ids, late_before=late_before), 0
        except Exception as error:
            if len(page) == 1:
                metrics.CLAIM_FAILURES.labels(type(error).__name__).inc()
                log.exception("due_connection_failed", connection_id=str(ids[0]))
                return 0, 1
        half = len(page) // 2
        first = await self._take(page[:half], late_before)
        second = await self._take(page[half:], late_before)
        return first[0] + second[0], first[1] + second[1]
