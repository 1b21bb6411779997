"""What /metrics says of connections, read as Prometheus would, after the real thing moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from suppli_connector_kit import upkeep
from suppli_connector_kit.adapters.token_times import Figures, TokenTimes
from suppli_connector_kit.domain.freshness import DAILY
from suppli_contracts.events.connections import ConnectionState, Schedule, ScheduleKind
from suppli_contracts.events.sync import RunKind
from suppli_service_kit import metrics

World = Any  # the fixture of conftest.py

EVERY_HOUR = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=60)
BEHIND, OLDEST = "suppli_connector_stale_connections", "suppli_connector_oldest_freshness_seconds"
EXPIRING = "suppli_connector_tokens_near_expiry"


def read(name: str, **labels: str) -> float:
    """Return the sum of a metric's samples, from the text that is served."""
    families = text_string_to_metric_families(metrics.metrics_response().decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


class Moved:
    """A clock that is moved forward."""

    def __init__(self, world: World) -> None:
        self._clock, self.by = world.clock, timedelta()

    def now(self) -> Any:
        return self._clock.now() + self.by


class Counted(TokenTimes):
    """Counts how often the figures were read."""

    looks = 0

    async def figures(self) -> Figures:
        self.looks += 1
        return await super().figures()


@asynccontextmanager
async def measured(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Moved]:
    """Let the figures be measured again and again, by a clock that can be moved."""
    monkeypatch.setattr(upkeep, "MEASURE_SECONDS", 0.02)
    clock, stop = Moved(world), asyncio.Event()
    times = Counted(world.database, world.queue_database, provider="memory", clock=clock)
    loop = upkeep.Upkeep(world.provider, world.keeper, times, clock=world.clock)
    measuring = asyncio.create_task(loop.measure(stop))
    try:
        await shows(world, lambda: times.looks > 1)  # what an earlier test left is measured anew
        yield clock
    finally:
        stop.set()
        await measuring
        await world.book.store_connections([world.settings(99, state=ConnectionState.DISCONNECTED)])


async def shows(world: World, condition: Callable[[], bool]) -> None:
    async def seen() -> bool:
        return condition()

    await world.until(seen)


async def test_a_connection_that_falls_behind_its_schedule_shows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's sales would stop coming in, and no alarm would ring before a person complains."""
    async with measured(world, monkeypatch) as clock:
        before = read(BEHIND)
        await world.connect(schedule=EVERY_HOUR)
        await world.sync()
        clock.by = timedelta(hours=2, minutes=50)
        await shows(world, lambda: read(OLDEST) >= clock.by.total_seconds())
        assert read(BEHIND) == before, "three intervals are not over"
        clock.by = timedelta(hours=3, minutes=10)
        await shows(world, lambda: read(BEHIND) == before + 1)
        clock.by = timedelta()
        await world.sync()
        await shows(world, lambda: read(BEHIND) == before and read(OLDEST) < 60)


async def test_what_nobody_expects_is_not_behind_and_what_never_came_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alarm that rings for paused shops is switched off, and then misses the one that never began."""
    async with measured(world, monkeypatch) as clock:
        before = read(BEHIND)
        await world.connect(schedule=EVERY_HOUR)  # nothing is ever covered
        clock.by = timedelta(hours=3, minutes=10)
        await shows(world, lambda: read(BEHIND) == before + 1)
        for number, quiet in enumerate(
            ({"state": ConnectionState.PAUSED}, {"schedule": Schedule()}, {"start_date": None}), 2
        ):
            settings = {"schedule": EVERY_HOUR} | quiet
            await world.book.store_connections([world.settings(number, **settings)])
            await shows(world, lambda: read(BEHIND) == before)
        await world.book.store_connections([world.settings(9, schedule=EVERY_HOUR)])
        daily = Schedule(kind=ScheduleKind.DAILY, daily_at="04:00")
        await world.book.store_connections([world.settings(10, schedule=daily)])
        await shows(world, lambda: read(BEHIND) == before)
        clock.by = DAILY + timedelta(minutes=1)
        await shows(world, lambda: read(BEHIND) == before + 1)


async def test_a_token_whose_refresh_is_overdue_shows_before_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every shop of a provider would stop at the same hour, with a day to prevent it gone unused."""
    world.provider._token_seconds = 10 * 86_400
    async with measured(world, monkeypatch) as clock:
        before = read(EXPIRING)
        await world.connect(schedule=EVERY_HOUR)
        clock.by = timedelta(days=8)
        await shows(world, lambda: read(OLDEST) >= clock.by.total_seconds())
        assert read(EXPIRING) == before, "its refresh is overdue, its end not near"
        clock.by = timedelta(days=9, hours=1)
        await shows(world, lambda: read(EXPIRING) == before + 1)
        clock.by = timedelta()
        await shows(world, lambda: read(EXPIRING) == before)


async def test_runs_are_counted_by_what_became_of_them(world: World) -> None:
    """A provider that fails every second run would look like one that works."""

    def runs(outcome: str) -> float:
        return read("suppli_connector_runs_total", kind="sweep", outcome=outcome)

    before = {outcome: runs(outcome) for outcome in ("succeeded", "failed")}
    await world.connect()
    await world.sync(RunKind.SWEEP)
    assert runs("succeeded") == before["succeeded"] + 1
    world.provider.access_tokens.clear()
    world.provider.refresh_tokens.clear()
    await world.sync(RunKind.SWEEP)
    assert runs("failed") == before["failed"] + 1
