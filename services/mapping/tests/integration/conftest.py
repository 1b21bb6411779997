"""A mapping service's parts on real PostgreSQL and Kafka, with tenants of each test's own."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from suppli_contracts import topics
from suppli_contracts.codec import decode, encode, stable_id
from suppli_contracts.events import (
    ConnectionChanged,
    Event,
    ItemUnmapped,
    LocationChanged,
    MappingChanged,
    ProductChanged,
    ProductSaleRecorded,
    SaleRecorded,
)
from suppli_contracts.events.connections import ConnectedLocation, ConnectionState
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_contracts.events.sales import Disposition, OrderState, SaleLine, SaleTotals
from suppli_contracts.internal import DayTotals, Item, MapRequest
from suppli_embedded.kafka import KafkaServer
from suppli_embedded.postgres import ServiceDatabase
from suppli_mapping.adapters import reading
from suppli_mapping.catalogs import CatalogKeeper
from suppli_mapping.daykeeping import DayKeeper
from suppli_mapping.deciding import decide
from suppli_mapping.domain.items import item_id
from suppli_mapping.hearing import RunHearer
from suppli_mapping.recording import SalesRecorder
from suppli_mapping.restating import Restater
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.database import Database, database_at, migrate
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.kafka.messages import InMessage, OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.outbox import OutboxRelay
from suppli_service_kit.settings import KafkaSettings

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = NOON.date()


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20, what: str = "it") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.05)


@dataclass
class Parts:
    """The service without its HTTP: handlers, restatement, relay."""

    database: Database
    relay_database: Database
    urls: ServiceDatabase
    recorder: SalesRecorder
    catalogs: CatalogKeeper
    restater: Restater
    keeper: DayKeeper
    hearer: RunHearer
    direct: DirectPublisher
    producer: Producer
    bootstrap: str

    async def restate_all(self) -> None:
        """Work off the queue, with the outbox relayed meanwhile."""
        while await self.restater.round():
            pass

    async def settle(self, keeper: DayKeeper | None = None) -> None:
        """Let what was heard hold, ways be decided and every day be stated, until nothing is left to do."""

        async def nothing_left() -> bool:
            worked = await (keeper or self.keeper).round() + await self.restater.round()
            async with self.relay_database.transaction() as connection:
                left = "select (select count(*) from dirty_days) + (select count(*) from day_marks)"
                return not worked and (await connection.exec_driver_sql(left)).scalar_one() == 0

        await until(nothing_left, what="stating the days")


@dataclass
class InLedger:
    """How far the ledger is, where handlers are called without Kafka: by itself it has everything."""

    said: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)

    async def ends(self) -> dict[int, int]:
        return self.said

    async def read(self) -> dict[int, int]:
        return self.taken


@pytest.fixture(scope="session")
async def parts(make_database: Callable[[str], ServiceDatabase], kafka: KafkaServer) -> AsyncIterator[Parts]:
    urls = make_database("mapping")
    await migrate("suppli_mapping", urls.owner_url)
    said = ((topics.SALES_PRODUCTS, 12), (topics.SALES_DAYS, 12), (topics.MAPPING_EVENTS, 6))
    kafka.ensure_topics([NewTopic(name, partitions, 1) for name, partitions in said])
    database, relay_database = database_at(urls.app_url), database_at(urls.relay_url, pool=2)
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    producer = Producer(settings)
    clock = SystemClock()
    direct = DirectPublisher(relay_database, producer)
    restater = Restater(database, relay_database, clock, direct, outbox_limit=10**9)
    keeper = DayKeeper(database, relay_database, clock, InLedger(), wake=restater.wake, quiet=0.0, latest=0.0)
    relay = OutboxRelay(urls.relay_url, producer, may_be_held=True)
    stop = asyncio.Event()
    publishing = asyncio.gather(relay.run(stop), direct.run(stop))
    yield Parts(
        database,
        relay_database,
        urls,
        SalesRecorder(database, clock, direct),
        CatalogKeeper(database, clock, wake=restater.wake),
        restater,
        keeper,
        RunHearer(database),
        direct,
        producer,
        kafka.bootstrap_servers,
    )
    stop.set()
    await publishing
    await producer.stop()
    await database.close()
    await relay_database.close()


def message(event: Event, *, event_id: str | None = None, topic: str = "test") -> InMessage:
    """Return an event as it is read from Kafka."""
    sent = out_message(event, event_id=event_id, topic=topic)
    headers = {name: value.decode() for name, value in sent.headers}
    return InMessage(sent.topic, 0, 0, sent.key, sent.value, headers, 0)


def out_message(event: Event, *, event_id: str | None = None, topic: str = "test") -> OutMessage:
    """Return an event as its producer writes it."""
    key, value, headers = encode(event, event_id=event_id or str(uuid4()), source="suppli/test", time=NOON)
    return OutMessage(topic, key, value, headers)


def line(
    line_id: str = "1",
    *,
    item: str | None = "cola",
    quantity: str = "1",
    net: int = 250,
    disposition: Disposition = Disposition.SOLD,
    day: date = DAY,
    **more: object,
) -> SaleLine:
    """Return a line of an order."""
    values = {
        "line_id": line_id,
        "occurred_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "business_date": day,
        "disposition": disposition,
        "quantity": quantity,
        "gross": net,
        "discount": 0,
        "net": net,
        "variation_id": item,
        "name": item,
        **more,
    }
    return SaleLine(**values)  # type: ignore[arg-type]


@dataclass
class Shop:
    """A tenant with one connection, tied to the Suppli location `bar`."""

    parts: Parts
    tenant_id: UUID = field(default_factory=uuid4)
    connection_id: UUID = field(default_factory=uuid4)
    run_id: UUID = field(default_factory=uuid4)
    revision: int = 0
    made_ms: int = field(default_factory=lambda: int(time.time() * 1000))

    def sale(
        self,
        order_id: str,
        *lines: SaleLine,
        version: int = 1,
        observed: int = 1,
        location: str = "L1",
        **more: object,
    ) -> SaleRecorded:
        """Return an order as the connector says it; its totals are its lines', unless given."""
        values = {
            "tenant_id": self.tenant_id,
            "connection_id": self.connection_id,
            "provider": "square",
            "account_id": "M1",
            "location_id": location,
            "order_id": order_id,
            "state": OrderState.COMPLETED,
            "currency": "USD",
            "source_version": version,
            "observed": observed,
            "content_hash": f"{order_id}-{version}-{observed}",
            "run_id": self.run_id,
            "recorded_at": NOON,
            "totals": SaleTotals(total=sum(each.net for each in lines)),
            "lines": lines,
            **more,
        }
        return SaleRecorded(**values)  # type: ignore[arg-type]

    async def sell(self, *sales: SaleRecorded) -> None:
        """Let the service take sales as one batch."""
        await self.parts.recorder.on_sales(
            [
                message(
                    sale,
                    event_id=str(stable_id("sale", sale.order_id, sale.source_version, sale.content_hash)),
                )
                for sale in sales
            ]
        )

    async def connect(
        self, *, restock_unknown: bool = False, ties: dict[str, str] | None = None, **more: object
    ) -> None:
        """Tell the service of the connection and its location."""
        self.revision += 1
        located = LocationChanged(
            tenant_id=self.tenant_id,
            location_id="bar",
            revision=self.revision,
            restock_unknown=restock_unknown,
        )
        await self.parts.catalogs.on_locations([message(located)])
        tied = {"L1": "bar"} if ties is None else ties
        values = {
            "tenant_id": self.tenant_id,
            "connection_id": self.connection_id,
            "revision": self.revision,
            "provider": "square",
            "environment": "sandbox",
            "state": ConnectionState.CONNECTED,
            "changed_at": NOON,
            "locations": tuple(
                ConnectedLocation(location_id=external, chosen=True, suppli_location_id=ours)
                for external, ours in tied.items()
            ),
            **more,
        }
        await self.parts.catalogs.on_connections([message(ConnectionChanged(**values))])  # type: ignore[arg-type]

    async def product(self, product_id: str, *, revision: int = 1, **more: object) -> None:
        """Tell the service of a product."""
        event = ProductChanged(
            tenant_id=self.tenant_id,
            product_id=product_id,
            revision=revision,
            **{"name": product_id, **more},  # type: ignore[arg-type]
        )
        await self.parts.catalogs.on_products([message(event)])

    async def map(self, key: str, *targets: MappingTarget | str, **more: object) -> None:
        """Map an item (`id:cola`) and restate everything that follows."""
        await self.decide(key, *targets, **more)
        await self.parts.restate_all()

    async def decide(self, key: str, *targets: MappingTarget | str, **more: object) -> None:
        """Map an item without restating."""
        given = tuple(MappingTarget(product_id=each) if isinstance(each, str) else each for each in targets)
        request = MapRequest(targets=given, **more)  # type: ignore[arg-type]
        async with self.parts.database.transaction([self.tenant_id]) as connection:
            await decide(
                connection, self.tenant_id, self.item_id(key), request, actor="ann", now=datetime.now(UTC)
            )

    async def ignore(self, key: str) -> None:
        """Ignore an item."""
        await self.map(key, state=MappingState.IGNORED)

    def item_id(self, key: str) -> UUID:
        """Return an item's id."""
        return item_id(self.connection_id, key)

    async def item(self, key: str) -> Item:
        """Return an item."""
        async with self.parts.database.transaction([self.tenant_id]) as connection:
            found = await reading.get_item(connection, self.item_id(key))
        assert found is not None
        return found

    async def days(self) -> list[DayTotals]:
        """Return all business days."""
        async with self.parts.database.transaction([self.tenant_id]) as connection:
            return await reading.day_totals(
                connection, self.connection_id, date(2020, 1, 1), date(2030, 1, 1)
            )

    async def standing(self) -> dict[tuple[str, str, str, str], tuple[str, str, int]]:
        """Return (quantity, consumed, net) of the entries that are not at zero."""
        async with self.parts.database.transaction([self.tenant_id]) as connection:
            entries, _ = await reading.snapshot(connection, limit=5_000)
        return {
            (each.order_id, each.line_id, each.component, each.product_id): (
                each.standing.quantity,
                each.standing.consumed,
                each.standing.net,
            )
            for each in entries
            if (each.standing.quantity, each.standing.consumed, each.standing.net) != ("0", "0", 0)
        }


@pytest.fixture
def shop(parts: Parts) -> Shop:
    return Shop(parts)


@pytest.fixture
def other_shop(parts: Parts) -> Shop:
    return Shop(parts)


@dataclass
class Published:
    """What mapping published for a tenant, read from Kafka."""

    sales: list[ProductSaleRecorded]
    unmapped: list[ItemUnmapped]
    mappings: list[MappingChanged]
    event_ids: list[str]


async def published(shop: Shop, *, sales: int = 0, unmapped: int = 0, mappings: int = 0) -> Published:
    """Read what was published for a tenant, until there is as much as expected and the outbox is empty."""

    async def empty() -> bool:
        async with shop.parts.relay_database.transaction() as connection:
            return not (await connection.exec_driver_sql("select 1 from outbox limit 1")).all()

    await until(empty, what="publishing the outbox")
    consumer = AIOKafkaConsumer(
        topics.SALES_PRODUCTS,
        topics.MAPPING_EVENTS,
        bootstrap_servers=shop.parts.bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    found = Published([], [], [], [])
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        starts = await consumer.offsets_for_times(dict.fromkeys(ends, shop.made_ms))
        for partition, end in ends.items():
            start = starts[partition]
            consumer.seek(partition, end if start is None else start.offset)
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=200)
            for records in batches.values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    if headers.get("ce_tenant") != str(shop.tenant_id):
                        continue
                    envelope, event = decode(headers, record.value)
                    found.event_ids.append(envelope.id)
                    if isinstance(event, ProductSaleRecorded):
                        found.sales.append(event)
                    elif isinstance(event, ItemUnmapped):
                        found.unmapped.append(event)
                    elif isinstance(event, MappingChanged):
                        found.mappings.append(event)
    finally:
        await consumer.stop()
    assert (len(found.sales), len(found.unmapped), len(found.mappings)) == (sales, unmapped, mappings)
    return found
