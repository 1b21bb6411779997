"""A token or a customer's name in a log, a table or a topic is a shop's trust lost, and the law's matter."""

from __future__ import annotations

import asyncio
import gzip
import json
import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import cramjam
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from suppli_demo.shop import Refused, Shop, wait_for
from suppli_demo.system import System
from suppli_embedded.environment import prefix
from suppli_sandbox.client import LocationSpec, MerchantSettings, MerchantSpec

from tests.e2e.clover import connect_clover, new_merchant
from tests.e2e.collector import Collector, collecting
from tests.e2e.conftest import ZONE, World, environment, sign_in
from tests.e2e.personal import Canaries, custom_lines, letters, not_understood, personal_order
from tests.e2e.provider import Echo, Provider, provider_before
from tests.e2e.stores import Stores, counted, search
from tests.e2e.test_tenants import ENDPOINTS

STORES = ("logs", "databases", "topics", "metrics", "traces", "answers")
PLANTED = "planted.v1"
SEARCH = "/v2/orders/search"
TOKEN = "/oauth2/token"


@dataclass
class Evidence:
    """A shop's whole life, and all that was written meanwhile."""

    system: System
    provider: Provider
    collector: Collector
    people: Canaries
    typed: Canaries
    marks: tuple[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    for_the_person: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, int, bytes]] = field(default_factory=list)

    def stores(self) -> Stores:
        """Return every store."""
        stores = Stores(self.system)
        stores.by_name["traces"] = self.collector.places
        stores.by_name["answers"] = self.all_answers
        return stores

    def all_answers(self) -> Iterator[tuple[str, bytes]]:
        """Every answer that the public API gave."""
        for what, status, body in self.answers:
            yield f"{what} -> {status}", body

    def errors(self) -> Iterator[tuple[str, bytes]]:
        """The answers that say what went wrong."""
        for what, status, body in self.answers:
            if status >= 400:
                yield f"{what} -> {status}", body

    def keep(self, answer: httpx.Response) -> None:
        """Keep what somebody got."""
        answer.read()
        request = answer.request
        self.answers.append((f"{request.method} {request.url.path}", answer.status_code, answer.content))

    def watch(self, shop: Shop) -> None:
        """Keep what a person sends and gets."""

        def sent(request: httpx.Request) -> None:
            if key := request.headers.get("idempotency-key"):
                self.secrets[f"idempotency key of {request.url.path} {len(self.secrets)}"] = key

        shop.client.event_hooks = {"request": [sent], "response": [self.keep]}
        token = shop.client.headers["authorization"].removeprefix("Bearer ")
        self.secrets |= {"a person's token": token, "its signature": token.rpartition(".")[2]}


@pytest.fixture(scope="module")
def evidence(system: System) -> Iterator[Evidence]:
    """Live a shop's life before a provider that repeats secrets in its errors, traced and logged in full."""
    with provider_before(system.sandbox.url) as provider, collecting() as collector:
        traced = collector.environment()
        squared = {
            "SUPPLI_CONNECTOR_SQUARE_BASE_URL": provider.url,
            "SUPPLI_CONNECTOR_SQUARE_RETRY_BASE_SECONDS": "0.05",
        }
        wanted = {name: traced | {f"{prefix(name)}_LOG_LEVEL": "DEBUG"} for name in system.services}
        wanted["connector-square"] |= squared
        with environment(system, wanted):
            marks = (letters(), letters())
            found = Evidence(system, provider, collector, Canaries(), Canaries(), marks)
            live(found)
            found.secrets |= platform_secrets(system)
            for name, value in provider.secrets.items():
                (found.for_the_person if name.startswith("state") else found.secrets)[name] = value
            yield found


def live(found: Evidence) -> None:
    """Connect, import, sync, refresh, fail in every way, authorize again and disconnect."""
    system, provider = found.system, found.provider
    number = uuid4().hex[:8].upper()
    location, merchant = f"LSECRET{number}", f"MLSECRET{number}"
    system.control.create_merchant(
        MerchantSpec(
            id=merchant, name="Secret", locations=(LocationSpec(id=location, name="Bar", timezone=ZONE),)
        )
    )
    system.control.configure_merchant(merchant, MerchantSettings(access_token_seconds=60))
    at = "2026-03-05T15:00:00Z"
    system.control.put_orders(
        merchant,
        [
            personal_order(location, 1, at, found.people, "order"),
            custom_lines(location, 2, at, found.typed, found.marks),
            *not_understood(location, 3, at, found.people),
        ],
    )
    shop = sign_in(system, uuid4())
    found.watch(shop)
    world = World(system, shop, merchant, (location,))

    provider.echo(Echo(TOKEN, 400))
    refused = shop.consent(shop.begin()["authorize_url"], merchant)
    assert refused.status_code >= 400
    connection = world.connect()
    keep_sessions(found, shop)
    refund(found, world, location, merchant, at)
    read_everything(shop, connection)
    failures(found, world, connection)
    begun = shop.call("POST", f"/v1/connections/{connection}/reauthorize")
    keep_sessions(found, shop)
    assert shop.consent(begun["authorize_url"], merchant).status_code == 200
    with_a_typed_token(found, shop)
    with_a_service_key(found, shop)
    before = len(provider.secrets)
    assert world.sync(connection)["state"] == "succeeded"
    wait_for(lambda: len(provider.secrets) > before or None, "another token by refresh")
    read_everything(shop, connection)
    provider.echo(Echo("/oauth2/revoke", 401))
    shop.call("POST", f"/v1/connections/{connection}/disconnect", json={"erase": False})
    wait_for(lambda: provider.pending() == 0 or None, "the revocation")


def with_a_typed_token(found: Evidence, shop: Shop) -> None:
    """Connect another till by what a person types: wrong first, then right, then refused by the provider."""
    clover = found.system.clover
    merchant = new_merchant(found.system, orders=3)
    wrong, token = secrets.token_hex(16), clover.issue_api_token(merchant)
    found.secrets |= {"a wrong token that was typed": wrong, "a token that was typed": token}
    for typed in ({"merchant_id": merchant, "token": wrong}, {"merchant_id": "?", "token": token}):
        with pytest.raises(Refused):
            shop.begin("clover", credentials=typed)
    connection = connect_clover(shop, merchant, token=token)
    clover.revoke_tokens(merchant)
    with suppress(Refused):
        shop.sync(connection)
    wait_for(lambda: needs_person(shop, connection), "the connection to ask for another token")


def with_a_service_key(found: Evidence, shop: Shop) -> None:
    """Let a script call with a key: also what it may not, what is not there, and once it is revoked."""
    made = shop.call("POST", "/v1/service-keys", json={"name": "Till report", "role": "viewer"})
    found.for_the_person["service key"] = key = str(made["key"])
    with httpx.Client(base_url=str(shop.client.base_url)) as script:
        script.event_hooks = {"response": [found.keep]}
        script.headers["Authorization"] = f"Bearer {key}"
        assert script.get("/v1/connections").status_code == 200
        assert script.post("/v1/connections", json={"provider": "square"}).status_code == 403
        assert script.get(f"/v1/connections/{uuid4()}").status_code == 404
        shop.call("POST", f"/v1/service-keys/{made['service_key']['id']}/revoke")
        assert script.get("/v1/connections").status_code == 401


def refund(found: Evidence, world: World, location: str, merchant: str, at: str) -> None:
    """Map all, and take a typed line back, so that names go every way that a sale's go."""
    world.map_everything(world.shop.call("GET", "/v1/connections")["items"][-1]["id"])
    back = custom_lines(location, 9, at, found.typed, found.marks)
    back["returns"] = [{"uid": "r", "return_line_items": back.pop("line_items")}]
    for line in back["returns"][0]["return_line_items"]:
        line["gross_return_money"] = line.pop("gross_sales_money")
    found.system.control.put_orders(merchant, [back])


def failures(found: Evidence, world: World, connection: str) -> None:
    """Let syncs fail while the provider repeats the token wherever its answers have room."""
    provider, shop = found.provider, world.shop
    provider.echo(Echo(SEARCH, 502, "html"), Echo(SEARCH, 200, "garbled"), Echo(SEARCH, 503))
    assert world.sync(connection)["state"] == "succeeded"
    provider.echo(Echo(SEARCH, 302, "redirect"), Echo(SEARCH, 400))
    wait_for(lambda: provider.pending() < 2 or (shop.sync(connection) and None), "the redirect to be met")
    wait_for(lambda: provider.pending() < 1 or (shop.sync(connection) and None), "the refusal to be met")
    shop.wait_for_runs(connection)
    provider.echo(Echo(SEARCH, 401))
    with suppress(Refused):
        shop.sync(connection)
    wait_for(lambda: needs_person(shop, connection), "the connection to ask for a person")
    with pytest.raises(Refused):
        shop.sync(connection)


def needs_person(shop: Shop, connection: str) -> bool | None:
    """Return True once the connection asks to be authorized again."""
    error = shop.call("GET", f"/v1/connections/{connection}")["error"]
    return True if error and error["reauth_required"] else None


def read_everything(shop: Shop, connection: str) -> None:
    """Read all that the API shows of a connection: every endpoint that reads, those of tomorrow too."""
    ids = defaultdict(
        lambda: str(uuid4()), connection_id=connection, run_id=shop.runs(connection)[0]["run_id"]
    )
    for item in shop.items(connection):
        ids["item_id"] = item["item_id"]
        shop.call("GET", f"/v1/items/{item['item_id']}")
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and not endpoint.path.endswith("/events"):  # a stream has no end
            path = endpoint.path.format_map(ids) + endpoint.query
            assert shop.client.get(path).status_code in {200, 404}, path
    assert len(shop.call("GET", f"/v1/connections/{connection}/set-aside")["items"]) == 4


def keep_sessions(found: Evidence, shop: Shop) -> None:
    """Note the cookies that bind a redirect to its browser."""
    for cookie in shop.client.cookies.jar:
        found.secrets[f"session {cookie.name}"] = str(cookie.value)


def platform_secrets(system: System) -> dict[str, str]:
    """Return passwords, AppRole ids, internal tokens and application secrets of the running system."""
    runtime = system.runtime
    found = {
        f"our secret with {provider}": application["client_secret"]
        for provider, application in system.applications.items()
    }
    found |= {
        f"{path.stem} {role} password": password
        for path in (runtime.state_dir / "postgres" / "passwords").glob("*.json")
        for role, password in json.loads(path.read_text()).items()
    }
    for name in system.services:
        found[f"{name} secret id"] = runtime.openbao.secret_id_file(name).read_text().strip()
        if runtime.openbao.folder.has_internal_api(name):
            found[f"{name} internal token"] = runtime.openbao.internal_token(name)
    return found


def test_no_secret_is_written_anywhere(evidence: Evidence) -> None:
    """Whoever reads a log, a dump or a topic must not be able to act as the shop, a person or a service."""
    kinds = {name.rstrip("0123456789").strip() for name in evidence.provider.secrets}
    assert {"access_token", "refresh_token", "client_secret", "code", "state"} <= kinds
    assert sum(name.startswith("access_token") for name in evidence.provider.secrets) >= 3, "refreshed"
    assert {echo.kind for echo in evidence.provider.echoed} == {"errors", "html", "redirect", "garbled"}
    stores = evidence.stores()
    found = search(evidence.secrets, stores.by_name)
    # An authorize URL is the person's own, as is a key: each is in that one answer, and nowhere else.
    elsewhere = {name: store for name, store in stores.by_name.items() if name != "answers"}
    found += search(evidence.for_the_person, elsewhere | {"error answers": evidence.errors})
    assert not found, counted(found)


def test_no_personal_data_is_written_anywhere(evidence: Evidence) -> None:
    """A shop's customers never agreed to be known here, least of all by an order that was not understood."""
    assert len(evidence.people.by_place) > 100
    found = search(evidence.people.by_place, evidence.stores().by_name)
    assert not found, counted(found)


def test_typed_names_are_kept_without_what_points_to_a_person(evidence: Evidence) -> None:
    """A custom line's name says what was sold; the customer's number typed beside it must not go along."""
    stores = evidence.stores().by_name
    found = search(evidence.typed.by_place, stores)
    assert not found, counted(found)
    for mark in evidence.marks:
        assert search({"mark": mark}, {"topics": stores["topics"]}), "the name itself never came along"


def test_traces_come_from_every_service(evidence: Evidence) -> None:
    """Traces that nobody sent hold no secret either."""
    wait_for(
        lambda: set(evidence.system.services) <= set(evidence.collector.spans()) or None,
        "spans of each service",
    )
    names = {name for spans in evidence.collector.spans().values() for name in spans}
    assert "GET /v1/oauth/callback" in names


@pytest.mark.parametrize("store", STORES)
def test_the_search_finds_what_is_planted(evidence: Evidence, store: str) -> None:
    """A search that cannot find would call every leak a success."""
    assert set(evidence.stores().by_name) == set(STORES)
    for needle, places in planted(evidence, store).items():
        found = search({"planted": needle.swapcase()}, {store: evidence.stores().by_name[store]})
        assert {each.place for each in found} >= places, needle


def planted(evidence: Evidence, store: str) -> dict[str, set[str]]:
    """Plant needles in a store (or name what is surely there) and return them with the places they lie in."""
    system, services = evidence.system, set(evidence.system.services)
    needle = f"planted{secrets.token_hex(8)}"
    if store == "logs":
        with (system.folder / "logs" / "planted.log").open("w") as log:
            log.write(f'{{"event": "{needle}"}}\n')
        own = {f"{name}.log" for name in services}
        return {needle: {"planted.log"}, "service_started": own, "audit": {"audit.log"}}
    if store == "databases":
        return plant_rows(system, needle)
    if store == "topics":
        kafka = system.runtime.kafka
        kafka.ensure_topics([NewTopic(PLANTED, num_partitions=1, replication_factor=1)])
        asyncio.run(produce(system, needle))
        return {f"{needle}{part}": {PLANTED} for part in ("key", "header", "value")}
    if store == "metrics":
        return {"suppli_": services}
    if store == "traces":
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add(name="planted")
        span.attributes.add(key="url").value.string_value = f"https://provider/?token={needle}"
        body = gzip.compress(request.SerializeToString())
        httpx.post(f"{evidence.collector.url}/v1/traces", content=body, headers={"content-encoding": "gzip"})
        return {needle: {place for place, _ in list(evidence.collector.places())[-1:]}}
    evidence.answers.append(("GET /planted", 500, needle.encode()))
    return {needle: {"GET /planted -> 500"}}


def plant_rows(system: System, needle: str) -> dict[str, set[str]]:
    """Plant needles as text, as JSON, as bytes and as packed bytes in every service's database."""
    tables: set[str] = set()
    for name in system.services:
        database = f"suppli_{name.replace('-', '_')}"
        with system.runtime.postgres.connect(database) as connection:
            connection.execute("create table if not exists planted (a text, b jsonb, c bytea, d bytea)")
            values = [
                f"{needle}text",
                json.dumps({"a": [f"{needle}json"]}),
                f"\x00{needle}bytes\xff".encode(),
                bytes(cramjam.zstd.compress(f"{needle}packed".encode() * 50)),
            ]
            connection.execute("insert into planted values (%s, %s, %s, %s)", values)
        tables.add(f"{database}.public.planted")
    return {f"{needle}{part}": tables for part in ("text", "json", "bytes", "packed")}


async def produce(system: System, needle: str) -> None:
    """Plant needles in a compressed record, too long to lie open in its bytes by chance."""
    async with AIOKafkaProducer(
        bootstrap_servers=system.runtime.kafka.bootstrap_servers, compression_type="zstd"
    ) as producer:
        headers = [("ce_type", f"{needle}header".encode())]
        value = f"{needle}value".encode() * 50
        await producer.send_and_wait(PLANTED, value, key=f"{needle}key".encode(), headers=headers)
