"""A connector's database and topics on real servers, and a provider in memory before them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer
from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.hold import LeaseTimes
from suppli_connector_kit.adapters.queue import Claimed, RunQueue
from suppli_connector_kit.adapters.token_times import TokenTimes
from suppli_connector_kit.engine.ports import Limits
from suppli_connector_kit.testing import MemoryProvider
from suppli_connector_kit.testing.provider import PROVIDER
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_connector_kit.workers import Runner, Syncs
from suppli_contracts.codec import decode
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import SaleRecorded
from suppli_contracts.events.sync import RunKind, RunSync, SyncRunChanged
from suppli_contracts.topics import SALES_RAW, SYNC_EVENTS, registry
from suppli_embedded.kafka import KafkaServer, run_apart
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import ServiceDatabase
from suppli_embedded.topics import create_topics
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.database import Database, database_at, migrate
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.outbox import OutboxRelay
from suppli_service_kit.settings import KafkaSettings, VaultSettings
from suppli_service_kit.vault import Secret, VaultConflict

DAY0 = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "connector-memory"
INTERNAL_TOKEN = secrets.token_urlsafe(24)


class MemoryStore:
    """Secrets in memory, with Vault's check-and-set."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[dict[str, Any]]] = {}

    async def read(self, path: str) -> Secret | None:
        await asyncio.sleep(0)
        versions = self.secrets.get(path)
        return Secret(dict(versions[-1]), len(versions)) if versions and versions[-1] else None

    async def version(self, path: str) -> int:
        await asyncio.sleep(0)
        return len(self.secrets.get(path, ()))

    async def write(self, path: str, data: dict[str, Any], *, cas: int | None) -> int:
        await asyncio.sleep(0)
        versions = self.secrets.setdefault(path, [])
        if cas is not None and cas != len(versions):
            raise VaultConflict(path)
        versions.append(dict(data))
        return len(versions)

    async def destroy(self, path: str, *, cas: int | None = None) -> None:
        versions = self.secrets.get(path, [])
        if cas is not None and cas != len(versions):
            raise VaultConflict(path)
        if versions and versions[-1]:
            versions[:] = [{} for _ in range(len(versions) + 1)]


class NothingBehind:
    """A queue that nobody is behind on."""

    async def behind(self) -> int:
        return 0


@dataclass
class World:
    """One connector process's parts, and what it takes to look at what came out."""

    database: Database
    queue_database: Database
    urls: ServiceDatabase
    producer: Producer
    bootstrap: str
    provider: MemoryProvider
    store: MemoryStore = field(default_factory=MemoryStore)
    tenant: UUID = field(default_factory=uuid4)
    connection_id: UUID = field(default_factory=uuid4)
    times: LeaseTimes = field(default_factory=LeaseTimes)
    limits: Limits = field(default_factory=Limits)
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.book = ConnectionBook(self.database, provider=PROVIDER, clock=self.clock)
        self.token_times = TokenTimes(self.database, self.queue_database, provider=PROVIDER, clock=self.clock)
        self.keeper = TokenKeeper(self.provider, self.store, self.token_times, clock=self.clock)
        self.key = AccountKey(self.tenant, self.connection_id)

    def queue(self, holder: str = "one") -> RunQueue:
        return RunQueue(self.database, self.queue_database, holder=holder, times=self.times, clock=self.clock)

    def runner(self, publisher: Any = None) -> Runner:
        syncs = Syncs(
            self.provider,
            self.keeper,
            self.database,
            publisher or self.producer,
            NothingBehind(),
            clock=self.clock,
            limits=self.limits,
        )
        return Runner(syncs, clock=self.clock, times=self.times)

    def settings(self, revision: int = 1, **changes: Any) -> ConnectionChanged:
        values: dict[str, Any] = {
            "tenant_id": self.tenant,
            "connection_id": self.connection_id,
            "revision": revision,
            "provider": PROVIDER,
            "environment": "production",
            "state": ConnectionState.CONNECTED,
            "changed_at": self.clock.now(),
            "account_id": "ACCOUNT",
            "start_date": DAY0.date(),
            "locations": (located("L1"),),
        }
        return ConnectionChanged(**values | changes)

    async def connect(self, **changes: Any) -> None:
        await self.store.write("suppli/app/memory", {"client_id": "us", "client_secret": "hidden"}, cas=None)
        await self.keeper.keep(self.key, StoredTokens(self.provider.issue(), self.clock.now()))
        await self.book.store_connections([self.settings(**changes)])

    async def command(self, kind: RunKind = RunKind.MANUAL, **changes: Any) -> RunSync:
        values: dict[str, Any] = {
            "tenant_id": self.tenant,
            "connection_id": self.connection_id,
            "provider": PROVIDER,
            "run_id": uuid4(),
            "attempt": 1,
            "kind": kind,
            "settings_revision": 1,
            "requested_at": self.clock.now(),
        }
        command = RunSync(**values | changes)
        await self.book.store_commands([command])
        return command

    async def claim(self, queue: RunQueue | None = None) -> Claimed:
        asked = queue or self.queue()
        found: list[Claimed] = []

        async def claimed() -> bool:
            if (each := await asked.claim()) is not None:
                found.append(each)
            return bool(found)

        await until(claimed)
        return found[0]

    async def sync(self, kind: RunKind = RunKind.MANUAL, **changes: Any) -> RunSync:
        command = await self.command(kind, **changes)
        await self.runner()(await self.claim())
        return command

    async def rows(self, query: str) -> list[Any]:
        async with self.database.transaction([self.tenant]) as connection:
            return list((await connection.execute(sa.text(query))).all())

    async def sales(self) -> list[tuple[str, SaleRecorded]]:
        """Return (event id, sale) of every raw sale of this connection, as Kafka has them now."""
        found = await read_topic(self.bootstrap, SALES_RAW)
        return [
            (i, e) for i, e in found if isinstance(e, SaleRecorded) and e.connection_id == self.connection_id
        ]

    async def ended(self, number: int = 1) -> SyncRunChanged:
        """Return the event that ended the latest of so many runs."""
        found: list[SyncRunChanged] = []

        async def said() -> bool:
            found[:] = [event for event in await self.run_events() if event.finished_at is not None]
            return len(found) >= number

        await until(said)
        return found[-1]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        await until(condition)

    async def run_events(self) -> list[SyncRunChanged]:
        found = await read_topic(self.bootstrap, SYNC_EVENTS)
        mine = [e for _, e in found if isinstance(e, SyncRunChanged)]
        return [e for e in mine if e.connection_id == self.connection_id]


def located(location: str, timezone: str = "UTC", cutoff: str = "00:00") -> ConnectedLocation:
    return ConnectedLocation(
        location_id=location,
        name=location,
        currency="USD",
        chosen=True,
        suppli_location_id=f"S-{location}",
        zones=(ZonePeriod(timezone=timezone, day_cutoff=cutoff),),
    )


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come in time"
        await asyncio.sleep(0.05)


async def unreadable(kv: Any, path: str) -> bool:
    """Return whether no version of a secret can be read any more; there must have been one."""
    import hvac.exceptions

    metadata = await asyncio.to_thread(kv.read_secret_metadata, path)
    numbers = [int(number) for number in metadata["data"]["versions"]]
    assert numbers
    for number in numbers:
        try:
            await asyncio.to_thread(
                kv.read_secret_version, path, version=number, raise_on_deleted_version=True
            )
        except hvac.exceptions.InvalidPath:
            continue
        return False
    return True


async def read_topic(bootstrap: str, topic: str) -> list[tuple[str, Any]]:
    """Return (event id, event) of all that a topic holds, up to its end now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        await until(_assigned(consumer))
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            batch = await consumer.getmany(timeout_ms=200)
            for records in batch.values():
                for record in records:
                    envelope, event = decode({k: v.decode() for k, v in record.headers}, record.value)
                    found.append((envelope.id, event))
        return found
    finally:
        await consumer.stop()


def _assigned(consumer: AIOKafkaConsumer) -> Callable[[], Awaitable[bool]]:
    async def assigned() -> bool:
        return bool(consumer.assignment())

    return assigned


@pytest.fixture(scope="session")
async def connector_database(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    made = make_database("connector-memory")
    await migrate("suppli_connector_kit", made.owner_url)
    return made


@pytest.fixture(scope="session")
async def topics(kafka: KafkaServer) -> str:
    run_apart(lambda: create_topics(kafka.bootstrap_servers, registry((PROVIDER,))))
    return kafka.bootstrap_servers


@pytest.fixture(scope="session")
def vault_settings(openbao: OpenBaoServer) -> VaultSettings:
    policy = openbao.folder.policy("connector-square").replace("square", "memory")
    openbao.admit(NAME, policy)
    operator = openbao.login().secrets.kv.v2
    operator.create_or_update_secret(
        f"suppli/internal/{NAME}", {"token": INTERNAL_TOKEN}, mount_point="secret"
    )
    openbao.write_app("memory", {"client_id": "us", "client_secret": "app-secret"})
    return VaultSettings(
        url=openbao.url,
        role_id_file=openbao.role_id_file(NAME),
        secret_id_file=openbao.secret_id_file(NAME),
    )


@pytest.fixture
async def world(connector_database: ServiceDatabase, topics: str) -> AsyncIterator[World]:
    """A connected account with one location, and the outbox relayed."""
    kafka_settings = KafkaSettings(bootstrap_servers=topics)
    producer = Producer(kafka_settings, client_id="test")
    database = database_at(connector_database.app_url)
    queue_database = database_at(connector_database.relay_url, pool=2)
    clock = SystemClock()
    made = World(
        database=database,
        queue_database=queue_database,
        urls=connector_database,
        producer=producer,
        bootstrap=topics,
        provider=MemoryProvider(clock, page_size=3),
    )
    await producer.start()
    stop = asyncio.Event()
    relaying = asyncio.create_task(OutboxRelay(connector_database.relay_url, producer).run(stop))
    yield made
    stop.set()
    await relaying
    await producer.stop()
    async with database.transaction([made.tenant]) as connection:
        await connection.execute(sa.text("delete from sync_queue"))
    await database.close()
    await queue_database.close()
