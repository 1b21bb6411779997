"""Never faster than the provider allows: as the provider itself saw it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from suppli_connector_kit.testing.conformance.harness import (
    Ability,
    Fault,
    ProviderHarness,
    Stream,
    Strike,
)
from suppli_connector_kit.testing.conformance.registry import check
from suppli_connector_kit.testing.conformance.world import NOW, World, world

_SECONDS = 1.6  # of calls without a pause
_PROCESSES = 2
_TASKS = 16  # each asks as soon as it is answered: many times what any provider allows


async def _without_a_pause(made: World, delay: float) -> None:
    """Ask by as many tasks as would go beyond every limit, as two processes with production's budget."""
    harness = made.harness
    harness.strike(Fault(Strike.SLOW, Stream.ANY, times=None, delay=delay))
    until = asyncio.get_running_loop().time() + _SECONDS

    async def ask(number: int) -> None:
        connector = connectors[number % _PROCESSES]
        session = made.session(connector)
        while asyncio.get_running_loop().time() < until:
            await connector.orders_by_id(session, [f"ORDER{number:08}"])

    connectors = [made.process(None) for _ in range(_PROCESSES)]
    await asyncio.gather(*(ask(number) for number in range(_TASKS)))


@check("the provider sees no more calls a second than it allows", slow=True)
async def rate(harness: ProviderHarness) -> None:
    """The provider would turn all our shops away."""
    async with world(harness) as made:
        harness.put([made.order(1, age=timedelta(hours=1))])
        await _without_a_pause(made, 0.0)
        seen, allowed = harness.rates().per_second, harness.facts.calls_per_second
        assert 1 < seen <= allowed, f"{seen} calls within a second, {allowed} are allowed"


@check("the provider sees no more calls at once than it allows", Ability.CALLS_IN_FLIGHT, slow=True)
async def in_flight(harness: ProviderHarness) -> None:
    """The provider would turn the shop's calls away, for longer each time."""
    async with world(harness, now=NOW) as made:
        harness.put([made.order(1, age=timedelta(hours=1))])
        await _without_a_pause(made, 0.5)
        seen, allowed = harness.rates().in_flight, harness.facts.calls_in_flight
        assert allowed is not None
        assert 1 < seen <= allowed, f"{seen} calls at once, {allowed} are allowed"
