# ruff: noqa: D103, T201, ASYNC110 - a script that prints
"""How fast the kit is beside bare clients: `python throughput.py` with an embedded runtime up
(SUPPLI_EMBEDDED_DIR).

Prints messages a second, and each as a ratio of the bare client in the same run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from suppli_service_kit.database import Database, database_at, outbox_holding, outbox_tables
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.kafka.consumer import Consumers
from suppli_service_kit.kafka.messages import InMessage, OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.outbox import OutboxRelay, enqueue
from suppli_service_kit.settings import KafkaSettings

COUNT = int(os.environ.get("COUNT", "50000"))
HEADERS = tuple((f"ce_{name}", uuid.uuid4().hex.encode()[:20]) for name in "abcdefg")
BODY = (b'{"line":"' + uuid.uuid4().hex.encode() + b'","quantity":"1.000","net":1250}') * 7


def messages(topic: str, count: int) -> list[OutMessage]:
    return [OutMessage(topic, f"key-{n % 997}".encode(), BODY, HEADERS) for n in range(count)]


async def bare_publish(servers: str, topic: str, count: int) -> float:
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, compression_type="zstd",
        max_batch_size=262_144, linger_ms=5,
    )  # fmt: skip
    await producer.start()
    batch = messages(topic, count)
    started = time.perf_counter()
    futures = [await producer.send(m.topic, m.value, m.key, headers=list(m.headers)) for m in batch]
    await asyncio.gather(*futures)
    rate = count / (time.perf_counter() - started)
    await producer.stop()
    return rate


async def kit_publish(settings: KafkaSettings, topic: str, count: int, page: int) -> float:
    producer = Producer(settings)
    await producer.start()
    batch = messages(topic, count)
    started = time.perf_counter()
    for first in range(0, count, page):
        await producer.publish(batch[first : first + page])
    rate = count / (time.perf_counter() - started)
    await producer.stop()
    return rate


async def bare_consume(servers: str, topic: str, count: int) -> float:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, group_id=uuid.uuid4().hex, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    seen, started = 0, time.perf_counter()
    await consumer.start()
    while seen < count:
        found = await consumer.getmany(timeout_ms=500, max_records=500)
        seen += sum(map(len, found.values()))
        if found:
            await consumer.commit()
    rate = count / (time.perf_counter() - started)
    await consumer.stop()
    return rate


async def kit_consume(settings: KafkaSettings, topic: str, count: int) -> float:
    seen, done = 0, asyncio.Event()

    async def handler(batch: Sequence[InMessage]) -> None:
        nonlocal seen
        seen += len(batch)
        if seen >= count:
            done.set()

    producer = Producer(settings)
    consumers = Consumers(settings, service="bench", instance_id=None, producer=producer)
    consumers.subscribe(topic, group=uuid.uuid4().hex, handler=handler)
    started = time.perf_counter()
    await consumers.start()
    await done.wait()
    rate = count / (time.perf_counter() - started)
    await consumers.stop()
    return rate


@asynccontextmanager
async def outbox(owner: str) -> AsyncIterator[tuple[str, Database]]:
    name = f"bench_{uuid.uuid4().hex[:6]}"
    with psycopg.connect(owner, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    parts = psycopg.conninfo.conninfo_to_dict(owner)
    dsn = f"postgresql://{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}/{name}"
    database, user = database_at(dsn), str(parts["user"])
    async with database.transaction() as connection:
        for statement in [*outbox_tables(user, user), *outbox_holding(user)]:
            if not statement.startswith(("grant", "revoke")):
                await connection.exec_driver_sql(statement)
    try:
        yield dsn, database
    finally:
        await database.close()
        with psycopg.connect(owner, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


async def emptied(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as watch:
        while await (await watch.execute("select from outbox limit 1")).fetchone() is not None:
            await asyncio.sleep(0.02)


async def relay(settings: KafkaSettings, owner: str, topic: str, count: int) -> float:
    async with outbox(owner) as (dsn, database):
        for _ in range(count // 500):
            async with database.transaction() as connection:
                await enqueue(connection, messages(topic, 500))
        producer = Producer(settings)
        await producer.start()
        stop = asyncio.Event()
        started = time.perf_counter()
        running = asyncio.create_task(OutboxRelay(dsn, producer).run(stop))
        await emptied(dsn)
        rate = count / (time.perf_counter() - started)
        stop.set()
        await running
        await producer.stop()
    return rate


async def direct(settings: KafkaSettings, owner: str, topic: str, count: int) -> float:
    """Writing included, unlike the relay's."""
    batch = messages(topic, count)
    async with outbox(owner) as (_, database):
        producer = Producer(settings)
        await producer.start()
        stop, publisher = asyncio.Event(), DirectPublisher(database, producer)
        running = asyncio.create_task(publisher.run(stop))
        started = time.perf_counter()
        for first in range(0, count, 500):
            async with database.transaction() as connection:
                parcel = await publisher.write(connection, batch[first : first + 500])
            publisher.send(parcel)
        stop.set()
        await running
        rate = count / (time.perf_counter() - started)
        await producer.stop()
    return rate


async def main(servers: str, owner: str) -> None:
    settings = KafkaSettings(bootstrap_servers=servers)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    topics = [f"bench-{uuid.uuid4().hex[:6]}" for _ in range(2)]
    await admin.create_topics([NewTopic(topic, 4, 1) for topic in topics])
    await asyncio.sleep(1)
    try:
        bare = [await bare_publish(servers, topics[0], COUNT) for _ in range(2)][-1]
        whole = await kit_publish(settings, topics[1], COUNT, 10_000)
        print(f"publish: bare {bare:,.0f}/s, kit (10,000 a call) {whole:,.0f}/s, ratio {whole / bare:.2f}")
        small = await kit_publish(settings, topics[1], COUNT, 500)
        print(f"publish: kit (500 a call) {small:,.0f}/s, ratio {small / bare:.2f}")
        for _ in range(2):
            raw = await bare_consume(servers, topics[0], COUNT)
            kit = await kit_consume(settings, topics[0], COUNT)
            print(f"consume: bare {raw:,.0f}/s, kit {kit:,.0f}/s, ratio {kit / raw:.2f}")
        relayed = await relay(settings, owner, topics[1], COUNT)
        print(f"outbox relay: {relayed:,.0f}/s, ratio to bare publish {relayed / bare:.2f}")
        straight = await direct(settings, owner, topics[1], COUNT)
        print(f"written and published directly: {straight:,.0f}/s, ratio {straight / bare:.2f}")
    finally:
        await admin.delete_topics(topics)
        await admin.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
