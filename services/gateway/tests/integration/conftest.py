"""The gateway as real processes beside real servers; its neighbours are small HTTP servers of these tests."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from suppli_contracts import internal
from suppli_contracts.codec import decode, encode
from suppli_contracts.events import Event
from suppli_contracts.events.sync import RunKind, RunState
from suppli_contracts.topics import CATALOG_LOCATIONS, CATALOG_PRODUCTS, CONNECTIONS, registry
from suppli_embedded.files import free_ports
from suppli_embedded.postgres import ServiceDatabase
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import Servers
from suppli_embedded.topics import create_topics
from suppli_sandbox import issuer as identity
from suppli_service_kit.database import migrate

DEADLINE = 20.0
PROVIDER = "square"
T = TypeVar("T")
E = TypeVar("E", bound=Event)


async def until(probe: Callable[[], T | Awaitable[T]], what: str = "it", deadline: float = DEADLINE) -> T:
    """Return the first truthy result of `probe`; fail when there is none in time."""
    try:
        async with asyncio.timeout(deadline):
            while True:
                result = probe()
                value = await result if isinstance(result, Awaitable) else result
                if value:
                    return value
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {deadline} s for {what}") from None


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an app on a free port in a thread; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass
class Asked:
    """A call that a neighbour got."""

    method: str
    path: str
    tenant: str
    actor: str
    body: Any
    query: dict[str, str]


@dataclass
class Neighbours:
    """Connector, scheduler and mapping in one server: they answer as their contracts say, and note what was
    asked.

    Attributes:
        accounts: which account a code belongs to; other codes are refused.
        named: whose account each exchange was said to be.
        down: path parts whose calls fail with 503.
        refuse_runs: problem slugs with which the next runs are refused.
    """

    tokens: dict[str, str]
    asked: list[Asked] = field(default_factory=list)
    accounts: dict[str, internal.Account] = field(default_factory=dict)
    exchanged: dict[str, internal.Account] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    lose_reply: set[str] = field(default_factory=set)
    refuse_runs: list[str] = field(default_factory=list)
    items: list[internal.Item] = field(default_factory=list)

    def calls(self, part: str) -> list[Asked]:
        return [asked for asked in self.asked if part in asked.path]

    def account(self, code: str, account_id: str, *, locations: int = 1) -> internal.Account:
        """Make `code` open an account."""
        account = internal.Account(
            account_id=account_id,
            name="Corner Coffee",
            environment="sandbox",
            locations=tuple(
                internal.AccountLocation(
                    location_id=f"L{number}",
                    name=f"Shop {number}",
                    timezone="America/New_York",
                    currency="USD",
                )
                for number in range(1, locations + 1)
            ),
        )
        self.accounts[code] = account
        return account

    def app(self) -> Starlette:
        routes = [
            Route("/manifest", self._manifest),
            Route("/connections/{id}/authorize", self._authorize, methods=["POST"]),
            Route("/connections/{id}/exchange", self._exchange, methods=["POST"]),
            Route("/connections/{id}/adopt", self._adopt, methods=["POST"]),
            Route("/connections/{id}/revoke", self._accepted, methods=["POST"]),
            Route("/connections/{id}/discard", self._accepted, methods=["POST"]),
            Route("/connections/{id}/preview", self._preview),
            Route("/connections/{id}/set-aside", self._set_aside),
            Route("/connections/{id}/runs", self._run, methods=["POST"]),
            Route("/connections/{id}/days", self._days),
            Route("/runs/{id}/cancel", self._cancel, methods=["POST"]),
            Route("/items", self._items),
            Route("/items/{id}", self._item),
            Route("/items/{id}/mapping", self._map, methods=["PUT"]),
        ]
        return Starlette(
            routes=[
                Route("/readyz", self._ready),
                *(
                    Route(
                        f"/internal/v1{each.path}",
                        self._noted(each.endpoint),
                        methods=list(each.methods or ()),
                    )
                    for each in routes
                ),
            ]
        )

    async def _ready(self, _: Request) -> Response:
        return Response(status_code=503 if "/readyz" in self.down else 200)

    def _noted(self, endpoint: Any) -> Any:
        async def noted(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens.values():
                return problem(401, "unauthorized")
            body = await request.body()
            self.asked.append(
                Asked(
                    request.method,
                    request.url.path,
                    request.headers["suppli-tenant"],
                    request.headers["suppli-actor"],
                    json.loads(body) if body else None,
                    dict(request.query_params),
                )
            )
            if any(part in request.url.path for part in self.down):
                return problem(503, "provider-unavailable")
            answer: Response = await endpoint(request)
            lost = next((part for part in self.lose_reply if part in request.url.path), None)
            if lost is not None:
                self.lose_reply.discard(lost)
                return problem(503, "reply-lost")
            return answer

        return noted

    async def _manifest(self, _: Request) -> Response:
        return reply(
            internal.Manifest(
                provider=PROVIDER,
                name="Square",
                auth="oauth",
                environments=("production", "sandbox"),
                scopes=(),
                refresh_tokens="reusable",
                credentials=(internal.CredentialField(name="token", label="API token", secret=True),),
                account_parameter="merchant_id",
            )
        )

    async def _authorize(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body(), type=internal.AuthorizeRequest)
        url = f"https://provider.example/consent?state={body.state}&redirect_uri={body.redirect_uri}"
        scope = internal.Scope(name="ORDERS_READ", reason="To read sales.")
        return reply(internal.AuthorizeAnswer(authorize_url=url, scopes=(scope,)))

    async def _exchange(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body(), type=internal.ExchangeRequest)
        if body.state not in self.exchanged:
            code = body.code or body.credentials["token"]
            if code not in self.accounts:
                return problem(409, "code-invalid")
            self.named.append(body.account_id)
            self.exchanged[body.state] = self.accounts[code]
        return reply(self.exchanged[body.state])

    async def _adopt(self, request: Request) -> Response:
        return reply(next(reversed(self.exchanged.values())))

    async def _accepted(self, _: Request) -> Response:
        return Response(status_code=202)

    async def _preview(self, _: Request) -> Response:
        sale = internal.PreviewSale(
            order_id="O1",
            location_id="L1",
            occurred_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
            business_date=datetime(2026, 3, 1, tzinfo=UTC).date(),
            net=450,
            currency="USD",
            lines=("1 Latte",),
        )
        return reply(internal.Preview(sales=(sale,), orders=1, items=2))

    async def _set_aside(self, _: Request) -> Response:
        order = internal.SetAsideOrder(
            order_id="O9",
            location_id="L1",
            reason="quantity is no number",
            field_path="$.line_items[0].quantity",
            normaliser_revision=1,
            since=datetime(2026, 3, 1, tzinfo=UTC),
        )
        return reply(internal.SetAsideOrders(orders=(order,)))

    async def _run(self, request: Request) -> Response:
        if self.refuse_runs:
            return problem(409, self.refuse_runs.pop(0))
        body = msgspec.json.decode(await request.body(), type=internal.RunRequest)
        return reply(run_of(UUID(request.path_params["id"]), body.kind), 201)

    async def _cancel(self, request: Request) -> Response:
        run = run_of(uuid4(), RunKind.MANUAL, RunState.CANCELLED)
        return reply(msgspec.structs.replace(run, run_id=UUID(request.path_params["id"])))

    async def _days(self, request: Request) -> Response:
        day = internal.DayTotals(
            connection_id=UUID(request.path_params["id"]),
            location_id="L1",
            business_date=datetime(2026, 3, 1, tzinfo=UTC).date(),
            currency="USD",
            sold_net=450,
        )
        return reply(internal.DayTotalsPage(days=(day,)))

    async def _items(self, _: Request) -> Response:
        return reply(internal.ItemPage(items=tuple(self.items), next_cursor="after/this one"))

    async def _item(self, request: Request) -> Response:
        found = [item for item in self.items if str(item.item_id) == request.path_params["id"]]
        return reply(found[0]) if found else problem(404, "item-not-found")

    async def _map(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body(), type=internal.MapRequest)
        found = [item for item in self.items if str(item.item_id) == request.path_params["id"]]
        if not found:
            return problem(404, "item-not-found")
        return reply(msgspec.structs.replace(found[0], state=body.state, targets=body.targets, revision=1))


def run_of(connection_id: UUID, kind: RunKind, state: RunState = RunState.QUEUED) -> internal.Run:
    return internal.Run(
        run_id=uuid4(),
        connection_id=connection_id,
        kind=kind,
        state=state,
        attempt=1,
        requested_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def reply(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def problem(status: int, slug: str) -> Response:
    body = {"type": f"https://suppli.dev/problems/{slug}", "title": slug, "status": status}
    return Response(json.dumps(body), status, media_type="application/problem+json")


class Person:
    """Somebody signed in, with a browser of their own."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    async def ask(self, method: str, path: str, expect: int | None = None, **kwargs: Any) -> Any:
        """Return the JSON of an answer with the expected status (by default any success)."""
        answer = await self.http.request(method, path, **kwargs)
        wanted = answer.status_code == expect if expect is not None else answer.is_success
        assert wanted, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def refused(self, status: int, slug: str, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return the problem of an answer that must be that one."""
        answer = await self.http.request(method, path, **kwargs)
        said = answer.text
        assert answer.headers["content-type"] == "application/problem+json", said
        body: dict[str, Any] = answer.json()
        assert (answer.status_code, body["type"].rsplit("/", 1)[-1]) == (status, slug), said
        return body

    async def begin(self) -> dict[str, Any]:
        body: dict[str, Any] = await self.ask(
            "POST", "/v1/connections", 201, json={"provider": PROVIDER, "environment": "sandbox"}
        )
        return body

    async def come_back(self, authorize_url: str, **answer: str) -> httpx.Response:
        """Follow the provider's redirect back, in this browser, without a token."""
        return await self.http.get(
            "/v1/oauth/callback",
            params={"state": state_in(authorize_url), **answer},
            headers={"Authorization": ""},
        )

    async def connect(self, code: str) -> dict[str, Any]:
        begun = await self.begin()
        answer = await self.come_back(begun["authorize_url"], code=code)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def started(self, code: str, *, start_date: str = "2026-01-01") -> str:
        """Connect, tie the first location, start; return the connection's id."""
        connection_id = str((await self.connect(code))["connection"]["id"])
        await self.ask("PUT", "/v1/locations/shop-1", json={"name": "Shop 1", "timezone": "America/New_York"})
        await self.ask("PATCH", f"/v1/connections/{connection_id}", json={"locations": [TIE]})
        body = {"start_date": start_date, "schedule": {"kind": "manual"}}
        await self.ask("POST", f"/v1/connections/{connection_id}/start", 202, json=body)
        return connection_id


TIE = {
    "location_id": "L1",
    "chosen": True,
    "suppli_location_id": "shop-1",
    "timezone": "America/New_York",
    "day_cutoff": "03:00",
}


def state_in(authorize_url: str) -> str:
    return parse_qs(urlsplit(authorize_url).query)["state"][0]


class Heard:
    """What is on the gateway's topics, and a way to speak as its neighbours do."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap = bootstrap_servers
        self.messages: list[tuple[str, Event]] = []
        self.tombstones: list[str] = []

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            CONNECTIONS,
            CATALOG_PRODUCTS,
            CATALOG_LOCATIONS,
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
            if record.value is None:
                self.tombstones.append(record.key.decode())
                continue
            headers = {name: value.decode() for name, value in record.headers}
            self.messages.append((record.topic, decode(headers, record.value)[1]))

    def of(self, model: type[E], **fields: Any) -> list[E]:
        """Return the events of a kind with these fields, oldest first."""
        return [
            event
            for _, event in self.messages
            if isinstance(event, model) and all(str(getattr(event, k)) == str(v) for k, v in fields.items())
        ]

    async def say(self, topic: str, event: Event, source: str = "suppli/test") -> None:
        key, value, headers = encode(event, event_id=str(uuid4()), source=source, time=datetime.now(UTC))
        await self._producer.send_and_wait(topic, value, key=key, headers=list(headers))

    async def say_raw(self, topic: str, key: bytes, value: bytes | None, headers: Mapping[str, str]) -> None:
        encoded = [(name, text.encode()) for name, text in headers.items()]
        await self._producer.send_and_wait(topic, value, key=key, headers=encoded)


class Deployment:
    """The gateway's database, clock and neighbours, and as many processes as a test starts."""

    def __init__(
        self,
        servers: Servers,
        database: ServiceDatabase,
        folder: Path,
        neighbours: Neighbours,
        stack: ExitStack,
    ) -> None:
        self.database, self.neighbours = database, neighbours
        self._servers, self._folder, self._stack = servers, folder, stack
        self.issuer = identity.Issuer("http://127.0.0.1:0")
        self.issuer.url = stack.enter_context(serving(identity.create_app(self.issuer)))
        self.neighbours_url = stack.enter_context(serving(neighbours.app()))
        self.clock = folder / "clock-offset"
        self.clock.write_text("0")
        self._name = secrets.token_hex(3)
        self.processes: list[ServiceProcess] = []

    def move_clock(self, by: timedelta) -> None:
        self.clock.write_text(str(by.total_seconds()))

    def start(self, name: str = "one", **settings: object) -> str:
        """Start a process and return its public address."""
        public, private = free_ports(2)
        env = self._servers.service_environment(
            "gateway",
            public_port=public,
            internal_port=private,
            instance_id=f"{self._name}-{name}",
            database=self.database,
        )
        own = {
            "ISSUER": self.issuer.url,
            "JWKS_URL": self.issuer.jwks_url,
            "JWKS_RETRY_SECONDS": "0.2",
            "PUBLIC_URL": f"http://127.0.0.1:{public}",
            "CONNECTOR_URLS": json.dumps({PROVIDER: self.neighbours_url}),
            "MAPPING_URL": self.neighbours_url,
            "SYNC_SCHEDULER_URL": self.neighbours_url,
            **{key.upper(): str(value) for key, value in settings.items()},
        }
        env |= {f"SUPPLI_GATEWAY_{key}": value for key, value in own.items()}
        env |= {"SUPPLI_CLOCK_OFFSET_FILE": str(self.clock), "SUPPLI_KAFKA_SESSION_TIMEOUT_MS": "6000"}
        process = ServiceProcess(
            f"gateway-{name}",
            [sys.executable, "-m", "suppli_gateway"],
            env,
            self._folder / f"{name}.log",
            internal_port=private,
        )
        process.start()
        self._stack.callback(process.stop)
        process.wait_ready()
        self.processes.append(process)
        return f"http://127.0.0.1:{public}"

    def logs(self) -> str:
        return "".join(path.read_text() for path in self._folder.glob("*.log"))

    def token(self, tenant: UUID, role: str = "admin", **changes: Any) -> str:
        said = {"sub": f"{role}@{tenant}", "tenants": (tenant,), "role": role, **changes}
        return self.issuer.token(identity.TokenRequest(**said))


@pytest.fixture(scope="module")
def neighbours(embedded: Servers) -> Neighbours:
    services = ("connector-square", "mapping", "sync-scheduler")
    return Neighbours({name: embedded.openbao.internal_token(name) for name in services})


@pytest.fixture(scope="module")
async def deployment(
    embedded: Servers,
    make_database: Callable[[str], ServiceDatabase],
    tmp_path_factory: pytest.TempPathFactory,
    neighbours: Neighbours,
) -> AsyncIterator[Deployment]:
    await create_topics(embedded.kafka.bootstrap_servers, registry((PROVIDER,)))
    database = make_database("gateway")
    await migrate("suppli_gateway", database.owner_url)
    with ExitStack() as stack:
        yield Deployment(embedded, database, tmp_path_factory.mktemp("gateway"), neighbours, stack)


@pytest.fixture(scope="module")
def gateway_url(deployment: Deployment) -> str:
    """One process for the tests of a module."""
    return deployment.start()


@pytest.fixture(autouse=True)
def clean(deployment: Deployment) -> Iterator[None]:
    """Give each test neighbours that work and a clock that is right."""
    yield
    deployment.move_clock(timedelta())
    for forgotten in (
        deployment.neighbours.down,
        deployment.neighbours.lose_reply,
        deployment.neighbours.refuse_runs,
    ):
        forgotten.clear()


@pytest.fixture
async def sign_in(deployment: Deployment, gateway_url: str) -> AsyncIterator[Callable[..., Person]]:
    """Return a function that signs somebody in: `sign_in(tenant, "viewer")`."""
    people: list[Person] = []

    def make(tenant: UUID, role: str = "admin", *, url: str = gateway_url, **changes: Any) -> Person:
        person = Person(url, deployment.token(tenant, role, **changes))
        people.append(person)
        return person

    yield make
    for person in people:
        await person.http.aclose()


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


@pytest.fixture
def admin(sign_in: Callable[..., Person], tenant: UUID) -> Person:
    return sign_in(tenant)


@pytest.fixture
def code(deployment: Deployment) -> str:
    """A code of an account of this test's own."""
    code = f"code-{secrets.token_hex(6)}"
    deployment.neighbours.account(code, f"M{secrets.token_hex(8)}")
    return code


@pytest.fixture(scope="module")
async def heard(embedded: Servers, deployment: Deployment) -> AsyncIterator[Heard]:
    listener = Heard(embedded.kafka.bootstrap_servers)
    await listener.start()
    yield listener
    await listener.stop()
