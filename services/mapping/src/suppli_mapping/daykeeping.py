"""Keeping days: what runs cover, which way counts, and the statement of each day that changed.

Any replica may do any of it. A transaction takes what it works on with it, so a kill costs nothing; a switch
of the way that counts is made under the tenant's exclusive lock and said by the restatement, in chunks.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Protocol
from uuid import UUID

import msgspec
import sqlalchemy.exc
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.days import DayMoney, DayState, SalesDayStated
from suppli_service_kit import metrics, tracing
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.logs import get_logger
from suppli_service_kit.outbox import enqueue
from suppli_service_kit.waiting import Backoff, wait_or_stop

from suppli_mapping.adapters import heard, ledger, marks, queue, statements, ways
from suppli_mapping.adapters.heard import Heard, Offsets
from suppli_mapping.adapters.messages import day_stated, day_tombstone
from suppli_mapping.adapters.queue import Job, JobKind
from suppli_mapping.adapters.statements import GONE, PlaceDay, Stated
from suppli_mapping.domain.days import dates_between, difference
from suppli_mapping.domain.statements import Facts, JudgedWay, judge, past_weeks, stated, switches
from suppli_mapping.domain.ways import Way, WayKey

log = get_logger(__name__)

POLL_SECONDS = 1.0
QUIET_SECONDS = 1.0
LATEST_SECONDS = 30.0
CHUNK_DAYS = 100
RECENT_DAYS = 35
"""How many past days are stated again daily; older ones change only where their sales do."""
_DAY = timedelta(days=1)
_TOMBSTONE_AFTER = timedelta(days=30)

STATED = metrics.counter("suppli_mapping_days_stated_total", "Statements of business days.", ["state"])
SWITCHED = metrics.counter(
    "suppli_mapping_ways_switched_total", "Days of a way that began or ceased to count.", ["to"]
)


class RawSales(Protocol):
    """How far the ledger is with the raw sales."""

    async def ends(self) -> Offsets:
        """Return where each partition ends now; raises `KafkaError` or `OSError`."""
        ...

    async def read(self) -> Offsets:
        """Return up to where the ledger has each partition; raises likewise."""
        ...


class NeedsAlone(Exception):
    """A way is to be switched: the work is done again, with the tenant's exclusive lock."""


class DayKeeper:
    """Works off what was heard, the marks and the days that are due."""

    def __init__(
        self,
        database: Database,
        relay: Database,
        clock: Clock,
        raw_sales: RawSales,
        *,
        wake: Callable[[], None],
        quiet: float = QUIET_SECONDS,
        latest: float = LATEST_SECONDS,
    ) -> None:
        """Prepare.

        Args:
            database: with the application's role.
            relay: with the relay's role: sees queues and outbox of all tenants and nothing else.
            clock: the time that is said.
            raw_sales: how far the ledger is.
            wake: called when there is something to restate.
            quiet: a tenant's days are stated when nothing of it changed for so long (s),
            latest: or after so long (s) anyway.
        """
        self._database = database
        self._relay = relay
        self._clock = clock
        self._raw_sales = raw_sales
        self._wake = wake
        self._quiet, self._latest = quiet, latest
        self.backoff = Backoff(base=0.5, cap=15)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; failures of our own servers are waited out."""
        while not stop.is_set():
            try:
                worked = await self.round()
                self.backoff.reset()
            except (sqlalchemy.exc.SQLAlchemyError, KafkaError, OSError) as error:
                seconds = self.backoff.next()
                log.warning("days_not_kept", error=type(error).__name__, retry_in_seconds=round(seconds, 2))
                await wait_or_stop(stop, seconds)
                continue
            if not worked:
                await wait_or_stop(stop, POLL_SECONDS)

    async def round(self) -> int:
        """Do some of everything that is due; return how much that was."""
        now = self._clock.now()
        async with self._relay.transaction() as connection:
            waiting = await heard.waiting(connection)
            rounds = await statements.due_rounds(connection, now)
            marked = await marks.marked(connection)
            tenants = await marks.due_tenants(connection, quiet=self._quiet, latest=self._latest)
        worked = len(rounds)
        if waiting:
            worked += await self._hear(waiting)
        for tenant_id in rounds:
            await self._open_round(tenant_id, now)
        if marked:
            async with self._database.transaction() as connection:
                worked += await marks.fold(connection)
        for tenant_id in tenants:
            with tracing.span("state days", tenant=str(tenant_id)):
                worked += await self._keep(tenant_id)
        return worked

    async def _hear(self, waiting: Sequence[Heard]) -> int:
        """Let hold what runs said whose sales are in the ledger; return how many those were."""
        if unknown := [each.number for each in waiting if each.ends is None]:
            ends = await self._raw_sales.ends()
            async with self._database.transaction() as connection:
                await heard.set_ends(connection, unknown, ends)
            return len(unknown)
        read = await self._raw_sales.read()
        held = 0
        for each in waiting:
            if each.is_in(read):
                held += await self._hold(each)
        return held

    async def _hold(self, said: Heard) -> bool:
        async with self._database.transaction([said.tenant_id]) as connection:
            if not await heard.take(connection, said.number):
                return False
            tied = await ways.ties_of(connection, said.tenant_id, said.connection_id)
            changed: set[PlaceDay] = set()
            if said.coverage is not None:
                moved = await ways.put_coverage(
                    connection, said.tenant_id, said.connection_id, said.at, said.coverage
                )
                before, after = moved or ({}, {})
                for location, tie in tied.items():
                    news = difference(before.get(location, ()), after.get(location, ()))
                    changed |= {(tie.place, day) for day in dates_between(news, tie.zones)}
            filed = await ways.put_file_days(
                connection, said.tenant_id, said.connection_id, said.at, said.days
            )
            changed |= {(tied[location].place, day) for location, day in filed if location in tied}
            await marks.mark_days(connection, said.tenant_id, sorted(changed))
        return True

    async def _open_round(self, tenant_id: UUID, now: datetime) -> None:
        """Mark a tenant's recent days to be stated again, and end the keys of days deleted long ago."""
        async with self._database.transaction([tenant_id]) as connection:
            if not await statements.take_round(connection, tenant_id, now, now + _DAY):
                return
            recent = [now.date() - ago * _DAY for ago in range(RECENT_DAYS)]
            places = await statements.live_places(connection, tenant_id)
            days = [(place, day) for place, since in places for day in recent if day >= since]
            await marks.mark_days(connection, tenant_id, days, again=True)
            gone = await statements.buried(connection, tenant_id, now - _TOMBSTONE_AFTER)
            await enqueue(connection, [day_tombstone(tenant_id, *day) for day in gone])

    async def _keep(self, tenant_id: UUID) -> int:
        """Decide and state some of a tenant's days, alone with the tenant where a way is switched."""
        for alone in (False, True):
            try:
                async with self._database.transaction([tenant_id]) as connection:
                    await ledger.lock_tenants(connection, [tenant_id], exclusive=alone)
                    return await self._keep_in(connection, tenant_id, alone=alone)
            except NeedsAlone:
                continue
        raise AssertionError("alone with the tenant nothing is left to ask for")

    async def _keep_in(self, connection: AsyncConnection, tenant_id: UUID, *, alone: bool) -> int:
        taken = await marks.take_days(
            connection, tenant_id, quiet=self._quiet, latest=self._latest, limit=CHUNK_DAYS
        )
        if not taken:
            return 0
        days = [(each.location_id, each.business_date) for each in taken]
        again = {(each.location_id, each.business_date) for each in taken if each.again}
        last = await statements.last_stated(connection, tenant_id, days)
        judged = await _judge(connection, days)
        switching = {day: keys for day in days if (keys := switches(judged[day], day[1]))}
        if switching:
            if not alone:
                raise NeedsAlone
            await _switch(connection, tenant_id, switching, judged)
        settled = [day for day in days if day not in switching]
        if settled:
            await self._state(connection, tenant_id, settled, judged, last, again)
        if switching:
            self._wake()
        return len(taken)

    async def _state(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        days: Sequence[PlaceDay],
        judged: Mapping[PlaceDay, Sequence[JudgedWay]],
        last: Mapping[PlaceDay, Stated],
        again: set[PlaceDay],
    ) -> None:
        keys = [(day[0], (*each.way.key, day[1])) for day in days for each in judged[day]]
        money = await statements.money_of(connection, keys)
        now, traceparent = self._clock.now(), tracing.current_traceparent()
        said, changed = [], {}
        for day in days:
            event = _event(tenant_id, day, judged[day], money, now)
            content = _content_hash(event)
            held = last[day]
            if event.deleted and held.revision == 0:
                continue  # it never was
            if content == held.content_hash and day not in again:
                continue
            revision = held.revision + (content != held.content_hash)
            if content != held.content_hash:
                changed[day] = Stated(revision, content, None)
            said.append(day_stated(event, revision, traceparent))
            STATED.labels(event.state.value).inc()
        await statements.put_stated(connection, tenant_id, changed)
        await enqueue(connection, said)


async def _judge(connection: AsyncConnection, days: Sequence[PlaceDay]) -> dict[PlaceDay, list[JudgedWay]]:
    by_place: defaultdict[str, list[Way]] = defaultdict(list)
    for way in await ways.ways_at(connection, sorted({place for place, _ in days})):
        by_place[way.place].append(way)
    keys = [
        (*way.key, date_)
        for place, day in days
        for way in by_place[place]
        for date_ in (day, *past_weeks(day))
    ]
    orders = await ways.orders_on(connection, keys)
    connections = sorted({way.key[0] for each in by_place.values() for way in each})
    claims = await ways.claimed_at(connection, connections, sorted({day for _, day in days}))
    facts = Facts(orders, claims)
    return {(place, day): judge(by_place[place], day, facts) for place, day in days}


async def _switch(
    connection: AsyncConnection,
    tenant_id: UUID,
    switching: Mapping[PlaceDay, Sequence[WayKey]],
    judged: Mapping[PlaceDay, Sequence[JudgedWay]],
) -> None:
    """Let other ways count on these days from now on, and have what was said of them said again.

    What ceases to count is asked for first: better less for a moment than twice.
    """
    changes: defaultdict[WayKey, list[date]] = defaultdict(list)
    ending: list[Job] = []
    beginning: list[Job] = []
    for day, keys in switching.items():
        begins = {each.way.key for each in judged[day] if each.counts}
        for key in keys:
            changes[key].append(day[1])
            job = Job(tenant_id, JobKind.WAY, f"{key[0]}:{day[1].isoformat()}:{key[1]}")
            (beginning if key in begins else ending).append(job)
    await ways.put_switched(connection, tenant_id, changes)
    for jobs, to in ((ending, "superseded"), (beginning, "counts")):
        await queue.ask(connection, jobs)
        SWITCHED.labels(to).inc(len(jobs))


def _event(
    tenant_id: UUID,
    day: PlaceDay,
    judged: Sequence[JudgedWay],
    money: Mapping[ways.DayKey, tuple[DayMoney, ...]],
    now: datetime,
) -> SalesDayStated:
    state, until, its = stated(judged, money, day[1])
    return SalesDayStated(
        tenant_id=tenant_id,
        location_id=day[0],
        business_date=day[1],
        revision=0,
        at=now,
        state=state if its else DayState.UNKNOWN,
        covered_until=until,
        ways=its,
        deleted=not its,
    )


def _content_hash(event: SalesDayStated) -> str:
    """Return what tells a statement from another of the same day."""
    if event.deleted:
        return GONE
    content = (event.state, event.covered_until, event.ways)
    return sha256(msgspec.json.encode(content)).hexdigest()
