"""A server that is away must cost its own part alone: the rest answers and says so, and it mends itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from psycopg import sql
from suppli_demo.shop import Refused, wait_for
from suppli_demo.system import System

from tests.chaos.proxy import Mode, Proxies
from tests.e2e.conftest import World, environment, metric, new_world
from tests.e2e.isolation import database_of
from tests.e2e.test_changes import LATTE, order, two_items
from tests.e2e.test_tenants import SPAN

SERVICES = ("gateway", "sync-scheduler", "mapping", "connector-square")
"""Those that this shop needs; a connector of another provider is none of them."""
Probe = tuple[str, str]
"""Method and path of a call of the public API."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Shop:
    """A connected shop with sales, and the calls that its people make."""

    world: World
    connection: str
    item: str
    run: str

    @property
    def system(self) -> System:
        """The system."""
        return self.world.system

    def pages(self) -> list[Probe]:
        """What the gateway answers from its own store."""
        path = f"/v1/connections/{self.connection}"
        paths = ("/v1/connections", path, f"{path}/runs", f"{path}/coverage", f"/v1/runs/{self.run}")
        return [("GET", each) for each in (*paths, "/v1/products", "/v1/locations")]

    def asks(self, service: str) -> list[Probe]:
        """What needs one other service."""
        path = f"/v1/connections/{self.connection}"
        span = f"from={SPAN['from']}&to={SPAN['to']}"
        needs = {
            "connector-square": [("GET", f"{path}/preview"), ("GET", f"{path}/set-aside")],
            "sync-scheduler": [("POST", f"{path}/sync")],
            "mapping": [
                ("GET", "/v1/items"),
                ("GET", f"/v1/items/{self.item}"),
                ("GET", f"{path}/days?{span}"),
            ],
        }
        return needs[service]

    def call(self, probe: Probe) -> httpx.Response:
        """Call the public API."""
        method, path = probe
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        return self.world.shop.client.request(method, path, headers=headers)

    def answers(self, *probes: Probe) -> None:
        """Hold that these calls are answered."""
        for probe in probes:
            answer = self.call(probe)
            assert answer.is_success, (probe, answer.text)

    def refuses(self, *probes: Probe) -> None:
        """Hold that these calls say that they cannot be answered now, and when to come again."""
        for probe in probes:
            answer = self.call(probe)
            assert answer.status_code == 503, (probe, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0, probe

    def status(self) -> dict[str, Any]:
        """Return the connection as its owner sees it."""
        return self.world.shop.call("GET", f"/v1/connections/{self.connection}")

    def failed(self) -> dict[str, Any] | None:
        """Return the connection where it is in error now; the next attempt may begin any moment."""
        shown = self.status()
        return shown if shown["state"] == "error" else None

    def says(self, waits_for: str | None) -> dict[str, Any]:
        """Wait until the connection says what holds it up; return it."""

        def said() -> dict[str, Any] | None:
            shown = self.status()
            return shown if shown["waits_for"] == waits_for else None

        return wait_for(said, f"the status to say that it waits for {waits_for}")

    def sell(self) -> None:
        """Ring up a sale."""
        number = 500 + next(_numbers)
        at = f"2026-03-22T12:{number % 60:02}:00Z"
        sold = order(self.world.locations[0], number, at, (LATTE, "1", 450, 0))
        self.system.control.put_orders(self.world.merchant, [sold])

    def catches_up(self) -> None:
        """Hold that every sale becomes a product sale, without anybody's doing."""
        self.world.settle(self.connection)


@pytest.fixture(scope="module")
def shop(system: System) -> Iterator[Shop]:
    """One shop for all outages; a system that does not recover fails here, in nobody else's test."""
    world = new_world(system)
    connection = two_items(world, "2026-03-03")
    item, run = world.shop.items(connection)[0]["item_id"], world.shop.runs(connection)[0]["run_id"]
    yield Shop(world, connection, item, run)
    recovered(system)


def ready(system: System, service: str) -> tuple[int, dict[str, Any]]:
    """Return what `/readyz` of a service says."""
    answer = httpx.get(f"http://127.0.0.1:{system.services[service].internal_port}/readyz", timeout=5)
    return answer.status_code, answer.json()


def degraded(system: System, service: str, check: str) -> None:
    """Hold that a service soon says what is wrong, goes on taking requests, and tells Prometheus."""

    def said() -> bool | None:
        status, body = ready(system, service)
        assert status == 200, (service, body)
        return True if body["status"] == "degraded" and body["checks"][check] != "ok" else None

    wait_for(said, f"{service} to say that {check} is away")
    assert metric(system, service, "suppli_check_ok", check=check) == 0


def recovered(system: System) -> None:
    """Wait until every service says that all is well."""

    def well() -> bool | None:
        return True if all(ready(system, each)[1]["status"] == "ok" for each in system.services) else None

    wait_for(well, "every service to be well again", 60)


@contextmanager
def outage(system: System, strike: Callable[[], None], mend: Callable[[], None]) -> Iterator[None]:
    """Take something away for a while; whatever a test finds, it comes back, and with it everything."""
    try:
        strike()
        yield
    finally:
        mend()
    recovered(system)


def test_without_kafka_everything_answers_and_sales_come_when_it_is_back(shop: Shop) -> None:
    system = shop.system
    with outage(system, system.runtime.kafka.stop, system.runtime.kafka.start):
        for service in system.services:
            degraded(system, service, "kafka")
        shop.answers(*shop.pages())
        assert "messages cannot be delivered" in shop.says("messaging")["status"]
        shop.sell()
        for service in ("connector-square", "mapping", "sync-scheduler"):
            shop.answers(*shop.asks(service))
        shop.answers(("POST", f"/v1/connections/{shop.connection}/pause"))
        shop.answers(("POST", f"/v1/connections/{shop.connection}/resume"))
        shop.answers(*shop.asks("sync-scheduler"))
    shop.says(None)
    shop.catches_up()


def test_without_vault_a_token_at_hand_goes_on_and_a_run_without_one_waits(shop: Shop) -> None:
    system, bao = shop.system, shop.system.runtime.openbao

    def unseal() -> None:
        bao.stop()
        bao.start()

    with outage(system, bao.seal, unseal):
        for service in system.services:
            degraded(system, service, "vault")
        shop.answers(*shop.pages(), *shop.asks("connector-square"), *shop.asks("mapping"))
        shop.sell()
        assert shop.world.sync(shop.connection)["state"] == "succeeded"
        shop.catches_up()

        system.kill("connector-square")  # and with it the token that it held
        system.restart("connector-square")
        shop.refuses(*shop.asks("connector-square"))
        shop.sell()
        run = shop.world.shop.sync(shop.connection)["run_id"]
        said = shop.says("secrets")
        assert (said["state"], said["active_run"]["run_id"]) == ("syncing", run)
        assert "store of authorizations cannot be reached" in said["status"]
        shop.answers(*shop.pages(), *shop.asks("mapping"))
    wait_for(lambda: shop.world.shop.call("GET", f"/v1/runs/{run}")["state"] == "succeeded" or None, run)
    assert shop.says(None)["state"] == "connected"
    shop.catches_up()


@contextmanager
def without_database(system: System, service: str) -> Iterator[None]:
    """Let nobody into a service's database, and put out who is in."""
    name = database_of(system, service).name
    allow = sql.SQL("alter database {} allow_connections {}")

    def let(permitted: str) -> None:
        with system.runtime.postgres.connect() as connection:
            connection.execute(allow.format(sql.Identifier(name), sql.SQL(permitted)))
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
            )

    with outage(system, lambda: let("false"), lambda: let("true")):
        wait_for(lambda: ready(system, service)[0] == 503 or None, f"{service} to take no requests")
        assert ready(system, service)[1]["checks"]["database"] != "ok"
        assert metric(system, service, "suppli_check_ok", check="database") == 0
        for other in system.services:
            assert other == service or ready(system, other)[0] == 200, other
        yield


@pytest.mark.parametrize(
    ("service", "waits_for"), [("connector-square", "connector"), ("sync-scheduler", "scheduler")]
)
def test_without_the_database_of_what_syncs_the_pages_say_so_and_the_sync_comes_later(
    shop: Shop, service: str, waits_for: str
) -> None:
    shop.sell()
    with without_database(shop.system, service):
        degraded(shop.system, "gateway", service)
        shop.answers(*shop.pages(), *shop.asks("mapping"))
        shop.refuses(*shop.asks(service))
        assert "sales come in later" in shop.says(waits_for)["status"]
        if service == "connector-square":
            shop.answers(*shop.asks("sync-scheduler"))
        else:
            shop.answers(*shop.asks("connector-square"))
    if service == "sync-scheduler":
        shop.answers(*shop.asks(service))
    shop.says(None)
    shop.catches_up()


def test_without_the_database_of_mapping_sales_are_read_and_wait_in_kafka(shop: Shop) -> None:
    system, group = shop.system, {"group": "mapping.sales"}
    with without_database(system, "mapping"):
        degraded(system, "gateway", "mapping")
        shop.sell()
        assert shop.world.sync(shop.connection)["state"] == "succeeded"
        shop.answers(*shop.pages(), *shop.asks("connector-square"))
        shop.refuses(*shop.asks("mapping"))
        assert "maps sales to products" in shop.says("mapping")["status"]
        wait_for(
            lambda: (metric(system, "mapping", "suppli_consumer_lag_messages", **group) or 0) > 0 or None,
            "the lag to show that mapping is behind",
        )
    shop.catches_up()
    assert metric(system, "mapping", "suppli_consumer_lag_messages", **group) == 0


def test_without_the_gateways_database_sales_go_on_to_who_consumes_them(shop: Shop) -> None:
    system = shop.system
    token = system.runtime.openbao.internal_token("sync-scheduler")
    with without_database(system, "gateway"):
        shop.refuses(*shop.pages())
        shop.sell()
        asked = httpx.post(
            f"http://127.0.0.1:{system.services['sync-scheduler'].internal_port}"
            f"/internal/v1/connections/{shop.connection}/runs",
            json={"kind": "manual"},
            headers={
                "Authorization": f"Bearer {token}",
                "Suppli-Tenant": str(shop.world.tenant),
                "Suppli-Actor": "test",
            },
        )
        assert asked.is_success, asked.text
        shop.world.settle(shop.connection)
    shop.answers(*shop.pages())
    run = asked.json()["run_id"]
    wait_for(lambda: shop.call(("GET", f"/v1/runs/{run}")).is_success or None, "the run to show on the pages")


def test_without_the_provider_the_connection_says_so_and_is_tried_again(shop: Shop) -> None:
    system, proxies = shop.system, Proxies()
    try:
        proxy = proxies.add("provider", ("127.0.0.1", urlsplit(system.sandbox.url).port or 0))
        changed = {
            "SUPPLI_CONNECTOR_SQUARE_BASE_URL": f"http://127.0.0.1:{proxy.port}",
            "SUPPLI_CONNECTOR_SQUARE_RETRY_BASE_SECONDS": "0.05",
        }
        with environment(system, {"connector-square": system.services["connector-square"].env | changed}):
            recovered(system)
            shop.sell()
            with outage(
                system,
                lambda: proxies.switch(proxy, Mode.CUT),
                lambda: proxies.switch(proxy, Mode.PASS),
            ):
                degraded(system, "connector-square", "provider")
                shop.answers(*shop.pages(), *shop.asks("mapping"))
                shop.refuses(("GET", f"/v1/connections/{shop.connection}/preview"))
                run = shop.world.shop.sync(shop.connection)["run_id"]
                failed = wait_for(shop.failed, "the status to say it")
                error = failed["error"]
                assert (error["error_class"], error["reauth_required"]) == ("network", False)
                assert "tried again by itself" in failed["status"]
            wait_for(
                lambda: shop.world.shop.call("GET", f"/v1/runs/{run}")["state"] == "succeeded" or None,
                "the same run's next attempt",
            )
            assert shop.status()["error"] is None
            shop.catches_up()
    finally:
        proxies.close()


def test_without_any_other_service_the_gateway_says_so_on_what_needs_them_alone(shop: Shop) -> None:
    system = shop.system
    others = [name for name in SERVICES if name != "gateway"]

    def kill() -> None:
        for name in others:
            system.kill(name)

    def restart() -> None:
        for name in others:
            system.services[name].start()

    with outage(system, kill, restart):
        for name in others:
            degraded(system, "gateway", name)
            shop.refuses(*shop.asks(name))
        shop.answers(*shop.pages())
        assert shop.says("connector")["state"] == "connected"
        with pytest.raises(Refused) as refused:
            shop.world.shop.begin()
        assert refused.value.status == 503
    shop.answers(*(probe for name in others for probe in shop.asks(name)))
    shop.says(None)
