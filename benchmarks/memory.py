"""Resident memory of each service: idle, and while 100,000 orders are imported and mapped."""

from __future__ import annotations

import time
from datetime import date

from suppli_demo.system import System

from benchmarks.measure import Results
from benchmarks.meters import PeakMemory, resident_mb, wait_until_mapped
from benchmarks.world import mapped_bench

ORDERS = 100_000
SETTLE_SECONDS = 5.0


def measure(system: System, results: Results) -> None:
    """Compare the peak of an import with what the same processes take when they have nothing to do."""
    bench, connection = mapped_bench(system)
    bench.generate(ORDERS, seed=13)
    wait_until_mapped(system)
    time.sleep(SETTLE_SECONDS)
    idle = resident_mb(system)
    with PeakMemory(system) as memory:
        bench.shop.start(connection, date(2026, 3, 1))
        bench.finished(connection, at_least=2)
        wait_until_mapped(system)
    names = ", ".join(f"{name} {mb:.0f}" for name, mb in idle.items())
    results.add(
        "rss_mb", memory.peak, f"the most while {ORDERS:,} orders were imported and mapped; idle: {names}"
    )
    results.add(
        "rss_growth_mb",
        {name: peak - idle[name] for name, peak in memory.peak.items()},
        "the same above idle: up, mapped 300 orders, then nothing to do for "
        f"{SETTLE_SECONDS:.0f} s and everything read",
    )
