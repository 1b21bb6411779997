"""An afternoon of the scheduler, killed wherever it speaks with its database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from suppli_contracts.codec import decode, encode
from suppli_contracts.events import ConnectionChanged, Event, RunSync, SyncRunChanged
from suppli_contracts.events.connections import ConnectionState, Schedule, ScheduleKind
from suppli_contracts.events.sync import ErrorClass, RunError, RunState
from suppli_contracts.internal import RunRequest
from suppli_embedded.postgres import ServiceDatabase
from suppli_service_kit.clock import FixedClock
from suppli_service_kit.database import Database, database_at
from suppli_service_kit.kafka.messages import InMessage
from suppli_service_kit.outbox import unpack
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_sync_scheduler.adapters.store import Store
from suppli_sync_scheduler.claimer import Claimer
from suppli_sync_scheduler.domain.policy import Policy
from suppli_sync_scheduler.domain.runs import Lane
from suppli_sync_scheduler.handlers import Handlers
from suppli_sync_scheduler.scheduler import Scheduler

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOURLY = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=60)
# The clock leaps here: that is neither a downtime nor a connector that has fallen silent.
POLICY = Policy(late_after=timedelta(days=1), silent_after=timedelta(days=1))
Step = Callable[["Parts"], Awaitable[None]]


class Parts:
    """What a process of the service is made of."""

    def __init__(self, process: Process, urls: ServiceDatabase, clock: FixedClock) -> None:
        self.database = process.database(urls.app_url)
        self.scheduler = Scheduler(POLICY, clock, chance=lambda: 0.5)
        self.handlers = Handlers(self.database, self.scheduler, frozenset({"square"}))
        queue = process.database(urls.relay_url, pool=1)
        self.claimer = Claimer(
            queue, self.database, self.scheduler, clock=clock, policy=POLICY, poll_seconds=0.01
        )


class Afternoon:
    """Two shops that are due every hour: a failure that is tried again, a person in a hurry, a pause."""

    def __init__(self, urls: ServiceDatabase, database: Database, said: list[Counter[str]]) -> None:
        """Prepare; the first case of all, undisturbed, puts what was `said` there for the others."""
        self._urls, self._database, self._undisturbed = urls, database, said
        self._clock = FixedClock(NOON)
        self._shops = [self._connection(1), self._connection(2)]
        self._steps: list[Step] = [
            self._hear_of_the_shops,
            self._at(timedelta(hours=1)),  # both are due
            self._report({0: ("running", "succeeded"), 1: ("running", "failed")}),
            self._at(timedelta(hours=1, seconds=15)),  # the second is tried again
            self._ask,
            self._report({0: ("running",), 1: ("running", "succeeded")}),
            self._at(
                timedelta(hours=2)
            ),  # both are due; the first is still running, so a follow-up is booked
            self._report({0: ("succeeded",), 1: ("succeeded",)}),
            self._report({0: ("running", "succeeded")}),
            self._pause,
            self._at(timedelta(hours=3)),  # only the first is due
        ]
        self._reports: dict[int, list[InMessage]] = {}
        self._sequence: Counter[tuple[UUID, int]] = Counter()
        self._done = 0
        self._asked = 0

    async def made(self) -> Afternoon:
        """Empty the tables: the due queue knows no tenants."""
        with psycopg.connect(self._urls.owner_url.replace("+psycopg", ""), autocommit=True) as owner:
            owner.execute("truncate connections, runs, due, outbox")
        return self

    async def live(self, process: Process) -> None:
        parts = Parts(process, self._urls, self._clock)
        while self._done < len(self._steps):
            await self._steps[self._done](parts)
            await process.outside("commit of offsets", self._go_on)

    async def time_passes(self) -> None:
        await asyncio.sleep(0)  # the scheduler holds nothing beyond its transactions

    async def check(self) -> None:
        said = self._said()
        commands = [event for event in said if isinstance(event, RunSync)]
        for shop, runs in zip(self._shops, (4, 2), strict=True):
            mine = {each.run_id for each in commands if each.connection_id == shop.connection_id}
            assert len(mine) == runs, "one run for each time that was due, and for the person"
        told = Counter((each.run_id, each.attempt) for each in commands)
        repeated = sum(told.values()) - len(told)
        assert repeated < self._asked, "an attempt is commanded again only for a person who asks again"
        assert sorted(attempt for _, attempt in told) == [1, 1, 1, 1, 1, 1, 2]
        lanes = [await self._lane(shop) for shop in self._shops]
        assert [lane.follow_up for lane in lanes] == [None, None]
        assert [lane.active and lane.active.state for lane in lanes] == [RunState.QUEUED, None]
        same = Counter(self._neutral(event) for event in said)
        if not self._undisturbed:
            self._undisturbed.append(same)
        assert set(same) == set(self._undisturbed[0]), "what was said is what would have been said"
        if self._asked == 1:
            assert same == self._undisturbed[0], "and as often"

    async def _go_on(self) -> None:
        self._done += 1

    async def _hear_of_the_shops(self, parts: Parts) -> None:
        await parts.handlers.on_connections([_message(shop) for shop in self._shops])

    async def _pause(self, parts: Parts) -> None:
        paused = msgspec.structs.replace(self._shops[1], revision=2, state=ConnectionState.PAUSED)
        await parts.handlers.on_connections([_message(paused)])

    async def _ask(self, parts: Parts) -> None:
        """Ask for the first shop's sync, as a person who asks again after no answer."""
        shop = self._shops[0]
        self._asked += 1
        async with parts.database.transaction([shop.tenant_id]) as connection:
            await parts.scheduler.request(connection, shop.connection_id, shop.tenant_id, RunRequest())

    def _at(self, since_noon: timedelta) -> Step:
        async def look(parts: Parts) -> None:
            self._clock.advance(NOON + since_noon - self._clock.now())
            assert await parts.claimer.look() == 0

        return look

    def _report(self, states: dict[int, tuple[str, ...]]) -> Step:
        """Let the connectors say of their active runs what becomes of them; said again, it is the same."""

        async def hear(parts: Parts) -> None:
            if self._done not in self._reports:
                self._reports[self._done] = [
                    await self._outcome(self._shops[number], RunState(state))
                    for number, each in states.items()
                    for state in each
                ]
            await parts.handlers.on_sync_events(self._reports[self._done])

        return hear

    async def _outcome(self, shop: ConnectionChanged, state: RunState) -> InMessage:
        run = (await self._lane(shop)).active
        assert run is not None
        self._sequence[run.run_id, run.attempt] += 1
        error = RunError(error_class=ErrorClass.NETWORK, message="The connection broke.")
        return _message(
            SyncRunChanged(
                tenant_id=shop.tenant_id,
                connection_id=shop.connection_id,
                provider="square",
                run_id=run.run_id,
                attempt=run.attempt,
                sequence=self._sequence[run.run_id, run.attempt],
                kind=run.kind,
                state=state,
                at=self._clock.now(),
                error=error if state is RunState.FAILED else None,
            )
        )

    async def _lane(self, shop: ConnectionChanged) -> Lane:
        async with self._database.transaction([shop.tenant_id]) as connection:
            return (await Store(connection).lanes([shop.connection_id])).get(shop.connection_id, Lane())

    def _said(self) -> list[Event]:
        """Return what is in the outbox, in its order; who publishes it is the relay."""
        with psycopg.connect(self._urls.relay_url.replace("+psycopg", "")) as relay:
            rows = relay.execute("select messages from outbox order by id").fetchall()
        messages = [each for row in rows for each in unpack(row[0])]
        return [decode({k: v.decode() for k, v in each.headers}, each.value or b"")[1] for each in messages]

    def _neutral(self, event: Any) -> str:
        """Return an event without what is made anew each time: shops by their number, no ids of runs."""
        number = [shop.connection_id for shop in self._shops].index(event.connection_id)
        values = {
            name: getattr(event, name)
            for name in event.__struct_fields__
            if name not in ("tenant_id", "connection_id", "run_id")
        }
        return f"{type(event).__name__} {number} {values}"

    @staticmethod
    def _connection(number: int) -> ConnectionChanged:
        return ConnectionChanged(
            tenant_id=UUID(int=number),
            connection_id=UUID(int=number),  # due times are spread by it
            revision=1,
            provider="square",
            environment="sandbox",
            state=ConnectionState.CONNECTED,
            changed_at=NOON,
            schedule=HOURLY,
            start_date=date(2026, 5, 1),
        )


def _message(event: Event) -> InMessage:
    key, value, headers = encode(event, event_id=str(uuid4()), source="suppli/test", time=NOON)
    return InMessage("t", 0, 0, key, value, {name: text.decode() for name, text in headers}, 0)


@pytest.fixture
async def watching(database: ServiceDatabase) -> AsyncIterator[Database]:
    opened = database_at(database.app_url, pool=1)
    yield opened
    await opened.close()


async def test_a_scheduler_killed_anywhere_makes_one_run_for_each_due_time(
    database: ServiceDatabase, watching: Database
) -> None:
    """A shop would be synced twice, or not at all until somebody wonders."""
    said: list[Counter[str]] = []
    deaths = await die_everywhere(lambda: Afternoon(database, watching, said).made())
    calls = " ".join(deaths.calls())
    for part in ("from due", "select connection_id", "commit of"):
        assert part in calls, part
