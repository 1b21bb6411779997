"""Doing runs: claim, renew, run, and say how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy.exc
from suppli_contracts.events.sync import Coverage, CoveredDays, ErrorClass, RunError, RunState, WaitsFor
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import PublishFailed
from suppli_service_kit.logs import get_logger
from suppli_service_kit.redaction import redact_text
from suppli_service_kit.tracing import span
from suppli_service_kit.vault import VaultError
from suppli_service_kit.waiting import Backoff, full_jitter, wait_or_stop

from suppli_connector_kit.adapters.books import SqlBooks
from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.adapters.queue import BULK, PRIORITIES, Claimed, RunQueue
from suppli_connector_kit.adapters.says import reauth_message
from suppli_connector_kit.domain.coverage import Spans
from suppli_connector_kit.domain.evidence import unanswered
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_kit.engine.ports import (
    ORDERS,
    LeaseLost,
    Limits,
    Publisher,
    Queue,
    Report,
    RunCancelled,
)
from suppli_connector_kit.engine.run import SyncRun
from suppli_connector_kit.errors import ProviderError
from suppli_connector_kit.metrics import EMPTY_RUNS, LEASES_LOST, RUN_SECONDS, RUNNING, RUNS, TAKE_OVERS
from suppli_connector_kit.protocol import Connector
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.session import KeptSession

log = get_logger(__name__)

IDLE_SECONDS = 0.25
OURS = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    PublishFailed,
    VaultError,
    OSError,
)
"""What is wrong with our own servers: waited out, and resumed where it stopped; not the provider's
failure.
"""


def what_is_away(failure: Exception) -> WaitsFor:
    """Return which of our servers a failure of `OURS` speaks of."""
    if isinstance(failure, VaultError):
        return WaitsFor.SECRETS
    if isinstance(failure, PublishFailed):
        return WaitsFor.MESSAGING
    return WaitsFor.DATABASE if isinstance(failure, sqlalchemy.exc.SQLAlchemyError) else WaitsFor.UNKNOWN


class Work(Protocol):
    """What is done in one claimed run."""

    @property
    def report(self) -> Report:
        """How far it is."""
        ...

    @property
    def coverage(self) -> Mapping[str, Spans] | None:
        """What is imported of each location, as far as it is recorded; None where that means nothing."""
        ...

    @property
    def days(self) -> tuple[CoveredDays, ...]:
        """The business dates that what was read covers, where it is a file."""
        ...

    async def run(self) -> None:
        """Do it.

        Raises:
            ProviderError: what it reads ended it; its class says whether to try again.
            LeaseLost, RunCancelled: see there.
        """
        ...


class Syncs:
    """Makes the work of a sync of a claimed run."""

    def __init__(
        self,
        connector: Connector[Any],
        keeper: TokenKeeper,
        database: Database,
        publisher: Publisher,
        queue: Queue,
        *,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._connector, self._keeper, self._database = connector, keeper, database
        self._publisher, self._queue = publisher, queue
        self._clock, self._limits = clock, limits
        self._slots = asyncio.Semaphore(limits.walks)

    def __call__(self, claimed: Claimed) -> SyncRun:
        """Return the run, not yet begun."""
        job, hold = claimed.job, claimed.hold
        connection = job.connection
        session = KeptSession(
            self._keeper,
            AccountKey(connection.tenant_id, connection.connection_id),
            account_id=connection.account_id or "",
            environment=connection.environment,
        )
        revision = self._connector.normaliser_revision
        books = SqlBooks(self._database, hold, job, revision=revision, clock=self._clock)
        return SyncRun(
            self._connector,
            session,
            job,
            books=books,
            history=books,
            publisher=self._publisher,
            lease=hold,
            queue=self._queue,
            clock=self._clock,
            limits=self._limits,
            slots=self._slots,
        )


class Runner:
    """Does one claimed run from beginning to end."""

    def __init__(self, work: Callable[[Claimed], Work], *, clock: Clock, times: LeaseTimes) -> None:
        """Prepare; `work` says what is done in a claimed run."""
        self._work, self._clock, self._times = work, clock, times
        self._failures: dict[UUID, int] = {}

    async def __call__(self, claimed: Claimed) -> None:
        """Do the run, and end it in the database; what only waits for our own servers goes back to the
        queue.
        """
        job, hold = claimed.job, claimed.hold
        command = hold.command
        started = time.monotonic()
        outcome = "lost"
        if claimed.resumed:
            TAKE_OVERS.inc()
        with span("sync run", run=str(job.run_id), run_kind=job.kind.value), RUNNING.track_inprogress():
            log.info("run_claimed", run=str(job.run_id), kind=job.kind.value, fence=job.fence)
            try:
                outcome = await self._do(claimed)
            except LeaseLost:
                LEASES_LOST.inc()
                log.warning("lease_lost", run=str(job.run_id), fence=job.fence)
            except OURS as error:
                log.warning("run_not_ended", run=str(job.run_id), error=type(error).__name__)
            finally:
                RUNS.labels(command.kind.value, outcome).inc()
                RUN_SECONDS.labels(command.kind.value).observe(time.monotonic() - started)
            log.info("run_left", run=str(job.run_id), outcome=outcome)

    async def _do(self, claimed: Claimed) -> str:
        job, hold = claimed.job, claimed.hold
        key = job.connection.connection_id
        run = self._work(claimed)
        state, error = RunState.SUCCEEDED, None
        also: tuple[OutMessage, ...] = ()
        try:
            await self._beside_renewal(run.run(), hold.renew, hold.remaining)
            self._failures.pop(key, None)
        except RunCancelled:
            state = RunState.CANCELLED
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            await hold.put_back(0)  # the process stops: another one goes on at once
            raise
        except OURS as failure:
            waits_for = what_is_away(failure)
            await hold.put_back(self._delay(key), waits_for=waits_for)
            log.warning(
                "run_waits", run=str(job.run_id), waits_for=waits_for.value, error=type(failure).__name__
            )
            return "put_back"
        except ProviderError as failure:
            state = RunState.FAILED
            error = RunError(
                error_class=failure.error_class,
                message=redact_text(failure.message),
                retry_after_s=failure.retry_after_s,
            )
            also = self._asks_for_person(claimed, failure)
        except Exception as failure:
            log.exception("run_failed", run=str(job.run_id))
            state = RunState.FAILED
            error = RunError(
                error_class=ErrorClass.INTERNAL,
                message=f"An unexpected error on our side ({type(failure).__name__})",
            )
        if error is not None and not run.report.tally.orders_read:
            run.report.nothing_found = unanswered(error.message)
        if run.report.nothing_found is not None:
            EMPTY_RUNS.labels(run.report.nothing_found.outcome.value).inc()
        await hold.finish(
            state, run.report, error=error, coverage=_coverage(run.coverage), days=run.days, also=also
        )
        return state.value

    def _delay(self, key: UUID) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return 0.2 + full_jitter(failures, base=0.5, cap=30)

    def _asks_for_person(self, claimed: Claimed, failure: ProviderError) -> tuple[OutMessage, ...]:
        if failure.error_class is not ErrorClass.AUTH:
            return ()
        command = claimed.hold.command
        message = reauth_message(
            tenant_id=command.tenant_id,
            connection_id=command.connection_id,
            provider=command.provider,
            reason=redact_text(failure.message),
            at=self._clock.now(),
            works_until=None,
            cause=f"{command.run_id}:{command.attempt}",
        )
        return (message,)

    async def _beside_renewal(
        self, work: Any, renew: Callable[[], Awaitable[None]], remaining: Callable[[], float]
    ) -> None:
        """Run `work` while the lease is renewed; a lost lease or a cancelled run stops the work."""
        working = asyncio.ensure_future(work)
        renewing = asyncio.ensure_future(self._renew(renew, remaining))
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return
            renewing.result()
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self, renew: Callable[[], Awaitable[None]], remaining: Callable[[], float]) -> None:
        backoff = Backoff(base=0.2, cap=2)
        wait = self._times.renew
        while True:
            await asyncio.sleep(wait)
            try:
                await renew()
                backoff.reset()
                wait = self._times.renew
            except OURS:
                if remaining() <= 0:
                    raise LeaseLost from None
                wait = backoff.next()


class Workers:
    """Claims runs for as many free hands as there are."""

    def __init__(self, queue: RunQueue, do: Callable[[Claimed], Awaitable[None]], *, count: int) -> None:
        """Prepare; of several hands, one is always kept from bulk work, so that nobody waits for a
        backfill.
        """
        self._queue, self._do, self._count = queue, do, count
        self.wake = asyncio.Event()
        self._bulk: dict[asyncio.Task[None], bool] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then runs go back to the queue at the instant."""
        backoff = Backoff(base=0.2, cap=5)
        try:
            while not stop.is_set():
                self.wake.clear()
                try:
                    claimed = await self._claim()
                    backoff.reset()
                except OURS as error:
                    log.warning("claim_failed", error=type(error).__name__)
                    await wait_or_stop(stop, backoff.next())
                    continue
                if not claimed:
                    await self._wait(stop)
        finally:
            await self._stop()

    async def _claim(self) -> bool:
        if len(self._bulk) >= self._count:
            return False
        free_for_bulk = self._count == 1 or sum(self._bulk.values()) < self._count - 1
        claimed = await self._queue.claim(bulk=free_for_bulk)
        if claimed is None:
            return False
        task = asyncio.create_task(self._done(claimed), name="run")
        self._bulk[task] = PRIORITIES.get(claimed.job.kind, 0) in BULK
        task.add_done_callback(self._ended)
        return True

    async def _done(self, claimed: Claimed) -> None:
        await self._do(claimed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._bulk.pop(task, None)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_broke_off", error=type(error).__name__, exc_info=error)

    async def _wait(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        waking = asyncio.ensure_future(self.wake.wait())
        try:
            await asyncio.wait({stopping, waking}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            waking.cancel()

    async def _stop(self) -> None:
        running = list(self._bulk)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _coverage(covered: Mapping[str, Spans] | None) -> tuple[Coverage, ...] | None:
    if covered is None:
        return None
    return tuple(
        Coverage(location_id=location, stream=ORDERS, from_at=from_us(start), to_at=from_us(end))
        for location, spans in sorted(covered.items())
        for start, end in spans
    )
