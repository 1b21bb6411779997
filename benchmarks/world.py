"""Shops for the benchmarks: merchants with generated sales, connected and mapped through the public API."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from uuid import uuid4

from suppli_demo.shop import Json, Shop, Tie, wait_for
from suppli_demo.system import System
from suppli_sandbox.client import GenerateSpec, LocationSpec, MerchantSpec

from benchmarks.meters import wait_until_mapped

ZONE = "America/New_York"
_numbers = itertools.count(1)


@dataclass
class Bench:
    """One tenant with one merchant."""

    system: System
    shop: Shop
    merchant: str
    location: str

    def generate(
        self, orders: int, seed: int, *, first: int = 2, last: int = 20, encoded: bool = False
    ) -> None:
        """Give the merchant sales of these days of March 2026; `encoded`: the sandbox keeps their bytes."""
        spec = GenerateSpec(
            count=orders,
            seed=seed,
            start_at=f"2026-03-{first:02}T12:00:00Z",
            end_at=f"2026-03-{last:02}T12:00:00Z",
            encoded=encoded,
        )
        self.system.control.generate_orders(self.merchant, spec)

    def connect(self, start: date = date(2026, 3, 1)) -> str:
        """Connect and begin the first import; return the connection's id."""
        connection = str(self.shop.connect(self.merchant)["connection"]["id"])
        self.shop.put_location("shop", "Shop", ZONE)
        self.shop.tie(connection, [Tie(self.location, "shop", ZONE)])
        self.shop.start(connection, start)
        return connection

    def finished(self, connection: str, *, at_least: int = 1, seconds: float = 300) -> Json:
        """Return the newest run once none is queued or running."""
        run = self.shop.wait_for_runs(connection, at_least=at_least, seconds=seconds)[0]
        if run["state"] != "succeeded":
            raise RuntimeError(f"run {run['run_id']} {run['state']}: {run.get('error')}")
        return run

    def map_everything(self, connection: str) -> None:
        """Map every catalog item to a product of its own."""
        items = wait_for(lambda: self.shop.items(connection, "unmapped") or None, "items to map", 60)
        named = [item for item in items if item["item_key"].startswith("id:")]
        products = [
            {"product_id": item["item_key"], "name": item["item_key"], "unit": "each"} for item in named
        ]
        self.shop.import_products(products)
        for item in named:
            self.shop.map_when_known(item["item_id"], item["item_key"])

    def sell(self, order_id: str) -> None:
        """Make a sale of a mapped item, now."""
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        sale = {**self._sample, "id": order_id, "created_at": at, "closed_at": at}
        self.system.control.put_orders(self.merchant, [sale])

    @cached_property
    def _sample(self) -> Json:
        for order in self.system.control.orders(self.merchant):
            lines = order.get("line_items", [])
            if order["state"] == "COMPLETED" and lines and lines[0].get("catalog_object_id"):
                return {name: value for name, value in order.items() if name != "updated_at"}
        raise LookupError(f"merchant {self.merchant} has no completed order of a catalog item")


def mapped_bench(system: System) -> tuple[Bench, str]:
    """Return a tenant whose items are all mapped and whose 300 sales, the newest, are through to Kafka."""
    bench = new_bench(system)
    bench.generate(300, seed=3, first=21, last=22)
    connection = bench.connect(date(2026, 3, 21))
    bench.finished(connection)
    bench.map_everything(connection)
    wait_until_mapped(system)
    return bench, connection


def new_bench(system: System) -> Bench:
    """Return a fresh tenant and merchant."""
    number = next(_numbers)
    merchant, location = f"MLBENCH{number:06}", f"LBENCH{number:07}"
    system.control.create_merchant(
        MerchantSpec(
            id=merchant,
            name=f"Bench {number}",
            locations=(LocationSpec(id=location, name="Main", timezone=ZONE),),
        )
    )
    tenant = uuid4()
    token = system.issuer.token(subject="bench", tenants=[tenant], role="admin")
    return Bench(system, Shop(system.gateway_url, token, tenant), merchant, location)
