"""From a sale in the sandbox, with sync now, to the product sale on Kafka."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from suppli_demo.consumer import FirstSale
from suppli_demo.system import System

from benchmarks.mapping import settled
from benchmarks.measure import Results, median
from benchmarks.world import new_bench

SALES = 15


def measure(system: System, results: Results) -> None:
    """Make one sale at a time and wait for it."""
    bench = new_bench(system)
    bench.generate(100, seed=5)
    connection = bench.connect()
    bench.finished(connection)
    bench.map_everything(connection)
    settled(system, connection)
    sample = next(
        order
        for order in system.control.orders(bench.merchant)
        if order["state"] == "COMPLETED" and order.get("line_items", [{}])[0].get("catalog_object_id")
    )
    seconds = []
    for number in range(SALES):
        watch = FirstSale(system.runtime.kafka.bootstrap_servers)
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        sale = {**sample, "id": f"LATENCY{number}", "created_at": at, "closed_at": at}
        sale.pop("updated_at")
        began = time.monotonic()
        system.control.put_orders(bench.merchant, [sale])
        bench.shop.sync(connection)
        seconds.append(watch.wait(30) - began)
        bench.finished(connection, at_least=number + 2)
    results.add("sale_to_event_median_s", median(seconds), f"median of {SALES}, one at a time")
