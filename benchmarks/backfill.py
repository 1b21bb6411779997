"""Backfills of 10,000 and 300,000 orders: what an order costs, and whether a neighbour has to wait."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from suppli_demo.system import System

from benchmarks.arrivals import Arrivals
from benchmarks.measure import Results, median, spread
from benchmarks.meters import KAFKA, cpu_seconds, since, wait_until_mapped
from benchmarks.world import Bench, mapped_bench

SMALL, LARGE = 10_000, 300_000
ROUNDS = 3
PAUSE_SECONDS = 1.0  # between two sales of the neighbour
LARGE_SECONDS = 400.0


def measure(system: System, results: Results) -> None:
    """Backfill small shops, then a large one while a neighbour sells: the large one pays for both."""
    neighbour, neighbours_connection = mapped_bench(system)
    small = [cost(system, SMALL) for _ in range(ROUNDS)]
    with ThreadPoolExecutor(1) as pool, Arrivals(system.bootstrap_servers, neighbour.shop.tenant) as arrivals:
        bench, connection = prepared(system, LARGE)
        before, began = cpu_seconds(system), time.monotonic()
        backfill = pool.submit(finish, system, bench, connection)
        waits: list[float] = []
        while not backfill.done():
            waits.append(sell(neighbour, neighbours_connection, f"NEIGHBOUR{len(waits)}", arrivals))
            time.sleep(PAUSE_SECONDS)
        backfill.result()
        took = time.monotonic() - began
    parts = {name: used / LARGE * 1e6 for name, used in since(before, cpu_seconds(system)).items()}
    large = sum(used for name, used in parts.items() if name != KAFKA)
    waits = waits[:-1]  # the last one may have had the machine to itself
    if len(waits) < 5:
        raise RuntimeError(f"the backfill left time for {len(waits)} sales of the neighbour only")
    results.add(
        "neighbour_median_s",
        median(waits),
        f"median of {len(waits)} sales made while another tenant's {LARGE:,} orders were imported and mapped"
        f" in {took:.0f} s; {spread(waits)} s",
    )
    each = ", ".join(f"{name} {used:.0f}" for name, used in parts.items())
    results.add(
        "growth_10k_to_300k",
        large / median(small),
        f"CPU of all services and PostgreSQL an order: {large:.0f} us of {LARGE:,} (the neighbour's sales"
        f" included), {median(small):.0f} us of {SMALL:,} (median of {ROUNDS}, {spread(small, 0)});"
        f" in us: {each}",
    )


def cost(system: System, orders: int) -> float:
    """Return the CPU microseconds an order of a backfill, Kafka's own left out: it compiles as it warms."""
    bench, connection = prepared(system, orders)
    before = cpu_seconds(system)
    finish(system, bench, connection)
    used = since(before, cpu_seconds(system))
    return sum(seconds for name, seconds in used.items() if name != KAFKA) / orders * 1e6


def prepared(system: System, orders: int) -> tuple[Bench, str]:
    """Return a shop whose items are mapped and whose `orders` lie before its start date."""
    bench, connection = mapped_bench(system)
    bench.generate(orders, seed=7)
    return bench, connection


def finish(system: System, bench: Bench, connection: str) -> None:
    """Move the start date back, which imports everything, and wait until all of it is mapped."""
    bench.shop.start(connection, date(2026, 3, 1))
    bench.finished(connection, at_least=2, seconds=LARGE_SECONDS)
    wait_until_mapped(system)


def sell(bench: Bench, connection: str, order: str, arrivals: Arrivals) -> float:
    """Make a sale, sync now, and return the seconds until its product sale is on Kafka."""
    arrivals.expect(order)
    began = time.monotonic()
    bench.sell(order)
    bench.shop.sync(connection)
    return arrivals.wait(order, 60) - began
