"""The service as a process beside real servers, and a way to speak with it as its neighbours do."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from suppli_contracts.codec import decode, encode
from suppli_contracts.events import (
    CancelSync,
    ConnectionChanged,
    Event,
    NextSyncScheduled,
    RunSync,
    SyncRunChanged,
)
from suppli_contracts.events.connections import ConnectionState, Schedule
from suppli_contracts.events.sync import RunState
from suppli_contracts.topics import CONNECTIONS, SYNC_EVENTS, registry, sync_commands
from suppli_embedded.files import free_ports
from suppli_embedded.postgres import ServiceDatabase
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import Servers
from suppli_embedded.topics import create_topics
from suppli_service_kit.database import migrate
from suppli_service_kit.outbox import LOCK_ID as OUTBOX_LOCK

DEADLINE = 20.0
PROVIDER = "square"
E = TypeVar("E", bound=Event)


class World:
    """One tenant's view: what is on the topics of its connections, and how to write to them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.tenant = uuid4()
        self._bootstrap = bootstrap_servers
        self._heard: list[tuple[str, Event]] = []
        self._sequence: dict[tuple[UUID, int], int] = {}

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            sync_commands(PROVIDER),
            SYNC_EVENTS,
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
        )
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def _read(self) -> None:
        async for record in self._consumer:
            headers = {name: value.decode() for name, value in record.headers}
            envelope, event = decode(headers, record.value)
            if envelope.tenant == self.tenant:
                self._heard.append((envelope.source, event))

    async def say(self, topic: str, event: Event, source: str) -> None:
        key, value, headers = encode(event, event_id=str(uuid4()), source=source, time=datetime.now(UTC))
        await self._producer.send_and_wait(topic, value, key=key, headers=list(headers))

    async def connect(
        self, connection_id: UUID, schedule: Schedule | None = None, *, revision: int = 1, **changes: Any
    ) -> None:
        """Say a connection as the gateway does."""
        settings: dict[str, Any] = {
            "state": ConnectionState.CONNECTED,
            "start_date": datetime.now(UTC).date(),
            "changed_at": datetime.now(UTC),
            **changes,
        }
        event = ConnectionChanged(
            tenant_id=self.tenant,
            connection_id=connection_id,
            revision=revision,
            provider=PROVIDER,
            environment="sandbox",
            schedule=schedule or Schedule(),
            **settings,
        )
        await self.say(CONNECTIONS, event, "suppli/gateway")

    async def report(self, command: RunSync, state: RunState, **changes: Any) -> None:
        """Say what becomes of a run as its connector does."""
        key = (command.run_id, command.attempt)
        self._sequence[key] = self._sequence.get(key, 0) + 1
        event = SyncRunChanged(
            tenant_id=self.tenant,
            connection_id=command.connection_id,
            provider=PROVIDER,
            run_id=command.run_id,
            attempt=command.attempt,
            sequence=self._sequence[key],
            kind=command.kind,
            state=state,
            at=datetime.now(UTC),
            **changes,
        )
        await self.say(SYNC_EVENTS, event, f"suppli/connector-{PROVIDER}")

    def heard(self, model: type[E], connection_id: UUID) -> list[E]:
        """Return what the scheduler said so far of a connection."""
        return [
            event
            for source, event in self._heard
            if isinstance(event, model)
            and source == "suppli/sync-scheduler"
            and event.connection_id == connection_id  # type: ignore[attr-defined]
        ]

    async def commands(self, connection_id: UUID, count: int) -> list[RunSync]:
        """Return the commands of a connection when there are `count`."""
        await until(lambda: len(self.heard(RunSync, connection_id)) >= count)
        return self.heard(RunSync, connection_id)

    async def stops(self, connection_id: UUID, count: int) -> list[CancelSync]:
        await until(lambda: len(self.heard(CancelSync, connection_id)) >= count)
        return self.heard(CancelSync, connection_id)

    async def known_to(self, replica: Replica, connection_id: UUID) -> None:
        """Return when the service knows a connection."""
        path = f"/connections/{connection_id}/schedule"
        await until(lambda: replica.get(path, self.tenant).status_code == 200)

    async def state_of(self, replica: Replica, run_id: UUID | str, state: RunState) -> None:
        """Return when the service has heard that a run is in `state`."""
        await until(lambda: replica.run_state(run_id) == state.value)

    async def dead_letter(self, group: str, connection_id: UUID) -> str:
        """Return why a group set a connection's message aside."""
        topic = f"{CONNECTIONS}.{group}.dlq"
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async with asyncio.timeout(DEADLINE):
                async for record in consumer:
                    if record.key == str(connection_id).encode():
                        return " ".join(value.decode() for _, value in record.headers)
        finally:
            await consumer.stop()
        raise AssertionError("the topic has no end")

    async def next_due(self, connection_id: UUID, count: int = 1) -> NextSyncScheduled:
        """Return the newest word on when a connection is due, when there are `count`."""
        await until(lambda: len(self.heard(NextSyncScheduled, connection_id)) >= count)
        return self.heard(NextSyncScheduled, connection_id)[-1]


class Replica:
    """One process of the service."""

    def __init__(self, process: ServiceProcess, token: str, connect: Callable[[], Any]) -> None:
        self.process = process
        self._connect = connect
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{process.internal_port}/internal/v1",
            headers={"Authorization": f"Bearer {token}", "Suppli-Actor": "test"},
            timeout=10,
        )

    def get(self, path: str, tenant: UUID) -> httpx.Response:
        return self._http.get(path, headers={"Suppli-Tenant": str(tenant)})

    def post(self, path: str, tenant: UUID, body: dict[str, Any] | None = None) -> httpx.Response:
        return self._http.post(path, headers={"Suppli-Tenant": str(tenant)}, json=body or {})

    def run_state(self, run_id: UUID | str) -> str | None:
        """Return a run's state out of the service's database."""
        with self._connect() as connection:
            row = connection.execute("select state from runs where run_id = %s", [str(run_id)]).fetchone()
        return None if row is None else str(row[0])

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.process.internal_port}/metrics").text


class Deployment:
    """The service's database and clock, and as many processes as a test starts."""

    def __init__(self, servers: Servers, database: ServiceDatabase, folder: Path, stack: ExitStack) -> None:
        self.database = database
        self._servers = servers
        self._folder = folder
        self._stack = stack
        self._clock = folder / "clock-offset"
        self._clock.write_text("0")
        self._name = secrets.token_hex(3)

    def move_clock(self, by: timedelta) -> None:
        """Move the service's clock: from now on it is ahead of the machine's by so much."""
        self._clock.write_text(str(by.total_seconds()))

    @contextmanager
    def holding_back_messages(self) -> Iterator[None]:
        """Keep what the service says in its outbox: whoever holds this lock is the one that publishes."""
        with self._servers.postgres.connect(self.database.name) as connection:
            connection.execute("select pg_advisory_lock(%s)", [OUTBOX_LOCK])
            yield

    async def until_runs(self, count: int) -> None:
        """Return when the service has stored so many runs."""
        with self._servers.postgres.connect(self.database.name) as connection:
            await until(lambda: connection.execute("select count(*) from runs").fetchone() == (count,))

    def start(self, name: str = "one", **settings: object) -> Replica:
        public, internal = free_ports(2)
        env = self._servers.service_environment(
            "sync-scheduler",
            public_port=public,
            internal_port=internal,
            instance_id=f"{self._name}-{name}",
            database=self.database,
        )
        env |= {
            f"SUPPLI_SYNC_SCHEDULER_{key.upper()}": str(value)
            for key, value in ({"providers": "square"} | settings).items()
        }
        env |= {"SUPPLI_CLOCK_OFFSET_FILE": str(self._clock), "SUPPLI_KAFKA_SESSION_TIMEOUT_MS": "6000"}
        argv = [sys.executable, "-m", "suppli_sync_scheduler"]
        log = self._folder / f"{name}.log"
        process = ServiceProcess(f"scheduler-{name}", argv, env, log, internal_port=internal)
        process.start()
        self._stack.callback(process.stop)
        process.wait_ready()
        return Replica(
            process,
            self._servers.openbao.internal_token("sync-scheduler"),
            lambda: self._servers.postgres.connect(self.database.name),
        )


async def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait for a condition; fail with a time-out when it does not come."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


@pytest.fixture
async def database(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """A fresh, migrated database."""
    made = make_database("sync_scheduler")
    await migrate("suppli_sync_scheduler", made.owner_url)
    return made


@pytest.fixture
def deployment(embedded: Servers, database: ServiceDatabase, tmp_path: Path) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield Deployment(embedded, database, tmp_path, stack)


@pytest.fixture
async def world(embedded: Servers) -> AsyncIterator[World]:
    await create_topics(embedded.kafka.bootstrap_servers, registry((PROVIDER,)))
    made = World(embedded.kafka.bootstrap_servers)
    await made.start()
    yield made
    await made.stop()
