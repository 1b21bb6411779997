"""Mapping an item anew that 200,000 lines of the ledger name, while a neighbour sells."""

from __future__ import annotations

import time

import msgspec
from suppli_contracts.events import SaleRecorded
from suppli_contracts.topics import SALES_PRODUCTS
from suppli_demo.system import System

from benchmarks.arrivals import Arrivals
from benchmarks.backfill import sell
from benchmarks.measure import Results, median, spread
from benchmarks.meters import POSTGRES, PeakMemory, cpu_seconds, since, wait_until_mapped
from benchmarks.raw import copies, ends, said, templates, write
from benchmarks.world import mapped_bench

LINES = 200_000
PAUSE_SECONDS = 1.0  # between two sales of the neighbour
WRITE_SECONDS = 300.0


def measure(system: System, results: Results) -> None:
    """Sell one item 200,000 times, map it to another product, and wait for reversals and new records."""
    bench, connection = mapped_bench(system)
    neighbour, neighbours_connection = mapped_bench(system)
    servers = system.bootstrap_servers
    sale = _one_line(templates(servers, connection))
    write(servers, copies([sale], LINES))
    wait_until_mapped(system, WRITE_SECONDS)
    key = f"id:{sale.lines[0].variation_id}"
    item = next(each for each in bench.shop.items(connection) if each["item_key"] == key)
    bench.shop.import_products([{"product_id": "another", "name": "another", "unit": "each"}])
    before = ends(servers, SALES_PRODUCTS)
    with Arrivals(servers, neighbour.shop.tenant) as arrivals, PeakMemory(system) as memory:
        cpu, began = cpu_seconds(system), time.time()
        bench.shop.map_when_known(item["item_id"], "another")
        waits: list[float] = []
        while _restates(system):
            waits.append(sell(neighbour, neighbours_connection, f"NEIGHBOUR{len(waits)}", arrivals))
            time.sleep(PAUSE_SECONDS)
        came = said(servers, before, bench.shop.tenant)
        used = since(cpu, cpu_seconds(system))
    if came.messages < 2 * LINES:
        raise RuntimeError(f"{came.messages:,} messages came, not {2 * LINES:,}")
    results.add(
        "restate_lines_per_s",
        LINES / (came.last_at - began),
        f"{LINES:,} lines, {came.messages:,} messages; CPU us a line: mapping"
        f" {used['mapping'] / LINES * 1e6:.0f}, PostgreSQL {used[POSTGRES] / LINES * 1e6:.0f};"
        f" mapping took {memory.peak['mapping']:.0f} MB at most",
    )
    results.add(
        "restate_neighbour_median_s",
        median(waits),
        f"a neighbour's new sale to its product sale meanwhile: {len(waits)} sales, {spread(waits)} s",
    )


def _restates(system: System) -> bool:
    """Return whether mapping has lines to say again."""
    with system.runtime.postgres.connect("suppli_mapping") as connection:
        return connection.execute("select from restatement_queue limit 1").fetchone() is not None


def _one_line(sales: list[SaleRecorded]) -> SaleRecorded:
    """Return a sale of one mapped item alone."""
    for sale in sales:
        for line in sale.lines:
            if line.variation_id is not None and not line.modifiers and line.net > 0:
                return msgspec.structs.replace(sale, lines=(line,), adjustments=())
    raise LookupError("no sale of an item of the catalog")
