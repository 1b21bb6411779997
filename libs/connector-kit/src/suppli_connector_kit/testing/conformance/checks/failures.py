"""Processes that die, providers that fail, and answers that are not what was promised."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
from suppli_service_kit.testing.kill_points import Process, die_everywhere

from suppli_connector_kit.errors import AuthError
from suppli_connector_kit.testing.conformance.checks.reading import read_whole
from suppli_connector_kit.testing.conformance.harness import (
    Ability,
    Fault,
    Odd,
    ProviderHarness,
    Stream,
    Strike,
)
from suppli_connector_kit.testing.conformance.registry import Body, check
from suppli_connector_kit.testing.conformance.world import World, world

# --- a process that dies ----------------------------------------------------------------------------


class DyingTransport(httpx.AsyncBaseTransport):
    """A way to the provider on which a process may die before a request, and after it."""

    def __init__(self, process: Process, inner: httpx.AsyncBaseTransport) -> None:
        self._process, self._inner = process, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, as a call to the outside."""

        async def send() -> httpx.Response:
            response = await self._inner.handle_async_request(request)
            await response.aread()
            return response

        return await self._process.outside(f"request {request.url.path}", send)

    async def aclose(self) -> None:
        """Close what is inside."""
        await self._inner.aclose()


@dataclass
class _Life:
    """A shop of two pages and an order at a page's edge, synced by processes that die."""

    made: World
    seam: str

    async def live(self, process: Process) -> None:
        if self.seam == "request":
            wrapped = self.made.process(wrap=lambda inner: DyingTransport(process, inner))
            ended = await self.made.run(connector=wrapped, mortal=process)
        else:
            ended = await self.made.run(mortal=process, dies_publishing=True)
        assert ended.error is None, ended.error

    async def time_passes(self) -> None:
        """Nothing is held for longer than a process lives."""

    async def check(self) -> None:
        try:
            self.made.assert_true()
            (spans,) = self.made.ports.covered.values()
            assert spans[-1][1] == self.made.horizon(), "not covered up to now"
        finally:
            await self.made.close()


def _deaths(seam: str) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """A process that is killed would cost sales, or have them counted twice."""

        async def make() -> _Life:
            made = World(harness)
            await made.connect()
            # further apart than a run goes back over what is covered
            harness.put(made.orders(2 * harness.facts.page_size + 1, spread=timedelta(hours=1)))
            return _Life(made, seam)

        deaths = await die_everywhere(make)
        assert any(point.call.startswith(seam) for point in deaths.points), f"no {seam} was made"

    return body


check("a crash at every request loses nothing", slow=True)(_deaths("request"))
check("a crash at every publish loses nothing", slow=True)(_deaths("publish"))

# --- a provider that fails for a moment, or for long ------------------------------------------------


def _passing(fault: Fault) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """A hiccup of the provider would end a sync, or cost the page that it struck."""
        async with world(harness) as made:
            harness.put(made.orders(2 * harness.facts.page_size + 1))
            harness.strike(fault, replace(fault, after=fault.after + 2))
            await read_whole(made)

    return body


def _lasting(fault: Fault) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """The connection would be green while the provider is broken, and what is missing taken for read."""
        async with world(harness) as made:
            harness.put(made.some_pages())
            harness.strike(replace(fault, after=1, times=None))
            ended = await made.run()
            assert ended.error is not None, "a run that could not read was green"
            covered = [spans[-1][1] for spans in made.ports.covered.values()]
            assert made.horizon() not in covered, "what could not be read is covered"
            harness.strike()
            await read_whole(made)

    return body


for _name, _strike in (
    ("429 that names no time", Strike.RATE_LIMIT),
    ("5xx", Strike.SERVER_ERROR),
    ("reset connection", Strike.RESET),
    ("JSON that breaks off", Strike.TRUNCATED),
    ("page of HTML", Strike.HTML),
):
    check(f"a {_name} is outlived", slow=_strike is Strike.RATE_LIMIT)(_passing(Fault(_strike, after=1)))
    check(f"a {_name} that stays is no success", slow=_strike is Strike.RATE_LIMIT)(_lasting(Fault(_strike)))


@check("a 429 is not asked again before the time that it names", slow=True)
async def obeyed(harness: ProviderHarness) -> None:
    """The provider would make us wait longer each time, or shut the application out."""
    async with world(harness) as made:
        harness.put(made.orders(harness.facts.page_size + 3))
        harness.strike(Fault(Strike.RATE_LIMIT, after=1, retry_after=2))
        spied = SpiedTransport()
        ended = await made.run(connector=made.process(wrap=spied.over))
        assert ended.error is None, ended.error
        made.assert_true()
        assert spied.pauses, "nothing was asked again"
        assert min(spied.pauses) >= 2, f"it was asked again after {min(spied.pauses):.1f} s"


class SpiedTransport(httpx.AsyncBaseTransport):
    """Notes how long it takes from a 429 to the next request (s)."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._refused_at: float | None = None
        self._inner: httpx.AsyncBaseTransport | None = None

    def over(self, inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """Return itself over a transport."""
        self._inner = inner
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send."""
        assert self._inner is not None
        if self._refused_at is not None:
            self.pauses.append(time.monotonic() - self._refused_at)
            self._refused_at = None
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            self._refused_at = time.monotonic()
        return response

    async def aclose(self) -> None:
        """Close what is inside."""
        if self._inner is not None:
            await self._inner.aclose()


# --- a part of what is asked for --------------------------------------------------------------------


@check("a permission that the catalog lacks keeps no sale back, and shows", Ability.SCOPES)
async def partial(harness: ProviderHarness) -> None:
    """Sales would stay out for a permission that they do not need; or nobody learn that it is missing."""
    async with world(harness) as made:
        harness.put(made.orders(harness.facts.page_size + 3))
        harness.strike(Fault(Strike.SCOPE_REMOVED, Stream.CATALOG, times=None))
        ended = await made.run()
        assert isinstance(ended.error, AuthError), f"a catalog that may not be read is {ended.error!r}"
        made.assert_true()


@check("a permission that orders lack is no empty success")
async def refused(harness: ProviderHarness) -> None:
    """The connection would be green, and the shop have sold nothing."""
    async with world(harness) as made:
        harness.put(made.orders(harness.facts.page_size + 3))
        harness.strike(Fault(Strike.SCOPE_REMOVED, Stream.ORDERS, times=None))
        ended = await made.run()
        assert isinstance(ended.error, AuthError), f"orders that may not be read are {ended.error!r}"
        assert not made.ports.covered, "what may not be read is covered"


@check("unknown fields are read past")
async def unknown_fields(harness: ProviderHarness) -> None:
    """The day on which the provider adds a field would be the day on which sales stop."""
    async with world(harness) as made:
        orders = made.orders(5)
        harness.put(orders)
        harness.put_odd(orders[2], Odd.UNKNOWN_FIELDS)
        await read_whole(made)


@check("an order that cannot be understood is set aside alone")
async def set_aside(harness: ProviderHarness) -> None:
    """One odd order would stop all sales of its shop, or vanish without a word."""
    async with world(harness) as made:
        orders = made.orders(2 * harness.facts.page_size)
        harness.put(orders)
        bad = orders[harness.facts.page_size // 2]
        harness.put_odd(bad, Odd.BROKEN)
        await read_whole(made)
        assert set(made.ports.waiting) == {bad.order_id}, f"set aside: {set(made.ports.waiting) or 'none'}"
