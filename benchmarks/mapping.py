"""Mapping: raw sales to product sales with the ledger, next to a relay that writes as much."""

from __future__ import annotations

import asyncio
import time

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from suppli_contracts.events import SaleRecorded
from suppli_contracts.topics import SALES_PRODUCTS, SALES_RAW
from suppli_demo.system import System

from benchmarks.measure import Results, median, spread
from benchmarks.meters import POSTGRES, cpu_seconds, since, wait_until_mapped
from benchmarks.raw import Positions, Said, copies, ends, said, templates, write
from benchmarks.world import Bench, mapped_bench

SCRATCH = "benchmarks.scratch"
ORDERS = 10_000
ROUNDS = 5
# Mapping stands still while its sales are written: it is to keep its place in the group meanwhile.
EXTRA = {"mapping": {"SUPPLI_KAFKA_SESSION_TIMEOUT_MS": "60000"}}


def measure(system: System, results: Results) -> None:
    """Let raw sales pile up while mapping stands still, then time it; the relay reads the same messages."""
    bench, connection = mapped_bench(system)
    alike = templates(system.bootstrap_servers, connection)
    _round(bench, alike)  # not counted: connections, plans and caches are made
    ours, bare, lines, cpu, postgres = [], [], [], [], []
    for _ in range(ROUNDS):
        start, came, seconds, used, count = _round(bench, alike)
        ours.append(came.messages / seconds)
        lines.append(count / seconds)
        cpu.append(used["mapping"] / count * 1e6)
        postgres.append(used[POSTGRES] / count * 1e6)
        bare.append(asyncio.run(relay(system.bootstrap_servers, start, came)))
    note = (
        f"{ORDERS:,} orders a round, {came.messages:,} messages of {came.size} bytes; median of {ROUNDS}; "
        f"messages/s: ours {spread(ours, 0)}, bare {spread(bare, 0)}"
    )
    results.add("mapping_ratio", median(ours) / median(bare), note)
    results.add(
        "mapping_lines_per_s",
        median(lines),
        f"order lines into the ledger and out; {spread(lines, 0)}; CPU us a line: mapping {median(cpu):.0f}, "
        f"PostgreSQL {median(postgres):.0f}",
    )


def _round(bench: Bench, alike: list[SaleRecorded]) -> tuple[Positions, Said, float, dict[str, float], int]:
    """Return where the raw sales began, what mapping said, its wall and CPU seconds, and how many lines."""
    system, servers = bench.system, bench.system.bootstrap_servers
    start, before = ends(servers, SALES_RAW), ends(servers, SALES_PRODUCTS)
    sales = list(copies(alike, ORDERS))
    process = psutil.Process(system.services["mapping"].pid)
    process.suspend()
    try:
        write(servers, sales)
    finally:
        cpu, began = cpu_seconds(system), time.time()
        process.resume()
    came = said(servers, before, bench.shop.tenant)
    used = since(cpu, cpu_seconds(system))
    wait_until_mapped(system)
    return start, came, came.last_at - began, used, sum(len(sale.lines) for sale in sales)


async def relay(servers: str, start: Positions, like: Said) -> float:
    """Read the same raw sales and write as many messages of the same size; return messages per second.

    The contents are the raw sales', so that they compress like something real.
    """
    async with (
        AIOKafkaConsumer(SALES_RAW, bootstrap_servers=servers) as consumer,
        AIOKafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=262_144,
            linger_ms=5,
            compression_type="zstd",
        ) as producer,
    ):
        for partition, offset in start.items():
            consumer.seek(partition, offset)
        read = written = 0
        began = time.perf_counter()
        waiting: list[asyncio.Future[object]] = []  # the round before: acknowledged while this one is read
        while written < like.messages:
            found = await consumer.getmany(timeout_ms=200, max_records=500)
            sent: list[asyncio.Future[object]] = []
            for record in (record for records in found.values() for record in records):
                read += 1
                value = (record.value * (like.size // len(record.value) + 1))[: like.size]
                share = like.messages * read // ORDERS - written - len(sent)
                sent += [await producer.send(SCRATCH, value, key=record.key) for _ in range(share)]
            await asyncio.gather(*waiting)
            waiting = sent
            written += len(sent)
        await asyncio.gather(*waiting)
        return written / (time.perf_counter() - began)
