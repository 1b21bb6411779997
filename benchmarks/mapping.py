"""Mapping: raw sales to product sales with the ledger, next to a relay that writes as many bytes."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from suppli_contracts.topics import SALES_PRODUCTS, SALES_RAW
from suppli_demo.consumer import product_sales
from suppli_demo.system import System

from benchmarks.measure import Results, median
from benchmarks.world import new_bench

ORDERS = 10_000
ROUNDS = 3


def measure(system: System, results: Results) -> None:
    """Let raw sales pile up while mapping is stopped, then time it; the relay reads the same messages."""
    ours, bare, lines = [], [], []
    for _ in range(ROUNDS):
        bench = new_bench(system)
        bench.generate(300, seed=3)
        connection = bench.connect()
        bench.finished(connection)
        bench.map_everything(connection)
        settled(system, connection)
        bench.generate(ORDERS, seed=4)
        system.services["mapping"].stop()
        bench.shop.sync(connection)
        bench.finished(connection, at_least=2)
        servers = system.runtime.kafka.bootstrap_servers
        watch = asyncio.run(ends(servers, SALES_PRODUCTS))
        system.restart("mapping")
        count, size, seconds = asyncio.run(arrivals(servers, watch))
        ours.append(count / seconds)
        lines.append(count / seconds)
        bare.append(asyncio.run(relay(servers, count, size)))
    note = f"{ORDERS:,} orders a round, median of {ROUNDS}; messages written per second"
    results.add("mapping_ratio", median(ours) / median(bare), note)
    results.add("mapping_lines_per_s", median(lines), note)


def settled(system: System, connection: str) -> None:
    """Wait until no new product sale of the connection arrives for two seconds."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 2:
        now = len(asyncio.run(product_sales(system.runtime.kafka.bootstrap_servers, UUID(connection))))
        if now != before:
            before, since = now, time.monotonic()


async def ends(servers: str, topic: str) -> dict[object, int]:
    """Return the end offset of each partition."""
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers) as consumer:
        found: dict[object, int] = await consumer.end_offsets(consumer.assignment())
        return found


async def arrivals(servers: str, start: dict[object, int]) -> tuple[int, int, float]:
    """Return count, mean size (bytes) and seconds from the first to the last message after `start`."""
    stamps: list[int] = []
    size = 0
    async with AIOKafkaConsumer(SALES_PRODUCTS, bootstrap_servers=servers) as consumer:
        for partition, offset in start.items():
            consumer.seek(partition, offset)
        quiet = time.monotonic()
        while not stamps or time.monotonic() - quiet < 5:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                stamps += [record.timestamp for record in records]
                size += sum(len(record.value) for record in records)
                quiet = time.monotonic()
    return len(stamps), size // len(stamps), (max(stamps) - min(stamps)) / 1000


async def relay(servers: str, count: int, size: int) -> float:
    """Read raw sales and write `count` messages of `size` bytes; return messages written per second."""
    value = b"x" * size
    async with (
        AIOKafkaConsumer(SALES_RAW, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer,
        AIOKafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=262_144,
            linger_ms=5,
            compression_type="zstd",
        ) as producer,
    ):
        total = sum((await consumer.end_offsets(consumer.assignment())).values())
        each = max(1, round(count / max(1, total)))
        written, began = 0, time.perf_counter()
        while written < count:
            for records in (await consumer.getmany(timeout_ms=200, max_records=500)).values():
                futures = [
                    await producer.send(SCRATCH, value, key=record.key)
                    for record in records
                    for _ in range(each)
                ]
                await asyncio.gather(*futures)
                written += len(futures)
            if await caught_up(consumer):
                await consumer.seek_to_beginning()
        return written / (time.perf_counter() - began)


SCRATCH = "benchmarks.scratch"


async def caught_up(consumer: AIOKafkaConsumer) -> bool:
    """Return whether everything was read."""
    left = await consumer.end_offsets(consumer.assignment())
    return all([await consumer.position(partition) >= end for partition, end in left.items()])
