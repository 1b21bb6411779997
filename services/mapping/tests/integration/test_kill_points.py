"""Taking sales, mapping items and saying lines again: killed wherever mapping speaks with its database."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction
from itertools import takewhile
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from suppli_contracts import topics
from suppli_contracts.codec import decode, stable_id
from suppli_contracts.events import ItemUnmapped, MappingChanged, ProductSaleRecorded, SaleRecorded
from suppli_contracts.events.mapping import MappingTarget
from suppli_contracts.events.sales import Disposition
from suppli_contracts.internal import MapRequest
from suppli_mapping.adapters.queue import due
from suppli_mapping.deciding import Changed, decide
from suppli_mapping.recording import SalesRecorder
from suppli_mapping.restating import Restater
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.database import Database
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.kafka.messages import InMessage
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_service_kit.testing.topics import Tail

from .conftest import Parts, Shop, line, message, until


class Selling:
    """A shop's afternoon: sales, edits, a removed line, a void, late copies; and items mapped meanwhile."""

    commits_first = False
    """Whether a batch's offset is committed before its effect, as it never may."""

    def __init__(self, parts: Parts, tail: Tail) -> None:
        self._parts, self._tail, self._shop = parts, tail, Shop(parts)
        sale = self._shop.sale
        self.sales: list[list[SaleRecorded]] = [
            [sale("O1", line("1", net=100), line("2", item="tea", net=50)), sale("O2", line(net=30))],
            [
                sale("O1", line("1", net=120, quantity="2"), line("3", net=40), version=2),
                sale("O3", line("1", net=60), line("2", item="tea", net=10)),
            ],
            [
                sale("O2", line(net=30, disposition=Disposition.VOID_NOT_MADE), version=2),
                sale("O1", line("1", net=100), line("2", item="tea", net=50)),  # an old copy that comes late
                sale("O3", line("1", net=60), line("2", item="tea", net=11), observed=2),
            ],
        ]
        self.mapped = {"cola": ("p-coke", 2)}  # at last; nobody maps tea
        self._steps: list[tuple[str, Any]] = [
            ("sell", self.sales[1]),
            ("sell", self.sales[2]),
            ("map", MappingTarget(product_id="p-coke", factor="2")),
        ]
        self._done = 0
        self._lives = 0

    async def made(self) -> Selling:
        """Connect the shop, tell of its products, sell, and map for the first time."""
        await self._shop.connect()
        for product in ("p-cola", "p-coke"):
            await self._shop.product(product)
        await self._parts.recorder.on_sales([_message(each) for each in self.sales[0]])
        await self._shop.map("id:cola", "p-cola")
        return self

    async def live(self, process: Process) -> None:
        self._lives += 1
        database = process.database(self._parts.urls.app_url)
        relay_database = process.database(self._parts.urls.relay_url, pool=2)
        clock = SystemClock()
        direct = DirectPublisher(relay_database, process.producer(self._parts.producer))
        recorder = SalesRecorder(database, clock, direct)
        restater = Restater(database, relay_database, clock, direct, chunk_lines=2, outbox_limit=10**9)
        stop = asyncio.Event()
        publishing = asyncio.create_task(direct.run(stop))
        await asyncio.sleep(0)  # it takes parcels as soon as it runs
        try:
            await self._afternoon(process, database, recorder, restater)
            stop.set()
            await publishing
        finally:
            publishing.cancel()

    async def time_passes(self) -> None:
        """End the time for which rows are held for the process that wrote them; then they are the relay's."""
        async with self._parts.relay_database.transaction() as connection:
            await connection.execute(sa.text("update outbox set held_until = null"))

    async def _afternoon(
        self, process: Process, database: Database, recorder: SalesRecorder, restater: Restater
    ) -> None:
        while self._done < len(self._steps):
            kind, what = self._steps[self._done]
            if kind == "map":
                await self._map(database, what)
                self._done += 1
            else:
                await self._sell(process, recorder)
            while await restater.round():
                pass
        while await restater.round():
            pass

    async def _sell(self, process: Process, recorder: SalesRecorder) -> None:
        """Let the service take the next batch; after a restart what waits comes in one."""
        waiting = [batch for _, batch in takewhile(lambda step: step[0] == "sell", self._steps[self._done :])]
        taken = waiting if self._lives > 1 else waiting[:1]
        commit = functools.partial(self._commit, len(taken))
        if self.commits_first:
            await process.outside("commit of offsets", commit)
        await recorder.on_sales([_message(each) for batch in taken for each in batch])
        if not self.commits_first:
            await process.outside("commit of offsets", commit)

    async def check(self) -> None:
        truth = self._truth()
        standing = await self._shop.standing()
        assert {key: (Fraction(each[0]), each[2]) for key, each in standing.items()} == truth
        products, others = await self._said()
        deltas: defaultdict[UUID, list[int]] = defaultdict(lambda: [0, 0])
        newest: dict[UUID, ProductSaleRecorded] = {}
        versions: defaultdict[UUID, list[int]] = defaultdict(list)
        for event in products.values():
            deltas[event.entry_key][0] += event.delta.net
            deltas[event.entry_key][1] += Fraction(event.delta.quantity)
            versions[event.entry_key].append(event.entry_version)
            held = newest.get(event.entry_key)
            if held is None or held.entry_version < event.entry_version:
                newest[event.entry_key] = event
        for key, event in newest.items():
            assert sorted(versions[key]) == list(range(1, event.entry_version + 1)), "each version once"
            assert deltas[key] == [event.standing.net, Fraction(event.standing.quantity)], "deltas add up"
        said = {
            (event.order_id, event.line_id, event.component, event.product_id): (
                Fraction(event.standing.quantity),
                event.standing.net,
            )
            for event in newest.values()
            if event.standing.net or Fraction(event.standing.quantity)
        }
        assert said == truth, "what was published is what stands"
        unmapped = [event.item_key for event in others.values() if isinstance(event, ItemUnmapped)]
        assert sorted(unmapped) == ["id:cola", "id:tea"], "an item is announced once"
        mappings = [(e.item_key, e.revision) for e in others.values() if isinstance(e, MappingChanged)]
        assert sorted(mappings) == [("id:cola", 1), ("id:cola", 2)]
        assert (await self._shop.item("id:tea")).parked_lines == 1
        async with self._parts.relay_database.transaction() as connection:
            assert [job for job in await due(connection) if job.tenant_id == self._shop.tenant_id] == []

    async def _map(self, database: Database, target: MappingTarget) -> None:
        """Map as a person who asks again after no answer."""
        request = MapRequest(targets=(target,), expected_revision=1)
        tenant, item, now = self._shop.tenant_id, self._shop.item_id("id:cola"), datetime.now(UTC)
        try:
            async with database.transaction([tenant]) as connection:
                await decide(connection, tenant, item, request, actor="ann", now=now)
        except Changed:
            assert self._lives > 1, "nobody else maps"

    async def _commit(self, taken: int) -> None:
        self._done += taken

    def _truth(self) -> dict[tuple[str, str, str, str], tuple[Fraction, int]]:
        """Return (quantity, net) of what was sold, by the newest word on each order."""
        newest: dict[str, SaleRecorded] = {}
        for batch in self.sales:
            for sale in batch:
                held = newest.get(sale.order_id)
                if held is None or (held.source_version, held.observed) < (
                    sale.source_version,
                    sale.observed,
                ):
                    newest[sale.order_id] = sale
        found = {}
        for sale in newest.values():
            for each in sale.lines:
                if each.disposition is Disposition.SOLD and each.variation_id in self.mapped:
                    product, factor = self.mapped[each.variation_id]
                    quantity = Fraction(each.quantity) * factor
                    found[sale.order_id, each.line_id, "line", product] = (quantity, each.net)
        return found

    async def _said(self) -> tuple[dict[str, ProductSaleRecorded], dict[str, Any]]:
        """Return what Kafka has of this shop, each event id once."""

        async def relayed() -> bool:
            async with self._parts.relay_database.transaction() as connection:
                return not (await connection.execute(sa.text("select 1 from outbox limit 1"))).all()

        await until(relayed, what="publishing the outbox")
        products: dict[str, ProductSaleRecorded] = {}
        others: dict[str, Any] = {}
        for record in await self._tail.read_on():
            envelope, event = decode({key: value.decode() for key, value in record.headers}, record.value)
            if envelope.tenant != self._shop.tenant_id:
                continue
            if isinstance(event, ProductSaleRecorded):
                products[envelope.id] = event
            else:
                others[envelope.id] = event
        return products, others


def _message(sale: SaleRecorded) -> InMessage:
    event_id = stable_id("sale", sale.order_id, sale.source_version, sale.content_hash)
    return message(sale, event_id=str(event_id))


@pytest.fixture
async def tail(parts: Parts) -> AsyncIterator[Tail]:
    made = Tail(parts.bootstrap, topics.SALES_PRODUCTS, topics.MAPPING_EVENTS)
    await made.start()
    yield made
    await made.stop()


async def test_mapping_killed_anywhere_loses_nothing_and_doubles_nothing(parts: Parts, tail: Tail) -> None:
    """Stock would count a sale twice or not at all, or a line would stay parked beside its mapping."""
    deaths = await die_everywhere(lambda: Selling(parts, tail).made())
    calls = " ".join(deaths.calls())
    for part in (
        "commit of offsets",
        "pg_advisory_xact_lock",
        "restatement_queue",
        "publish to",
        "delete from outbox",
    ):
        assert part in calls, part


async def test_offsets_committed_before_their_effect_are_found_out(parts: Parts, tail: Tail) -> None:
    """Killing mapping everywhere would prove nothing."""

    class Case(Selling):
        commits_first = True

    with pytest.raises((AssertionError, LookupError)) as found:
        await die_everywhere(lambda: Case(parts, tail).made())
    assert "after commit of offsets" in found.value.__notes__[0]
