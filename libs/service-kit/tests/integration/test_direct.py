"""What is published from memory after its commit, with the outbox's relay as the safety net."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from suppli_contracts import topics
from suppli_service_kit import direct as direct_module
from suppli_service_kit.database import Database, database_at, outbox_holding, outbox_tables
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer, PublishFailed
from suppli_service_kit.outbox import OutboxRelay
from suppli_service_kit.settings import KafkaSettings
from suppli_service_kit.urls import libpq_url


@dataclass
class World:
    """A database with an outbox whose rows may be held, and a topic."""

    urls: Any
    database: Database
    relay_database: Database
    producer: Producer
    bootstrap: str
    topic: str

    async def write(
        self, direct: DirectPublisher, numbers: Sequence[int], *, send: bool = True, fail: bool = False
    ) -> None:
        """Say numbers in a transaction, and publish them unless the process is to die before."""
        said = [OutMessage(self.topic, b"key", str(n).encode(), (("h", b"\x00\xff"),)) for n in numbers]
        async with self.database.transaction() as connection:
            parcel = await direct.write(connection, said)
            if fail:
                raise ZeroDivisionError
        if send:
            direct.send(parcel)

    async def waiting(self) -> int:
        """Return how many rows are in the outbox."""
        async with self.relay_database.transaction() as connection:
            found = await connection.exec_driver_sql("select count(*) from outbox")
            return int(found.scalar_one())

    async def emptied(self) -> None:
        """Wait until the outbox is empty."""
        async with asyncio.timeout(30):
            while True:
                if not await self.waiting():
                    return
                await asyncio.sleep(0.02)  # a look at a condition, bounded by the deadline

    async def published(self) -> list[int]:
        """Return the numbers on the topic."""
        consumer = AIOKafkaConsumer(
            self.topic, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            (partition,) = consumer.assignment()
            (end,) = (await consumer.end_offsets([partition])).values()
            found: list[int] = []
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    assert all(record.headers == (("h", b"\x00\xff"),) for record in records)
                    found += [int(record.value) for record in records]
            return found
        finally:
            await consumer.stop()


@pytest.fixture
async def world(
    make_database: Callable[[str], Any], kafka: Any, kafka_topics: Callable[..., str]
) -> AsyncIterator[World]:
    urls = make_database("kit")
    roles = [f"{urls.name}_app", f"{urls.name}_relay"]
    with psycopg.connect(libpq_url(urls.owner_url), autocommit=True) as owner:
        for statement in [*outbox_tables(roles[1], roles[0]), *outbox_holding(roles[0])]:
            owner.execute(statement)
    producer = Producer(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    databases = database_at(urls.app_url, pool=2), database_at(urls.relay_url, pool=2)
    yield World(urls, *databases, producer, kafka.bootstrap_servers, kafka_topics("direct", partitions=1))
    await producer.stop()
    for database in databases:
        await database.close()


@asynccontextmanager
async def running(*parts: DirectPublisher | OutboxRelay) -> AsyncIterator[None]:
    """Let parts run."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(part.run(stop)) for part in parts]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def test_each_message_is_published_once_beside_a_relay(world: World) -> None:
    """A relay that took the same rows would make every consumer read every sale twice."""
    direct = DirectPublisher(world.relay_database, world.producer)
    relay = OutboxRelay(world.urls.relay_url, world.producer, may_be_held=True)
    async with running(direct, relay):
        with pytest.raises(ZeroDivisionError):
            await world.write(direct, [-1], fail=True)
        for first in range(0, 4_000, 100):
            await world.write(direct, range(first, first + 100))
        await world.emptied()
    assert await world.published() == list(range(4_000))


async def test_what_waits_at_the_stop_is_still_published(world: World) -> None:
    """A deployment must not delay what was said in its last moment until a row's hold is over."""
    direct = DirectPublisher(world.relay_database, world.producer)
    async with running(direct):
        await world.write(direct, range(10))
    assert await world.waiting() == 0
    assert await world.published() == list(range(10))


async def test_a_process_killed_after_its_commit_leaves_the_rest_to_the_relay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sales whose transaction is committed must be heard of although nobody has them in memory any more."""
    monkeypatch.setattr(direct_module, "HOLD_SECONDS", 1.5)
    direct = DirectPublisher(world.relay_database, world.producer)
    async with running(direct):
        before = time.monotonic()
        await world.write(direct, range(10), send=False)
    async with running(OutboxRelay(world.urls.relay_url, world.producer, may_be_held=True)):
        await world.emptied()
    assert time.monotonic() - before >= 1.5, "a row is left alone while its process may publish it"
    assert await world.published() == list(range(10))


class Failing(Producer):
    """Fails until it is told otherwise; what it was given may be in Kafka or not."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self.failing, self.asked = True, asyncio.Event()

    async def publish(self, messages: Any, *, timeout: float = 30) -> None:
        await super().publish(messages, timeout=timeout)
        self.asked.set()
        if self.failing:
            raise PublishFailed("lost acknowledgement")


async def test_what_is_not_acknowledged_is_the_relays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Kafka away nothing may be lost, and memory must not fill: the outbox has it all."""
    monkeypatch.setattr(direct_module, "HOLD_SECONDS", 1.0)
    producer = Failing(KafkaSettings(bootstrap_servers=world.bootstrap))
    direct = DirectPublisher(world.relay_database, producer)
    try:
        async with running(direct):
            await world.write(direct, range(10))
            await asyncio.wait_for(producer.asked.wait(), 20)
            for first in range(10, 100, 10):
                await world.write(direct, range(first, first + 10))
            async with running(OutboxRelay(world.urls.relay_url, world.producer, may_be_held=True)):
                await world.emptied()
    finally:
        await producer.stop()
    said = await world.published()
    assert set(said) == set(range(100))
    assert sorted(said) == sorted([*range(10), *range(100)]), "only what was in doubt is said again"


async def test_compacted_topics_are_refused(world: World) -> None:
    """There the last message of a key stays for good: out of order, an old state would."""
    direct = DirectPublisher(world.relay_database, world.producer)
    with pytest.raises(ValueError, match="compacted"):
        async with world.database.transaction() as connection:
            await direct.write(connection, [OutMessage(topics.CONNECTIONS, b"key", b"{}")])
