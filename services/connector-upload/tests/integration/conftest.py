"""The upload service as real processes beside real servers; gateway and scheduler are this test's words."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from suppli_connector_upload.app import MIGRATIONS, NAME
from suppli_connector_upload.manifest import PROVIDER, TILL
from suppli_contracts.codec import decode, encode
from suppli_contracts.events import Event
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import OrderState, SaleRecorded
from suppli_contracts.events.sync import CancelSync, RunKind, RunState, RunSync, SyncRunChanged
from suppli_contracts.topics import CONNECTIONS, SALES_RAW, SYNC_EVENTS, registry, sync_commands
from suppli_embedded.files import free_ports
from suppli_embedded.postgres import ServiceDatabase
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import Servers
from suppli_embedded.topics import create_topics
from suppli_service_kit.database import migrate
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.settings import KafkaSettings

DEADLINE = 30.0
ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
ANSWERS = {"timezone": "America/New_York", "currency": "USD"}
HEADER = "order_id,datetime,item,quantity,net"
Json = dict[str, Any]
T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T]], what: str, deadline: float = DEADLINE) -> T:
    """Return the first truthy result of `probe`; fail when there is none in time."""
    try:
        async with asyncio.timeout(deadline):
            while True:
                if found := await probe():
                    return found
                await asyncio.sleep(0.05)  # a look at a condition, bounded by the deadline
    except TimeoutError:
        raise AssertionError(f"waited {deadline} s for {what}") from None


def sales(*rows: tuple[str, str, str, int, str], header: str = HEADER) -> bytes:
    """Return a file of sales: (order, day, item, quantity, net) a row."""
    lines = [f"{order},{day} 12:00:00,{item},{quantity},{net}" for order, day, item, quantity, net in rows]
    return "\n".join((header, *lines, "")).encode()


def address(process: ServiceProcess) -> str:
    """Return where a process answers."""
    return f"http://127.0.0.1:{process.internal_port}"


class Deployment:
    """The service's database, and as many processes as a test starts."""

    def __init__(self, servers: Servers, database: ServiceDatabase, folder: Path, stack: ExitStack) -> None:
        self._servers, self.database, self._folder, self._stack = servers, database, folder, stack
        self.token = servers.openbao.internal_token(NAME)
        self.work = folder / "work"
        self.work.mkdir()
        self._name = secrets.token_hex(3)

    def start(self, name: str, **settings: object) -> ServiceProcess:
        """Start a process and wait until it is ready."""
        public, internal = free_ports(2)
        env = self._servers.service_environment(
            NAME,
            public_port=public,
            internal_port=internal,
            instance_id=f"{self._name}-{name}",
            database=self.database,
        )
        own = {
            "LEASE_SECONDS": "4",
            "RENEW_SECONDS": "0.5",
            "PUBLISH_SECONDS": "3",
            "WORK_FOLDER": str(self.work),
            # nobody reads the sales here, so nobody is behind
            "BULK_BACKLOG": str(1 << 40),
            **{key.upper(): str(value) for key, value in settings.items()},
        }
        env |= {f"SUPPLI_CONNECTOR_UPLOAD_{key}": value for key, value in own.items()}
        env |= {"SUPPLI_KAFKA_SESSION_TIMEOUT_MS": "6000"}
        command = [sys.executable, "-m", "suppli_connector_upload"]
        process = ServiceProcess(
            f"{NAME}-{name}", command, env, self._folder / f"{name}.log", internal_port=internal
        )
        process.start()
        self._stack.callback(process.stop)
        process.wait_ready()
        return process


@dataclass
class Tenant:
    """A tenant's till and files, through one process."""

    http: httpx.AsyncClient
    producer: Producer
    bootstrap: str
    token: str
    tenant: UUID = field(default_factory=uuid4)
    connection: UUID = field(default_factory=uuid4)
    revision: int = 0
    runs: list[UUID] = field(default_factory=list)

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Ask as the gateway does."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Suppli-Tenant": str(self.tenant),
            "Suppli-Actor": "ann",
            **body.pop("headers", {}),
        }
        return await self.http.request(method, f"/internal/v1{path}", headers=headers, **body)

    async def ask(self, method: str, path: str, **body: Any) -> Json:
        """Ask, and expect that it is done."""
        answer = await self.call(method, path, **body)
        assert answer.is_success, answer.text
        said: Json = answer.json() if answer.content else {}
        return said

    async def upload(self, content: bytes, name: str = "sales.csv") -> str:
        """Send a file; return its id once it was looked at."""
        sent = await self.ask("POST", "/uploads", content=content, headers={"Suppli-File-Name": name})
        upload_id = str(sent["upload_id"])
        await self.seen(upload_id, "asking", "refused")
        return upload_id

    async def seen(self, upload_id: str, *states: str, deadline: float = DEADLINE) -> Json:
        """Wait until a file stands so."""

        async def stands() -> Json | None:
            found = await self.ask("GET", f"/uploads/{upload_id}")
            return found if found["state"] in states else None

        return await until(stands, f"{upload_id} to be {states}", deadline)

    async def plan(self, upload_id: str, *, known: bool = True, **changes: Any) -> Json:
        """Confirm how a file is read; return it with its totals."""
        body = {"answers": ANSWERS, "connection_id": str(self.connection) if known else None, **changes}
        await self.ask("PUT", f"/uploads/{upload_id}/plan", json=body)
        return await self.seen(upload_id, "ready", "refused")

    async def ready(self, content: bytes, **changes: Any) -> str:
        """Send a file and confirm how it is read."""
        upload_id = await self.upload(content)
        assert (await self.plan(upload_id, **changes))["state"] == "ready"
        return upload_id

    async def connect(
        self, state: ConnectionState = ConnectionState.CONNECTED, *, erase: bool = False
    ) -> None:
        """Say the till, as the gateway does."""
        self.revision += 1
        await self._say(
            CONNECTIONS,
            ConnectionChanged(
                tenant_id=self.tenant,
                connection_id=self.connection,
                revision=self.revision,
                provider=PROVIDER,
                environment="production",
                state=state,
                erase=erase,
                changed_at=datetime.now(UTC),
                account_id=f"files-{self.connection}",
                locations=(
                    ConnectedLocation(
                        location_id=TILL,
                        currency="USD",
                        chosen=True,
                        suppli_location_id="main",
                        zones=(ZonePeriod(timezone="America/New_York"),),
                    ),
                ),
            ),
        )

    async def begin(self, upload_id: str, what: str = "import") -> UUID:
        """Ask for an import or an undo, and command its run."""
        body = {"json": {"connection_id": str(self.connection)}} if what == "import" else {}
        await self.ask("POST", f"/uploads/{upload_id}/{what}", **body)
        run_id = uuid4()
        self.runs.append(run_id)
        await self.ask("PUT", f"/uploads/{upload_id}/run", json={"run_id": str(run_id)})
        await self._say(
            sync_commands(PROVIDER),
            RunSync(
                tenant_id=self.tenant,
                connection_id=self.connection,
                provider=PROVIDER,
                run_id=run_id,
                attempt=1,
                kind=RunKind.MANUAL,
                settings_revision=self.revision,
                requested_at=datetime.now(UTC),
            ),
        )
        return run_id

    async def cancel(self, run_id: UUID) -> None:
        """Ask a run to stop."""
        command = CancelSync(
            tenant_id=self.tenant,
            connection_id=self.connection,
            provider=PROVIDER,
            run_id=run_id,
            requested_at=datetime.now(UTC),
        )
        await self._say(sync_commands(PROVIDER), command)

    async def run(self, upload_id: str, what: str = "import") -> tuple[Json, SyncRunChanged]:
        """Import a file, or take it back; return it, and the event that ended the run."""
        run_id = await self.begin(upload_id, what)
        ended = await self.ended(run_id)
        assert ended.state is RunState.SUCCEEDED, ended
        return await self.ask("GET", f"/uploads/{upload_id}"), ended

    async def ended(self, run_id: UUID) -> SyncRunChanged:
        """Wait for the event that ends a run."""

        async def said() -> SyncRunChanged | None:
            events = await self.said(SYNC_EVENTS, SyncRunChanged)
            return next((each for each in events if each.run_id == run_id and each.state in ENDED), None)

        return await until(said, f"run {run_id} to end", 60)

    async def said(self, topic: str, kind: type[T]) -> list[T]:
        """Return what is on a topic of this till."""
        found = await read_topic(self.bootstrap, topic)
        return [
            event
            for event in found
            if isinstance(event, kind) and getattr(event, "connection_id", None) == self.connection
        ]

    async def standing(self) -> dict[str, SaleRecorded]:
        """Return each order as a consumer has it: the greatest version wins; ended ones are left out."""
        newest: dict[str, SaleRecorded] = {}
        for sale in await self.said(SALES_RAW, SaleRecorded):
            before = newest.get(sale.order_id)
            version = (sale.source_version, sale.observed)
            if before is None or version >= (before.source_version, before.observed):
                newest[sale.order_id] = sale
        return {key: sale for key, sale in newest.items() if sale.state is not OrderState.DELETED}

    async def nets(self) -> dict[str, int]:
        """Return what stands: the net of each order, by the id that the file gives it."""
        return {
            key.partition("@")[0]: sum(line.net for line in sale.lines)
            for key, sale in (await self.standing()).items()
        }

    async def _say(self, topic: str, event: Event) -> None:
        key, value, headers = encode(
            event, event_id=str(uuid4()), source="suppli/test", time=datetime.now(UTC)
        )
        await self.producer.publish([OutMessage(topic, key, value, headers)], timeout=10)


async def read_topic(bootstrap: str, topic: str) -> list[Event]:
    """Return all that a topic holds, up to its end now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:

        async def assigned() -> bool:
            return bool(consumer.assignment())

        await until(assigned, "partitions")
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    found.append(decode(headers, record.value)[1])
        return found
    finally:
        await consumer.stop()


@pytest.fixture(scope="session")
async def deployment(
    embedded: Servers,
    make_database: Callable[[str], ServiceDatabase],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Deployment]:
    await create_topics(embedded.kafka.bootstrap_servers, registry((PROVIDER,)))
    database = make_database(NAME)
    await migrate(MIGRATIONS, database.owner_url)
    with ExitStack() as stack:
        yield Deployment(embedded, database, tmp_path_factory.mktemp("upload"), stack)


@pytest.fixture(scope="session")
def process(deployment: Deployment) -> ServiceProcess:
    """One process for all tests that need no other."""
    return deployment.start("one")


@pytest.fixture(scope="session")
async def producer(embedded: Servers) -> AsyncIterator[Producer]:
    made = Producer(KafkaSettings(bootstrap_servers=embedded.kafka.bootstrap_servers), client_id="test")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def till(
    embedded: Servers, deployment: Deployment, process: ServiceProcess, producer: Producer
) -> AsyncIterator[Tenant]:
    """A tenant with a till that the service knows."""
    async with httpx.AsyncClient(base_url=address(process), timeout=60) as http:
        made = Tenant(http, producer, embedded.kafka.bootstrap_servers, deployment.token)
        await made.connect()
        yield made


@pytest.fixture
def other(till: Tenant) -> Iterator[Tenant]:
    """Another tenant at the same process."""
    return Tenant(till.http, till.producer, till.bootstrap, till.token)
