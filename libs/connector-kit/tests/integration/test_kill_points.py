"""A sync, killed wherever it speaks with the provider, the database, Kafka or Vault; and one that goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from suppli_connector_kit.adapters.books import SqlBooks
from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.adapters.queue import RunQueue
from suppli_connector_kit.adapters.token_times import TokenTimes
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.engine.ports import Limits
from suppli_connector_kit.engine.run import first_instant, imported_locations
from suppli_connector_kit.protocol import CatalogItem
from suppli_connector_kit.testing import MemoryOrder, MemoryProvider
from suppli_connector_kit.testing.provider import PROVIDER
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_connector_kit.workers import Runner, Syncs
from suppli_contracts.codec import decode
from suppli_contracts.events.catalog import ExternalItemChanged
from suppli_contracts.events.connections import ConnectionChanged, ConnectionState
from suppli_contracts.events.sales import OrderState, SaleRecorded
from suppli_contracts.events.sync import RunKind, RunState, RunSync, SyncRunChanged
from suppli_contracts.topics import CATALOG_EXTERNAL, SALES_RAW, SYNC_EVENTS
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.settings import VaultSettings
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_service_kit.testing.topics import Tail
from suppli_service_kit.vault import Vault

from .conftest import NothingBehind, located

World = Any  # the fixture of conftest.py
LAG = timedelta(seconds=2)


class Sweeping:
    """A shop that was never imported but for an order that has vanished since, and a sweep to be done.

    Six orders on three pages, one of which nobody understands; while the second page is read an order of the
    first changes.
    """

    books: type[SqlBooks] = SqlBooks

    def __init__(self, world: World, ground: Ground) -> None:
        self._world, self._ground = world, ground
        self._clock = SystemClock()
        self._key = AccountKey(uuid4(), uuid4())
        now = self._clock.now()
        self._provider = MemoryProvider(self._clock, page_size=2)
        seconds = (0, 1, 1, 2, 3, 4)  # two of one instant, on different pages
        stamps = [to_us(now - timedelta(hours=3) + timedelta(seconds=number)) for number in seconds]
        self._provider.put(
            *(MemoryOrder(f"O{n}", "L1", at, 100 + n, broken=n == 3) for n, at in enumerate(stamps))
        )
        self._provider.items = [CatalogItem(each, "item", name=each) for each in ("V1", "V2")]  # type: ignore[arg-type]
        self._provider.on_page = self._page
        self._gone_at = to_us(now - timedelta(hours=4))
        self._settings = ConnectionChanged(
            tenant_id=self._key.tenant_id,
            connection_id=self._key.connection_id,
            revision=1,
            provider=PROVIDER,
            environment="production",
            state=ConnectionState.CONNECTED,
            changed_at=now,
            account_id="ACCOUNT",
            start_date=(now - timedelta(days=2)).date(),
            locations=(located("L1"),),
        )
        self._command = RunSync(
            tenant_id=self._key.tenant_id,
            connection_id=self._key.connection_id,
            provider=PROVIDER,
            run_id=uuid4(),
            attempt=1,
            kind=RunKind.SWEEP,
            settings_revision=1,
            requested_at=now,
        )
        self._sales: list[tuple[str, SaleRecorded]] = []
        self._events: list[Any] = []

    async def made(self) -> Sweeping:
        """Connect the shop, with the vanished order recorded."""
        world = self._world
        keeper = TokenKeeper(self._provider, self._ground.vault, world.token_times, clock=self._clock)
        await keeper.keep(self._key, StoredTokens(self._provider.issue(), self._clock.now()))
        await world.book.store_connections([self._settings])
        await self._sql(
            "insert into order_hashes (connection_id, tenant_id, order_id, content_hash, source_version,"
            " location_id, currency) values (:connection, :tenant, 'GONE', 'h', :at, 'L1', 'USD')",
            at=self._gone_at,
        )
        return self

    async def live(self, process: Process) -> None:
        world = self._world
        database = process.database(world.urls.app_url)
        queue_database = process.database(world.urls.relay_url, pool=2)
        provider = process.seam(self._provider, "provider")
        times = TokenTimes(database, queue_database, provider=PROVIDER, clock=self._clock)
        keeper = TokenKeeper(provider, process.seam(self._ground.vault, "vault"), times, clock=self._clock)
        leases = LeaseTimes()
        queue = RunQueue(database, queue_database, holder="one", times=leases, clock=self._clock)
        syncs = Syncs(
            provider,
            keeper,
            database,
            process.producer(world.producer),
            process.seam(NothingBehind(), "lag"),
            clock=self._clock,
            limits=Limits(),
        )
        runner = Runner(syncs, clock=self._clock, times=leases)
        # Whether its offset was committed is not known after a death: the command comes again.
        book = ConnectionBook(database, provider=PROVIDER, clock=self._clock)
        await book.store_commands([self._command])
        while await self._sql("select 1 from sync_queue where connection_id = :connection"):
            if (claimed := await queue.claim()) is not None:
                await runner(claimed)

    async def time_passes(self) -> None:
        """End the lease; and look whether what the dead process recorded is true as it stands."""
        await self._sql("update leases set expires_at = now() where connection_id = :connection")
        await self._sql("update sync_queue set held_until = now() where connection_id = :connection")
        await self._read()
        stands, covered = self._stands(), await self._covered()
        for key, order in self._provider.orders_by_key.items():
            if not order.broken and any(start <= order.modified_us < end for start, end in covered):
                assert stands.get(key) == order.net, f"{key} is covered and was not published"
        said = {(sale.order_id, sale.content_hash) for _, sale in self._sales}
        recorded = await self._sql(
            "select order_id, content_hash from order_hashes where connection_id = :connection"
            " and content_hash <> 'h'"
        )
        assert {tuple(row) for row in recorded} <= said, "recorded and never published"

    async def check(self) -> None:
        await self._until_relayed()
        await self._read()
        truth = {key: each.net for key, each in self._provider.orders_by_key.items() if not each.broken}
        assert self._stands() == truth | {"GONE": 0}
        contents: dict[str, set[tuple[str, int, str]]] = {}
        for event_id, sale in self._sales:
            contents.setdefault(event_id, set()).add((sale.order_id, sale.totals.total, sale.state))
        assert all(len(each) == 1 for each in contents.values()), "one id, one content"
        [(start, end)] = await self._covered()
        [location] = imported_locations(self._settings).values()
        assert start <= first_instant(self._settings.start_date, location)  # type: ignore[arg-type]
        now = to_us(self._clock.now() - LAG)
        assert now - 60_000_000 < end <= now, "up to the provider's clock less the lag, and no hole"
        waiting = await self._sql("select order_id from set_aside where connection_id = :connection")
        assert [row.order_id for row in waiting] == ["O3"]
        ended = [e for e in self._events if isinstance(e, SyncRunChanged) and e.finished_at is not None]
        assert [(each.run_id, each.state) for each in ended] == [
            (self._command.run_id, RunState.SUCCEEDED)
        ], "one run, ended once"
        sequences = [e.sequence for e in self._events if isinstance(e, SyncRunChanged)]
        assert sequences == sorted(set(sequences)), "what comes later says that it is later"
        items = [e for e in self._events if isinstance(e, ExternalItemChanged)]
        assert sorted((each.external_id, each.revision) for each in items) == [("V1", 1), ("V2", 1)]

    async def _page(self, number: int) -> None:
        if number == 1:
            self._provider.on_page = None
            self._provider.put(MemoryOrder("O0", "L1", to_us(self._clock.now()), 777))

    def _stands(self) -> dict[str, int]:
        """Return each order's net as a reader has it: the greatest (source_version, observed) wins."""
        newest: dict[str, SaleRecorded] = {}
        for _, sale in self._sales:
            held = newest.get(sale.order_id)
            if held is None or (held.source_version, held.observed) <= (sale.source_version, sale.observed):
                newest[sale.order_id] = sale
        return {
            key: 0 if sale.state is OrderState.DELETED else sum(line.net for line in sale.lines)
            for key, sale in newest.items()
        }

    async def _covered(self) -> list[tuple[int, int]]:
        rows = await self._sql("select from_us, to_us from coverage where connection_id = :connection")
        return [(row.from_us, row.to_us) for row in rows]

    async def _sql(self, statement: str, **values: Any) -> list[Any]:
        ids = {"connection": self._key.connection_id, "tenant": self._key.tenant_id}
        async with self._world.database.transaction([self._key.tenant_id]) as connection:
            result = await connection.execute(sa.text(statement), ids | values)
            return list(result.all()) if result.returns_rows else []

    async def _read(self) -> None:
        for record in await self._ground.tail.read_on():
            envelope, event = decode({key: value.decode() for key, value in record.headers}, record.value)
            if getattr(event, "connection_id", None) != self._key.connection_id:
                continue
            if isinstance(event, SaleRecorded):
                self._sales.append((envelope.id, event))
            else:
                self._events.append(event)

    async def _until_relayed(self) -> None:
        async def empty() -> bool:
            async with self._world.queue_database.transaction() as connection:
                return not (await connection.execute(sa.text("select 1 from outbox limit 1"))).all()

        await self._world.until(empty)


class Ground:
    """What all cases stand on, beside the world's servers."""

    def __init__(self, vault: Vault, tail: Tail) -> None:
        self.vault, self.tail = vault, tail


@pytest.fixture
async def ground(world: World, vault_settings: VaultSettings) -> AsyncIterator[Ground]:
    vault = Vault(vault_settings)
    await vault.start()
    tail = Tail(world.bootstrap, SALES_RAW, SYNC_EVENTS, CATALOG_EXTERNAL)
    await tail.start()
    yield Ground(vault, tail)
    await tail.stop()
    await vault.stop()


async def test_a_sync_killed_anywhere_loses_nothing_and_doubles_nothing(world: World, ground: Ground) -> None:
    """A sale would be lost, or counted as imported before it was, or a run would never end."""
    deaths = await die_everywhere(lambda: Sweeping(world, ground).made())
    calls = " ".join(deaths.calls())
    for part in (
        "publish",
        "provider orders",
        "provider orders_by_id",
        "vault read",
        "update leases",
        "sync_queue",
    ):
        assert part in calls, part
