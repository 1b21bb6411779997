"""What processes take: CPU seconds and resident memory, by service; and what still waits between them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from suppli_contracts.topics import SALES_RAW, group
from suppli_demo.shop import wait_for
from suppli_demo.system import System

POSTGRES, KAFKA = "postgres", "kafka"
_SAMPLE_SECONDS = 0.1
_MB = 1e6


def cpu_seconds(system: System) -> dict[str, float]:
    """Return the CPU seconds that each running service, PostgreSQL (all of it) and Kafka have taken so
    far.
    """
    running = {name: service.pid for name, service in system.services.items() if service.running}
    taken = {name: _own(_process(pid, name)) for name, pid in running.items()}
    postgres = system.runtime.postgres.process
    taken[POSTGRES] = _with_children(_process(postgres.pid if postgres else None, POSTGRES))
    kafka = system.runtime.kafka.process
    taken[KAFKA] = _own(_process(kafka.pid if kafka else None, KAFKA))
    return taken


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return what was taken in between."""
    return {name: after[name] - before[name] for name in before if name in after}


def database_cpu_seconds(system: System, database: str) -> float:
    """Return the CPU seconds of the PostgreSQL processes that serve one database now."""
    postgres = system.runtime.postgres.process
    main = _process(postgres.pid if postgres else None, POSTGRES)
    return sum(_own(each) for each in main.children() if f" {database} " in " ".join(each.cmdline()))


def resident_mb(system: System) -> dict[str, float]:
    """Return the resident memory (MB) of each service now."""
    return {
        name: _process(service.pid, name).memory_info().rss / _MB for name, service in system.services.items()
    }


class PeakMemory:
    """Samples the resident memory of the services while its block runs; `peak` is the most of each (MB)."""

    def __init__(self, system: System) -> None:
        self.peak: dict[str, float] = resident_mb(system)
        self._system = system
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            for name, now in resident_mb(self._system).items():
                self.peak[name] = max(self.peak[name], now)


def end_of(system: System, topic: str) -> int:
    """Return how many records were ever written to a topic."""
    return sum(asyncio.run(_ends(system.bootstrap_servers, topic)).values())


def wait_until_mapped(system: System, seconds: float = 300) -> None:
    """Return when mapping has read every raw sale and its outbox is empty."""
    wait_for(lambda: _mapped(system) or None, "mapping to catch up", seconds)


def _mapped(system: System) -> bool:
    if asyncio.run(_behind(system.bootstrap_servers)):
        return False
    with system.runtime.postgres.connect("suppli_mapping") as connection:
        row = connection.execute("select count(*) from outbox").fetchone()
    return row is not None and row[0] == 0


async def _behind(servers: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group("mapping", "sales"))
    finally:
        await admin.close()
    ends = await _ends(servers, SALES_RAW)
    return sum(end - (committed[part].offset if part in committed else 0) for part, end in ends.items())


async def _ends(servers: str, topic: str) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
    return ends


def _process(pid: int | None, name: str) -> psutil.Process:
    if pid is None:
        raise RuntimeError(f"{name} is not running")
    return psutil.Process(pid)


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _with_children(process: psutil.Process) -> float:
    """Return what a process, its living children and those that it waited for have taken."""
    times = process.cpu_times()
    taken = _own(process) + times.children_user + times.children_system
    for child in process.children():
        try:
            taken += _own(child)
        except psutil.NoSuchProcess:
            continue  # it has just ended, and counts with its parent from now on
    return float(taken)
