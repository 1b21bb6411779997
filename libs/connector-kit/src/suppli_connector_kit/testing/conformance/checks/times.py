"""Instants: many alike, fine and coarse, odd days, a long past, and how far coverage may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from suppli_connector_kit.domain.coverage import missing
from suppli_connector_kit.domain.instants import HOUR_US
from suppli_connector_kit.testing.conformance.checks.reading import read_whole
from suppli_connector_kit.testing.conformance.harness import Ability, ProviderHarness
from suppli_connector_kit.testing.conformance.registry import Body, check
from suppli_connector_kit.testing.conformance.world import NOW, World, world

SPRING = datetime(2026, 3, 8, tzinfo=ZoneInfo("America/New_York"))
AUTUMN = datetime(2026, 11, 1, tzinfo=ZoneInfo("America/New_York"))


@check("more orders than a page at one instant are all read")
async def one_instant(harness: ProviderHarness) -> None:
    """When a till comes online again, hundreds of sales have one stamp: those beyond a page would be lost."""
    async with world(harness) as made:
        at = NOW - timedelta(hours=2)
        count = 2 * harness.facts.page_size + 1
        later = made.order(count, at=at + timedelta(seconds=1))
        harness.put([*(made.order(number, at=at) for number in range(count)), later])
        await read_whole(made)


@check("orders of whole seconds are all read")
async def whole_seconds(harness: ProviderHarness) -> None:
    """Where pages meet within a second, sales of that second would be lost."""
    async with world(harness) as made:
        start = NOW - timedelta(hours=2)
        count = 3 * harness.facts.page_size - 3
        harness.put([made.order(n, at=start + timedelta(seconds=n // 4)) for n in range(count)])
        await read_whole(made)


@check("orders of one second, microseconds apart, are all read", Ability.FRACTIONS)
async def microseconds(harness: ProviderHarness) -> None:
    """A window cut to whole seconds or milliseconds would lose the sales at its edges."""
    async with world(harness) as made:
        start = NOW - timedelta(hours=2)
        count = 3 * harness.facts.page_size - 3
        harness.put([made.order(n, at=start + timedelta(microseconds=97 * n)) for n in range(count)])
        await read_whole(made)
        # the newest of them may be the last thing that a run sees
        harness.put([made.order(count, at=NOW - timedelta(microseconds=1))])
        await read_whole(made)


def _hours_of(midnight: datetime) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """Sales would count on the day before or after, and day totals not be the shop's."""
        now = midnight.astimezone(UTC) + timedelta(days=2)
        async with world(harness, now=now) as made:
            hours = [midnight.astimezone(UTC) + timedelta(minutes=30 * n - 60) for n in range(54)]
            harness.put([made.order(number, at=at) for number, at in enumerate(hours)])
            await read_whole(made)
            zone = ZoneInfo(harness.facts.zone)
            days = {item[1] for content in made.published().values() for item in content}
            assert days == {hour.astimezone(zone).date() for hour in hours}

    return body


check("a day of 23 hours has its own sales")(_hours_of(SPRING))
check("a day of 25 hours has its own sales")(_hours_of(AUTUMN))


@check("a long past is read whole")
async def long_past(harness: ProviderHarness) -> None:
    """A first import of a year would be short, and green."""
    async with world(harness) as made:
        made.start_date = (NOW - timedelta(days=420)).date()
        harness.put([made.order(number, age=timedelta(days=20 * number, hours=1)) for number in range(20)])
        await read_whole(made)


@check("coverage only grows, and ends at the provider's clock less the lag")
async def coverage_grows(harness: ProviderHarness) -> None:
    """What the provider wrote in the meantime would be taken for read."""
    async with world(harness) as made:
        made.clock.advance(timedelta(minutes=30))  # ours is ahead of the provider's
        harness.put(made.some_pages())
        await read_whole(made)
        _assert_grew(made, NOW)
        later = NOW + timedelta(hours=1)
        harness.set_clock(later)
        made.clock.advance(timedelta(minutes=10))  # now it is behind
        harness.put([made.order(1000, at=later - timedelta(minutes=30))])
        await read_whole(made)
        _assert_grew(made, later)


def _assert_grew(made: World, provider_now: datetime) -> None:
    history = made.ports.history
    for before, after in pairwise(history):
        for location, spans in before.items():
            lost = [span for each in spans for span in missing(after[location], each)]
            assert not lost, f"coverage of {location} lost {lost}"
    ends = {spans[-1][1] for spans in made.ports.covered.values()}
    assert ends == {made.horizon(provider_now)}, "coverage does not end at the provider's clock less the lag"
    assert max(spans[-1][1] for each in history for spans in each.values()) == max(ends)


@check("coverage that reaches into the future is an error")
async def from_the_future(harness: ProviderHarness) -> None:
    """A connection would be green and import nothing until that time has come."""
    async with world(harness) as made:
        harness.put(made.orders(5))
        await read_whole(made)
        ((start, end),) = made.ports.covered[made.locations[0]]
        made.ports.covered[made.locations[0]] = ((start, end + 5 * HOUR_US),)
        ended = await made.run()
        assert ended.error is not None, "a run whose coverage lies in the future was green"
