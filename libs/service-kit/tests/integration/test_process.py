"""What a process promises: it starts with others away, stops in time, survives a killed broker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from suppli_embedded.files import free_ports
from suppli_service_kit.kafka.consumer import Consumers
from suppli_service_kit.kafka.messages import InMessage, OutMessage
from suppli_service_kit.kafka.producer import Producer, PublishFailed
from suppli_service_kit.settings import KafkaSettings

SAMPLE = """
import asyncio, os
from pydantic_settings import SettingsConfigDict
from suppli_service_kit.main import main
from suppli_service_kit.service import Service
from suppli_service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SUPPLI_SAMPLE_")


async def dies(stop):
    await asyncio.sleep(0.2)
    raise RuntimeError("password=hunter2secret")


async def stuck(messages):
    await asyncio.sleep(3600)


def create():
    service = Service("sample", Settings())
    service.database
    service.relay_outbox()
    service.consumers.subscribe(os.environ["SAMPLE_TOPIC"], group=os.environ["SAMPLE_GROUP"], handler=stuck)
    if os.environ.get("SAMPLE_DIES"):
        service.add_task("dies", dies)
    return service


raise SystemExit(main(create, "sample", settings=Settings))
"""


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come in time"
        time.sleep(0.05)


class Sample:
    """A service in a process of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        [self.port] = free_ports(1)
        self.log = folder / "sample.log"
        script = folder / "sample.py"
        script.write_text(SAMPLE)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SUPPLI_")}
        self.process = subprocess.Popen(
            [sys.executable, script],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            env={
                **inherited,
                "SUPPLI_ENVIRONMENT": "development",
                "SUPPLI_SAMPLE_HOST": "127.0.0.1",
                "SUPPLI_SAMPLE_INTERNAL_PORT": str(self.port),
                **environment,
            },
        )

    def get(self, path: str) -> httpx.Response:
        """Return the answer; 599 while nothing listens yet."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx.TransportError:
            return httpx.Response(599, json={"status": "unavailable", "checks": {}})

    def stop(self) -> tuple[int, float]:
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        return code, time.monotonic() - started


@contextmanager
def sample(folder: Path, **environment: str) -> Iterator[Sample]:
    running = Sample(folder, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(5)


@pytest.fixture
def addresses(
    make_database: Callable[[str], Any], kafka: Any, kafka_topics: Callable[..., str]
) -> dict[str, str]:
    made = make_database("kit")
    topic, group = kafka_topics("process"), f"process-{uuid.uuid4().hex[:6]}"
    kafka.ensure_topics([NewTopic(f"{topic}.{group}.dlq", num_partitions=1, replication_factor=1)])
    return {
        "SUPPLI_SAMPLE_DATABASE_URL": made.app_url,
        "SUPPLI_SAMPLE_RELAY_URL": made.relay_url,
        "SUPPLI_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "SAMPLE_TOPIC": topic,
        "SAMPLE_GROUP": group,
    }


def test_it_serves_health_and_stops_when_asked(tmp_path: Path, addresses: dict[str, str]) -> None:
    """A deployment waits for /readyz and for the end after SIGTERM; both must come."""
    with sample(tmp_path, **addresses) as running:
        wait_for(lambda: running.get("/readyz").json()["status"] != "unavailable")
        wait_for(lambda: running.get("/readyz").json()["checks"]["consumers"] == "ok")
        assert running.get("/healthz").status_code == 200
        assert "suppli_event_loop_lag_seconds" in running.get("/metrics").text
        missing = running.get("/nothing")
        assert missing.headers["content-type"] == "application/problem+json"
        assert missing.json()["type"].endswith("/not-found")
        code, seconds = running.stop()
    assert (code, seconds < 5) == (0, True), running.log.read_text()


def test_it_starts_and_stops_in_time_while_the_brokers_are_away(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    """With Kafka down a service must still answer its own HTTP, and a node must still be drained in ten
    seconds.
    """
    [nobody] = free_ports(1)
    with sample(
        tmp_path, **{**addresses, "SUPPLI_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody}"}
    ) as running:
        wait_for(lambda: running.get("/readyz").status_code != 599)
        ready = running.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        code, seconds = running.stop()
    assert code == 0, running.log.read_text()
    assert seconds < 10


def test_it_is_not_ready_without_its_database(tmp_path: Path, addresses: dict[str, str]) -> None:
    """A pod that cannot answer must get no requests."""
    away = {"SUPPLI_SAMPLE_DATABASE_URL": "postgresql://nobody:pw@127.0.0.1:1/none"}
    with sample(tmp_path, **{**addresses, **away}) as running:
        wait_for(lambda: running.get("/readyz").status_code == 503)
        assert running.get("/healthz").status_code == 200, "a restart would not help"


def test_a_dead_task_ends_the_process_and_its_log_keeps_the_secret(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    """Half a service looks healthy and does nothing: it must end with an error, and be started anew."""
    with sample(tmp_path, **addresses, SAMPLE_DIES="1") as running:
        assert running.process.wait(20) == 1
    text = running.log.read_text()
    assert '"task":"dies"' in text
    assert "hunter2secret" not in text


def test_wrong_settings_are_named(tmp_path: Path, addresses: dict[str, str]) -> None:
    """An operator must read which setting is wrong, not a trace."""
    with sample(
        tmp_path, **addresses, SUPPLI_ENVIRONMENT="production", SUPPLI_CLOCK_OFFSET_FILE="/x"
    ) as running:
        assert running.process.wait(20) == 2
    assert "SUPPLI_CLOCK_OFFSET_FILE is refused in production" in running.log.read_text()


@pytest.mark.timeout(120)
async def test_a_killed_broker_costs_nothing(private_embedded: Any) -> None:
    """Everything acknowledged must be there after a broker crash, and everything else publishable again."""
    private_embedded.start_kafka()
    server = private_embedded.kafka
    settings = KafkaSettings(
        bootstrap_servers=server.bootstrap_servers, session_timeout_ms=6_000, rebalance_timeout_ms=6_000
    )
    await asyncio.to_thread(
        server.ensure_topics, [NewTopic("numbers", num_partitions=2, replication_factor=1)]
    )
    producer = Producer(settings)
    seen: set[int] = set()

    async def keep(messages: Sequence[InMessage]) -> None:
        seen.update(int(message.value or b"") for message in messages)

    consumers = Consumers(settings, service="kit", instance_id="one", producer=producer)
    consumers.subscribe("numbers", group="numbers", handler=keep)
    await producer.start()
    await consumers.start()
    await producer.publish([OutMessage("numbers", str(n).encode(), str(n).encode()) for n in range(500)])
    await asyncio.to_thread(server.kill)
    second = [OutMessage("numbers", str(n).encode(), str(n).encode()) for n in range(500, 1_000)]
    started = time.monotonic()
    with pytest.raises(PublishFailed):
        await producer.publish(second, timeout=2)
    assert time.monotonic() - started < 6, "a publish must not outlive its time-out"
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(60):
        while True:
            try:
                await producer.publish(second, timeout=5)
                break
            except PublishFailed:
                await asyncio.sleep(0.2)
        while len(seen) < 1_000:  # noqa: ASYNC110 - a look at a condition, with a deadline
            await asyncio.sleep(0.05)
    await asyncio.to_thread(server.kill)
    started = time.monotonic()
    await asyncio.gather(consumers.stop(), producer.stop())
    assert time.monotonic() - started < 9


async def test_published_is_acknowledged(kafka: Any, kafka_topics: Callable[..., str]) -> None:
    """`publish` returning means that every message can be read: checkpoints are written on its word."""
    topic = kafka_topics("published", partitions=2)
    producer = Producer(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    await producer.publish([OutMessage(topic, str(n).encode(), b"x") for n in range(1_000)])
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers)
    await consumer.start()
    ends = await consumer.end_offsets(consumer.assignment())
    await consumer.stop()
    await producer.stop()
    assert sum(ends.values()) == 1_000
