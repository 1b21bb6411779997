"""From a sale in the sandbox, with sync now, to the product sale on Kafka."""

from __future__ import annotations

import time

from suppli_demo.system import System

from benchmarks.arrivals import Arrivals
from benchmarks.measure import Results, median, spread
from benchmarks.world import mapped_bench

SALES = 15


def measure(system: System, results: Results) -> None:
    """Make one sale at a time and wait for it."""
    bench, connection = mapped_bench(system)
    seconds = []
    with Arrivals(system.bootstrap_servers, bench.shop.tenant) as arrivals:
        for number in range(SALES):
            order = f"LATENCY{number}"
            arrivals.expect(order)
            began = time.monotonic()
            bench.sell(order)
            bench.shop.sync(connection)
            seconds.append(arrivals.wait(order, 30) - began)
            bench.finished(connection, at_least=number + 2)
    results.add(
        "sale_to_event_median_s",
        median(seconds),
        f"median of {SALES} sales, one at a time, with sync now through the gateway; {spread(seconds)} s",
    )
