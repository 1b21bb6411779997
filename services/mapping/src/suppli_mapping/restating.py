"""Saying lines again, in chunks, after a mapping, a location's tie or the way that counts on a day changed;
and erasing connections.

The switch itself was made under the tenant's exclusive lock, so every sale taken since is said with the
new state:
what is left is finite. A chunk is one transaction; killed anywhere, the work goes on from the last whole
chunk.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.sales import Cause
from suppli_service_kit import metrics, tracing
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.direct import DirectPublisher, Parcel
from suppli_service_kit.logs import get_logger
from suppli_service_kit.outbox import backlog, enqueue
from suppli_service_kit.waiting import Backoff, wait_or_stop

from suppli_mapping.adapters import entries, ledger, marks, messages, queue
from suppli_mapping.adapters import items as item_store
from suppli_mapping.adapters.items import RulesCache
from suppli_mapping.adapters.ledger import Line, Order
from suppli_mapping.adapters.marks import Marks
from suppli_mapping.adapters.places import KnownConnection, load_connections
from suppli_mapping.adapters.queue import Extent, Job, JobKind
from suppli_mapping.adapters.sql import fetch
from suppli_mapping.announcing import announcements
from suppli_mapping.books import books
from suppli_mapping.domain.diff import Change
from suppli_mapping.domain.entries import Book, LineState, Place
from suppli_mapping.domain.restate import say
from suppli_mapping.erasing import CHUNK_ORDERS, erase_chunk

log = get_logger(__name__)

CHUNK_LINES = 1_000  # make up to 2,000 messages: the next chunk is said while they are published
OUTBOX_LIMIT = 2_000
POLL_SECONDS = 1.0
YIELD_SECONDS = 0.02

RESTATED = metrics.counter("suppli_mapping_restated_lines_total", "Lines said again.", ["kind"])
_UNKNOWN = KnownConnection()
_EMPTY_BOOK = Book({}, {})


class Restater:
    """Works off the queue; any number of replicas may."""

    def __init__(
        self,
        database: Database,
        relay: Database,
        clock: Clock,
        direct: DirectPublisher,
        *,
        chunk_lines: int = CHUNK_LINES,
        outbox_limit: int = OUTBOX_LIMIT,
    ) -> None:
        """Prepare.

        Args:
            database: with the application's role.
            relay: with the relay's role: sees queue and outbox of all tenants and nothing else.
            clock: the time that is said.
            direct: publishes the product sales.
            chunk_lines: most lines of an item in one transaction.
            outbox_limit: work waits while more messages than this are in the outbox.
        """
        self._database = database
        self._relay = relay
        self._clock = clock
        self._direct = direct
        self._chunk_lines = chunk_lines
        self._outbox_limit = outbox_limit
        self._rules = RulesCache()
        self._woken = asyncio.Event()
        self.backoff = Backoff(base=0.2, cap=15)

    def wake(self) -> None:
        """Say that there is work; otherwise it is found within a second."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; failures of the database are waited out."""
        while not stop.is_set():
            try:
                worked = await self.round(stop)
                self.backoff.reset()
            except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
                seconds = self.backoff.next()
                log.warning(
                    "restatement_failed", error=type(error).__name__, retry_in_seconds=round(seconds, 2)
                )
                await wait_or_stop(stop, seconds)
                continue
            if not worked:
                await self._idle(stop)

    async def round(self, stop: asyncio.Event | None = None) -> int:
        """Do one chunk of every waiting job; return how many chunks were done."""
        async with self._relay.transaction() as connection:
            jobs = await queue.due(connection)
        worked = 0
        for job in jobs:
            if not await self._outbox_has_room(stop):
                break
            with tracing.span("restate chunk", job=job.kind.value, subject=job.subject):
                worked += await self.chunk(job)
        return worked

    async def chunk(self, job: Job) -> bool:
        """Do one chunk of a job in one transaction; return whether it was ours to do."""
        parcel: Parcel | None = None
        async with self._database.transaction([job.tenant_id]) as connection:
            # First the tenant, then the job: who changes a mapping takes them in this order too.
            await ledger.lock_tenants(connection, [job.tenant_id])
            extent = await queue.claim(connection, job)
            if extent is None:
                return False
            if job.kind is JobKind.ITEM:
                parcel = await self._item_chunk(connection, job)
            elif job.kind is JobKind.PLACE:
                parcel = await self._place_chunk(connection, job, extent)
            elif job.kind is JobKind.WAY:
                parcel = await self._way_chunk(connection, job, extent)
            else:
                await erase_chunk(connection, job, extent.bound)
        self._direct.send(parcel)
        return True

    async def _idle(self, stop: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(self._woken.wait()), asyncio.ensure_future(stop.wait())}
        try:
            await asyncio.wait(waits, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._woken.clear()

    async def _outbox_has_room(self, stop: asyncio.Event | None) -> bool:
        while True:
            async with self._relay.transaction() as connection:
                if (await backlog(connection)).messages <= self._outbox_limit:
                    return True
            if stop is None or await wait_or_stop(stop, YIELD_SECONDS):
                return False

    async def _item_chunk(self, connection: AsyncConnection, job: Job) -> Parcel | None:
        item_id = UUID(job.subject)
        rows = await fetch(
            connection,
            """
            select distinct order_no from (
                select order_no from ledger_lines
                where item_id = %(item)s and said_revision < (select revision from items where item_id =
                %(item)s)
                order by said_revision limit %(limit)s) as old
            """,
            {"item": item_id, "limit": self._chunk_lines},
        )
        if not rows:
            await queue.finish(connection, job)
            return None
        order_nos = [row[0] for row in rows]
        await ledger.lock_orders(connection, order_nos)
        lines = await ledger.lines_of(connection, order_nos, old_of_item=item_id)
        return await self._say_again(connection, job, lines)

    async def _place_chunk(self, connection: AsyncConnection, job: Job, extent: Extent) -> Parcel | None:
        connection_id, _, location_id = job.subject.partition(":")
        rows = await fetch(
            connection,
            """
            select id from orders where connection_id = %s and location_id = %s and id > %s and id <= %s
            order by id limit %s
            """,
            (UUID(connection_id), location_id, extent.cursor, extent.bound, CHUNK_ORDERS),
        )
        if not rows:
            await queue.finish(connection, job)
            return None
        order_nos = [row[0] for row in rows]
        await ledger.lock_orders(connection, order_nos)
        lines = await ledger.lines_of(connection, order_nos)
        parcel = await self._say_again(connection, job, lines)
        await queue.advance(connection, job, order_nos[-1])
        return parcel

    async def _way_chunk(self, connection: AsyncConnection, job: Job, extent: Extent) -> Parcel | None:
        connection_text, day_text, location_id = job.subject.split(":", 2)
        connection_id, day = UUID(connection_text), date.fromisoformat(day_text)
        rows = await fetch(
            connection,
            """
            select order_no from order_days where connection_id = %s and business_date = %s
                and location_id = %s and order_no > %s and order_no <= %s
            order by order_no limit %s
            """,
            (connection_id, day, location_id, extent.cursor, extent.bound, CHUNK_ORDERS),
        )
        if not rows:
            if extent.cursor == 0:  # without orders no chunk has marked the day
                places = await load_connections(connection, [connection_id])
                place = places.get((job.tenant_id, connection_id), _UNKNOWN).place(location_id)
                if place.location_id is not None:
                    await marks.mark_days(connection, job.tenant_id, [(place.location_id, day)])
            await queue.finish(connection, job)
            return None
        order_nos = [row[0] for row in rows]
        await ledger.lock_orders(connection, order_nos)
        lines = [
            line for line in await ledger.lines_of(connection, order_nos) if line.part.business_date == day
        ]
        parcel = await self._say_again(connection, job, lines)
        await queue.advance(connection, job, order_nos[-1])
        return parcel

    async def _say_again(self, connection: AsyncConnection, job: Job, lines: Sequence[Line]) -> Parcel | None:
        if not lines:
            return None
        known = await item_store.load_items(connection, {line.part.item_id for line in lines}, self._rules)
        book = (await books(connection, known)).get(job.tenant_id, _EMPTY_BOOK)
        places = await load_connections(connection, {line.order.connection_id for line in lines})
        stored = await entries.entries_of(connection, sorted({line.order.order_no for line in lines}))
        by_order: defaultdict[Order, list[Line]] = defaultdict(list)
        for line in lines:
            by_order[line.order].append(line)
        states: list[tuple[Line, int, LineState]] = []
        touched = Marks()
        changed: list[tuple[Order, Change]] = []
        for order, its_lines in by_order.items():
            about = {(line.part.line_id, line.part.part) for line in its_lines}
            place = places.get((order.tenant_id, order.connection_id), _UNKNOWN).place(order.location_id)
            said = say(
                order.connection_id,
                order.order_id,
                [(line.part, _cause(line, place)) for line in its_lines],
                {
                    key: entry
                    for key, entry in stored.get(order.order_no, {}).items()
                    if (entry.standing.line_id, entry.standing.part) in about
                },
                book=book,
                place=place,
                default=Cause.MAPPING,
            )
            states += [(line, *state) for line, state in zip(its_lines, said.states, strict=True)]
            changed += [(order, change) for change in said.changes]
            for line in its_lines:
                touched.add(order.tenant_id, place.location_id, line.part.business_date)
            for change in said.changes:  # also where it stood before its location's tie changed
                touched.add(order.tenant_id, change.standing.location_id, change.standing.business_date)
        await entries.put_entries(connection, changed)
        await ledger.mark_said(connection, states)
        await touched.write(connection)
        await self._announce(connection, states, known)
        RESTATED.labels(job.kind).inc(len(lines))
        return await self._write(connection, job, changed, places)

    async def _write(
        self,
        connection: AsyncConnection,
        job: Job,
        changed: Sequence[tuple[Order, Change]],
        places: dict[tuple[UUID, UUID], KnownConnection],
    ) -> Parcel | None:
        speaker = messages.Speaker(
            job.tenant_id, at=self._clock.now(), traceparent=tracing.current_traceparent()
        )
        said = [
            speaker.product_sale(
                order, change, places.get((order.tenant_id, order.connection_id), _UNKNOWN).first_day
            )
            for order, change in changed
        ]
        return await self._direct.write(connection, said)

    async def _announce(
        self,
        connection: AsyncConnection,
        states: Sequence[tuple[Line, int, LineState]],
        known: dict[tuple[UUID, UUID], item_store.KnownItem],
    ) -> None:
        parked = {line.part.item_id for line, _, state in states if state is LineState.PARKED}
        waiting = {
            item_id for (_, item_id), item in known.items() if item_id in parked and not item.announced
        }
        if waiting:
            said = await announcements(connection, waiting, self._clock.now(), tracing.current_traceparent())
            await enqueue(connection, said)


def _cause(line: Line, place: Place) -> Cause:
    """Return why a line is said again: another way of the same sales counts now, or another mapping holds."""
    superseded = not place.counts(line.part.business_date)
    return Cause.SUPERSEDED if superseded != (line.state is LineState.SUPERSEDED) else Cause.MAPPING
