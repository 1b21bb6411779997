"""The whole system, once for all end-to-end tests; each test has a tenant and a merchant of its own."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from suppli_contracts.events import ProductSaleRecorded
from suppli_demo.consumer import product_sales
from suppli_demo.shop import Shop, Tie, wait_for
from suppli_demo.system import CONNECTORS, System
from suppli_embedded.environment import prefix
from suppli_embedded.processes import ServiceProcess
from suppli_sandbox.client import GenerateSpec, LocationSpec, MerchantSpec

from tests.e2e.truth import Figures, LineKey, differences, said, truth

ROOT = Path(__file__).resolve().parents[2]
ZONE = "America/New_York"
FIRST_DAY = date(2026, 3, 1)

# Delays that a person would not notice missing, so that a retry or a take-over costs a test seconds.
FAST = {
    "sync-scheduler": {
        "SUPPLI_SYNC_SCHEDULER_RETRY_BASE_SECONDS": "0.3",
        "SUPPLI_SYNC_SCHEDULER_SILENT_AFTER_SECONDS": "5",
        "SUPPLI_SYNC_SCHEDULER_DAILY_JITTER_SECONDS": "0",
    },
    **{
        part.name: {
            f"{prefix(part.name)}_LEASE_SECONDS": "6",
            f"{prefix(part.name)}_RENEW_SECONDS": "1",
            f"{prefix(part.name)}_PUBLISH_SECONDS": "4",
            f"{prefix(part.name)}_PAGE_SIZE": "200",
        }
        for part in CONNECTORS
    },
}

_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """A tenant with one merchant, and what to ask of them."""

    system: System
    shop: Shop
    merchant: str
    locations: tuple[str, ...]

    @property
    def tenant(self) -> UUID:
        """The tenant."""
        return self.shop.tenant

    def connect(
        self,
        *,
        schedule: dict[str, Any] | None = None,
        first_day: date = FIRST_DAY,
        ties: list[Tie] | None = None,
    ) -> str:
        """Connect, tie every location (or `ties`), start, await the first import; return the connection."""
        connection = str(self.shop.connect(self.merchant)["connection"]["id"])
        for number, _ in enumerate(self.locations, 1):
            self.shop.put_location(f"shop-{number}", f"Shop {number}", ZONE)
        self.shop.tie(connection, self.ties() if ties is None else ties)
        self.shop.start(connection, first_day, schedule)
        (run, *_) = self.shop.wait_for_runs(connection)
        assert run["state"] == "succeeded", run
        return connection

    def ties(self) -> list[Tie]:
        """Tie the merchant's locations to shop-1, shop-2, ..."""
        return [Tie(location, f"shop-{number}", ZONE) for number, location in enumerate(self.locations, 1)]

    def sync(self, connection: str, seconds: float = 60) -> dict[str, Any]:
        """Sync now and return the run once it has ended."""
        run_id = self.shop.sync(connection)["run_id"]

        def ended() -> dict[str, Any] | None:
            run = self.shop.run(run_id)
            return run if run and run["state"] in {"succeeded", "failed", "cancelled"} else None

        return wait_for(ended, f"run {run_id}", seconds)

    def map_everything(self, connection: str) -> dict[str, str]:
        """Map every catalog item to a product of its own; return product ids by item key."""
        items = [
            item for item in self.shop.items(connection, "unmapped") if item["item_key"].startswith("id:")
        ]
        products = {item["item_key"]: f"p-{item['item_key'].removeprefix('id:')}" for item in items}
        self.shop.import_products(
            [{"product_id": product, "name": product, "unit": "each"} for product in products.values()]
        )
        for item in items:
            self.map_item(item["item_id"], products[item["item_key"]])
        return products

    def map_item(self, item: str, product: str, *, from_date: date | None = None) -> None:
        """Map one item, once its product is known to the mapping service."""
        self.shop.map_when_known(item, product, from_date=from_date)

    def events(self, connection: str) -> list[tuple[str, ProductSaleRecorded]]:
        """Return what is on Kafka for a connection."""
        return asyncio.run(product_sales(self.system.runtime.kafka.bootstrap_servers, UUID(connection)))

    def said(self, connection: str) -> dict[LineKey, Figures]:
        """Return what the product sales come to, line by line."""
        return said(self.events(connection))

    def truth(self) -> dict[LineKey, Figures]:
        """Return what they should come to, by the sandbox's orders."""
        return truth(self.system.control.orders(self.merchant))

    def settle(self, connection: str, seconds: float = 60) -> None:
        """Wait until the product sales equal the sandbox's truth, line by line, or say what differs."""
        wanted = self.truth()

        def equal() -> bool | None:
            return None if differences(wanted, self.said(connection)) else True

        try:
            wait_for(equal, "the product sales to equal the truth", seconds)
        except TimeoutError:
            found = differences(wanted, self.said(connection))
            raise AssertionError(f"{len(found)} of {len(wanted)} lines differ, e.g. {found[:5]}") from None


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system as processes."""
    cache = Path(os.environ.get("SUPPLI_CACHE", ROOT / ".suppli" / "cache"))
    with System(tmp_path_factory.mktemp("system"), cache=cache, extra=FAST) as running:
        yield running


def new_world(
    system: System, *, orders: int = 0, locations: int = 1, seed: int = 1, role: str = "admin"
) -> World:
    """Return a tenant of its own with a merchant, whose shop has so many orders at each location."""
    number = next(_numbers)
    merchant = f"MLTEST{number:07}"
    ids = tuple(f"LTEST{number:05}{place:03}" for place in range(locations))
    system.control.create_merchant(
        MerchantSpec(
            id=merchant,
            name=f"Test {number}",
            locations=tuple(LocationSpec(id=place, name=place, timezone=ZONE) for place in ids),
        )
    )
    if orders:
        generate(system, merchant, orders, seed)
    return World(system, sign_in(system, uuid4(), role), merchant, ids)


@pytest.fixture
def make_world(system: System) -> Callable[..., World]:
    """Return a factory of tenants with a merchant each."""
    return partial(new_world, system)


def generate(system: System, merchant: str, count: int, seed: int, *locations: str) -> None:
    """Give a merchant realistic orders of March 2026 (the same for the same seed), at `locations` or all."""
    spec = GenerateSpec(
        count=count,
        seed=seed,
        start_at="2026-03-02T12:00:00Z",
        end_at="2026-03-20T12:00:00Z",
        locations=locations or None,
    )
    system.control.generate_orders(merchant, spec)


def sign_in(system: System, tenant: UUID, role: str = "admin") -> Shop:
    """Sign a person of `tenant` in."""
    token = system.issuer.token(subject=f"{role}@{tenant}", tenants=[tenant], role=role)
    return Shop(system.gateway_url, token, tenant)


@pytest.fixture
def world_with_sales(make_world: Callable[..., World]) -> World:
    """A shop whose sales are mapped and on Kafka."""
    world = make_world(orders=40)
    connection = world.connect()
    wait_for(lambda: world.shop.items(connection, "unmapped") or None, "items to map")
    world.map_everything(connection)
    world.settle(connection)
    return world


@contextmanager
def environment(system: System, changes: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Run services with more environment variables, and as before afterwards."""
    before = {name: dict(system.services[name].env) for name in changes}

    def again(service: ServiceProcess, variables: Mapping[str, str]) -> None:
        service.kill()  # nothing is lost by it, and it is quick
        service.env = dict(variables)
        service.start()
        service.wait_ready(60)

    def all_again(wanted: Mapping[str, Mapping[str, str]]) -> None:
        with ThreadPoolExecutor(len(wanted)) as pool:
            for done in [pool.submit(again, system.services[name], wanted[name]) for name in wanted]:
                done.result()

    try:
        all_again({name: before[name] | dict(more) for name, more in changes.items()})
        yield
    finally:
        all_again(before)


def metric(system: System, service: str, name: str, **labels: str) -> float | None:
    """Return the sum of a metric's samples with these labels, as Prometheus would read it; None = none."""
    answer = httpx.get(f"http://127.0.0.1:{system.services[service].internal_port}/metrics", timeout=5)
    found = [
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None
