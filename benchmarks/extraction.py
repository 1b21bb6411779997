"""Extraction: sandbox to raw sales acknowledged and recorded, next to a loop that only reads and decodes."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from suppli_contracts.topics import SALES_RAW
from suppli_demo.system import System

from benchmarks.measure import Results, median, spread
from benchmarks.meters import POSTGRES, cpu_seconds, end_of, since
from benchmarks.world import Bench, new_bench

ORDERS = 20_000
ROUNDS = 5
HEADROOM = 3.0
CONNECTOR = "connector-square"
FIGURES = ("extraction_ratio", "extraction_orders_per_s", "extraction_orders_per_connector_cpu_s")
EXTRA = {
    CONNECTOR: {
        # The bare loop has no budget either, and nobody maps meanwhile to whom the import had to yield.
        "SUPPLI_CONNECTOR_SQUARE_REQUESTS_PER_SECOND": "1000",
        "SUPPLI_CONNECTOR_SQUARE_REQUEST_BURST": "1000",
        "SUPPLI_CONNECTOR_SQUARE_BULK_BACKLOG": "1000000000",
    }
}
_SEARCH = "/v2/orders/search"


@dataclass
class Rounds:
    """Seconds of each round: the bare loop, our import, and reading alone; CPU of connector and database."""

    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)


def measure(system: System, results: Results) -> None:
    """Read bare and import, in turn, and keep the ratio of the medians."""
    system.services["mapping"].stop()  # the import alone is measured; mapping has a measure of its own
    warm_up = new_bench(system)
    warm_up.generate(1_000, seed=11)
    warm_up.finished(warm_up.connect())
    rounds = Rounds()
    for _ in range(ROUNDS):
        bench = new_bench(system)
        bench.generate(ORDERS, seed=11, encoded=True)
        rounds.served.append(read_as_served(bench))
        count, seconds = read_and_decode(bench)
        rounds.bare.append(seconds)
        seconds, taken = imported(system, bench, count)
        rounds.ours.append(seconds)
        rounds.cpu.append(taken[CONNECTOR])
        rounds.database.append(taken[POSTGRES])
    conclude(results, rounds)


def conclude(results: Results, rounds: Rounds) -> None:
    """Add the figures, unless the sandbox was too slow to tell."""
    ours, bare, cpu = median(rounds.ours), median(rounds.bare), median(rounds.cpu)
    headroom = ours / median(rounds.served)
    if headroom < HEADROOM:
        for name in FIGURES:
            why = f"the sandbox serves at {headroom:.1f} times our rate, not at {HEADROOM:.0f} or more"
            results.leave_out(name, why)
        return
    note = (
        f"{ORDERS:,} orders a round, median of {len(rounds.ours)}, taken in turn: ours"
        f" {spread(rounds.ours)} s, bare {spread(rounds.bare)} s; pages encoded beforehand are served at"
        f" {headroom:.1f} times our rate;"
        " mapping does not run"
    )
    results.add("extraction_ratio", bare / ours, note)
    results.add("extraction_orders_per_s", ORDERS / ours, note)
    results.add(
        "extraction_orders_per_connector_cpu_s",
        ORDERS / cpu,
        f"{cpu / ORDERS * 1e6:.0f} us of the connector and {median(rounds.database) / ORDERS * 1e6:.0f} us of"
        " PostgreSQL an order, the connection's set-up included",
    )


def read_and_decode(bench: Bench) -> tuple[int, float]:
    """Read every page with httpx, one request at a time, and decode it with `json`; return how many orders
    there are, and the seconds.
    """
    orders, cursor = 0, None
    with httpx.Client(base_url=bench.system.sandbox.url, headers=_headers(bench), timeout=30) as client:
        began = time.perf_counter()
        while True:
            page = json.loads(client.post(_SEARCH, content=_query(bench, cursor)).content)
            orders += len(page.get("orders", ()))
            cursor = page.get("cursor")
            if not cursor:
                return orders, time.perf_counter() - began


def read_as_served(bench: Bench) -> float:
    """Read every page without looking into it; return the seconds: what the sandbox can do."""
    address, headers = urlsplit(bench.system.sandbox.url), _headers(bench)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    cursor: str | None = None
    began = time.perf_counter()
    while True:
        connection.request("POST", _SEARCH, _query(bench, cursor), headers)
        page = connection.getresponse().read()
        _, found, rest = page.rpartition(b'"cursor":"')
        if not found:
            connection.close()
            return time.perf_counter() - began
        cursor = rest.partition(b'"')[0].decode()


def imported(system: System, bench: Bench, expected: int) -> tuple[float, dict[str, float]]:
    """Import the merchant; return wall seconds of the run, and CPU seconds by process."""
    before, raw = cpu_seconds(system), end_of(system, SALES_RAW)
    run = bench.finished(bench.connect())
    taken, written = since(before, cpu_seconds(system)), end_of(system, SALES_RAW) - raw
    if written != expected or run["counts"]["orders_published"] != expected:
        raise RuntimeError(f"{written} raw sales of {expected} orders, the run says {run['counts']}")
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    return took.total_seconds(), taken


def _headers(bench: Bench) -> dict[str, str]:
    token = bench.system.control.issue_tokens(bench.merchant).access_token
    return {
        "Authorization": f"Bearer {token}",
        "Square-Version": "2025-08-20",
        "Content-Type": "application/json",
    }


def _query(bench: Bench, cursor: str | None) -> bytes:
    """Return the body of one call as the connector makes it."""
    times = {"updated_at": {"start_at": "2026-02-28T00:00:00Z", "end_at": "2026-04-01T00:00:00Z"}}
    states = {"states": ["OPEN", "COMPLETED", "CANCELED"]}
    body: dict[str, Any] = {
        "location_ids": [bench.location],
        "query": {
            "filter": {"date_time_filter": times, "state_filter": states},
            "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
        },
        "limit": 1000,
        "return_entries": False,
    }
    return json.dumps(body if cursor is None else body | {"cursor": cursor}).encode()
