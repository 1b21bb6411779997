"""A connection of ours at the provider under test: real engine, real tokens' keeper, ports in memory."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import SaleRecorded
from suppli_contracts.events.sync import RunKind
from suppli_service_kit.clock import FixedClock
from suppli_service_kit.retry import RetryPolicy
from suppli_service_kit.testing.kill_points import Process

from suppli_connector_kit.budgets import LocalLedger
from suppli_connector_kit.client import Budget
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.engine.ports import Job, Limits, Tally
from suppli_connector_kit.engine.run import SyncRun
from suppli_connector_kit.errors import ProviderError
from suppli_connector_kit.protocol import Connector
from suppli_connector_kit.testing.conformance.harness import ProviderHarness, ShopLine, ShopOrder, Wrap
from suppli_connector_kit.testing.memory import MemoryPorts, MemoryTokenBook, MemoryVault
from suppli_connector_kit.tokens.keeper import AccountKey, KeeperTimes, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_connector_kit.tokens.session import KeptSession

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
"""When the checks happen; the night of 8 March was an hour shorter in New York."""
KEY = AccountKey(UUID(int=1), UUID(int=2))
LAG = timedelta(seconds=2)
RETRIES = RetryPolicy(attempts=3, base=0.005, cap=2)
UNHURRIED = Budget(rate=10_000, burst=10_000, retries=RETRIES)
"""No budget to wait for: what a check is not about costs it no time."""

Content = frozenset[tuple[str, date, int, int]]
"""What an order sold: item, business date, quantity, net."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `error` is None where it is shown as succeeded."""

    error: ProviderError | None
    tally: Tally


class World:
    """A shop, its provider, and what we know of it.

    Attributes:
        ports: what is recorded and published.
        clock: ours; the provider's is the harness's.
        locations: the account's.
    """

    def __init__(self, harness: ProviderHarness, *, locations: int = 1, now: datetime = NOW) -> None:
        self.harness = harness
        self.facts = harness.facts
        self.clock = FixedClock(now)
        self.locations = tuple(harness.begin(now, locations))
        self.start_date = (now - timedelta(days=30)).date()
        application = harness.application
        connector, client = harness.open(UNHURRIED)
        self._clients = [client]
        self._connector = connector
        self.manifest = connector.manifest
        self.ports = MemoryPorts(lambda: connector.normaliser_revision)
        self.vault = MemoryVault(self.manifest.provider, application.client_id, application.client_secret)
        self.book = MemoryTokenBook()
        self.ledger = LocalLedger()
        self._fence = 0

    async def connect(self) -> None:
        """Authorize the account."""
        stored = StoredTokens(self.harness.issue(), self.clock.now())
        await self.keeper(self._connector).keep(KEY, stored)

    def keeper(self, connector: Connector[Any]) -> TokenKeeper:
        """Return the tokens' keeper of a process of ours."""
        times = KeeperTimes(call=5, write=2)
        return TokenKeeper(connector, self.vault, self.book, clock=self.clock, times=times)

    def process(self, budget: Budget | None = UNHURRIED, wrap: Wrap | None = None) -> Connector[Any]:
        """Return the connector of another process; all of them share their budgets, as through a database."""
        connector, client = self.harness.open(budget, wrap)
        client.share(self.ledger)
        self._clients.append(client)
        return connector

    def session(self, connector: Connector[Any]) -> KeptSession:
        """Return the account's session in that process."""
        return KeptSession(
            self.keeper(connector), KEY, account_id=self.harness.account_id, environment="production"
        )

    async def close(self) -> None:
        """Close all connections to the provider."""
        for client in self._clients:
            await client.close()

    async def run(
        self,
        kind: RunKind = RunKind.MANUAL,
        *,
        connector: Connector[Any] | None = None,
        ports: MemoryPorts | None = None,
        mortal: Process | None = None,
        dies_publishing: bool = False,
    ) -> Ended:
        """Do a run as a worker does; a provider's failure is how it ends, everything else is raised.

        Args:
            connector: of another process; by default the first one's.
            ports: other books than the world's.
            mortal: a process that may die, and that nothing reaches the books of afterwards.
            dies_publishing: each publish is a place where it may.
        """
        asked = connector or self._connector
        living = mortal or Process()
        self._fence += 1
        books = ports or self.ports
        alive = cast(MemoryPorts, _Alive(living, books))
        connection = self._connection()
        job = Job(
            connection,
            UUID(int=3),
            1,
            kind,
            self._fence,
            coverage=dict(books.covered),
            waiting=dict(books.waiting),
        )
        run = SyncRun(
            asked,
            self.session(asked),
            job,
            books=alive,
            publisher=living.producer(books) if dies_publishing else alive,  # type: ignore[arg-type]
            lease=alive,
            queue=alive,
            clock=self.clock,
            limits=Limits(safety_lag=LAG, bulk_wait_seconds=0.001),
        )
        try:
            await run.run()
        except ProviderError as error:
            return Ended(error, run.report.tally)
        return Ended(None, run.report.tally)

    async def imported(self, kind: RunKind = RunKind.MANUAL) -> None:
        """Do a run that must succeed."""
        ended = await self.run(kind)
        assert ended.error is None, f"the run failed: {ended.error}"

    def _connection(self) -> ConnectionChanged:
        return ConnectionChanged(
            tenant_id=KEY.tenant_id,
            connection_id=KEY.connection_id,
            revision=1,
            provider=self.manifest.provider,
            environment="production",
            state=ConnectionState.CONNECTED,
            changed_at=NOW,
            account_id=self.harness.account_id,
            start_date=self.start_date,
            locations=tuple(
                ConnectedLocation(
                    location_id=each,
                    chosen=True,
                    suppli_location_id="S",
                    zones=(ZonePeriod(timezone=self.facts.zone),),
                )
                for each in self.locations
            ),
        )

    def some_pages(self) -> list[ShopOrder]:
        """Return nearly three pages of orders."""
        return self.orders(3 * self.facts.page_size - 3)

    # --- what is true -------------------------------------------------------------------------------

    def published(self, ports: MemoryPorts | None = None) -> dict[str, Content]:
        """Return what consumers have, by order; orders of nothing are left out."""
        standing = (ports or self.ports).standing()
        return {key: content for key, sale in standing.items() if (content := content_of(sale))}

    def truth(self) -> dict[str, Content]:
        """Return the same as the provider has it."""
        zone = ZoneInfo(self.facts.zone)
        return {
            order.order_id: content
            for order in self.harness.truth()
            if (content := _content(order.lines, order.sold_at.astimezone(zone).date()))
        }

    def assert_true(self, ports: MemoryPorts | None = None) -> None:
        """Raise unless what consumers have is what the provider has; events with one id have one content."""
        published, truth = self.published(ports), self.truth()
        assert published.keys() == truth.keys(), (
            f"lost {_some(truth.keys() - published.keys())}, added {_some(published.keys() - truth.keys())}"
        )
        wrong = [key for key in truth if truth[key] != published[key]]
        assert not wrong, f"{len(wrong)} differ, e.g. {published[wrong[0]]}, should be {truth[wrong[0]]}"
        contents: dict[str, set[tuple[str, Content]]] = defaultdict(set)
        for event_id, sale in (ports or self.ports).said:
            contents[event_id].add((sale.order_id, content_of(sale)))
        assert all(len(each) == 1 for each in contents.values()), "two contents by one event id"

    def horizon(self, now: datetime = NOW) -> int:
        """Return how far coverage may reach when the provider's clock stands at `now` (microseconds)."""
        return to_us(now - LAG)

    # --- orders -------------------------------------------------------------------------------------

    def order(
        self,
        number: int,
        *,
        age: timedelta | None = None,
        at: datetime | None = None,
        location: int = 0,
        lines: tuple[ShopLine, ...] | None = None,
    ) -> ShopOrder:
        """Return an order of so long ago (by default an hour and `number` minutes), or of an instant."""
        when = at or NOW - (age or timedelta(hours=1, minutes=number))
        sold = lines if lines is not None else (ShopLine("ITEMCOFFEE001", 1 + number % 3, 300 + number % 7),)
        return ShopOrder(f"ORDER{number:08}", self.locations[location], when, when, sold)

    def orders(self, count: int, *, spread: timedelta = timedelta(minutes=1)) -> list[ShopOrder]:
        """Return so many orders, the oldest first, spread over all locations."""
        places = len(self.locations)
        return [
            self.order(number, age=timedelta(hours=1) + (count - number) * spread, location=number % places)
            for number in range(count)
        ]


class _Alive:
    """Ports whose calls fail once the process is dead, without being places to die at."""

    def __init__(self, process: Process, ports: MemoryPorts) -> None:
        self._process, self._ports = process, ports

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ports, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            return await self._process.within(functools.partial(method, *arguments, **options))

        return call


def content_of(sale: SaleRecorded) -> Content:
    """Return what a published order sold."""
    sums: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for line in sale.lines:
        quantity = float(line.quantity)
        assert quantity == int(quantity), "the shop sells whole things"
        found = sums[line.variation_id or line.item_id or "", line.business_date]
        found[0] += int(quantity)
        found[1] += line.net
    return frozenset((item, day, *amounts) for (item, day), amounts in sums.items())  # type: ignore[misc]


def _content(lines: Sequence[ShopLine], day: date) -> Content:
    sums: Mapping[str, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        sums[line.item][0] += line.quantity
        sums[line.item][1] += line.quantity * line.price
    return frozenset((item, day, amounts[0], amounts[1]) for item, amounts in sums.items())


def _some(keys: set[str]) -> str:
    return f"{len(keys)} ({', '.join(sorted(keys)[:3])})" if keys else "none"


@asynccontextmanager
async def world(harness: ProviderHarness, *, locations: int = 1, now: datetime = NOW) -> AsyncIterator[World]:
    """A connected world."""
    made = World(harness, locations=locations, now=now)
    try:
        await made.connect()
        yield made
    finally:
        await made.close()
        await asyncio.sleep(0)
