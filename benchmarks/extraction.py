"""Extraction: sandbox to raw sales acknowledged and recorded, next to a loop that only reads and decodes."""

from __future__ import annotations

import json
import time
from datetime import datetime

import httpx
import psutil
from suppli_demo.system import System

from benchmarks.measure import Results, median
from benchmarks.world import Bench, new_bench

ORDERS = 20_000
ROUNDS = 5


def measure(system: System, results: Results) -> None:
    """Run both in turn and keep the ratio of the medians."""
    bare, ours, cpu, raw = [], [], [], []
    for _ in range(ROUNDS):
        bench = new_bench(system)
        bench.generate(ORDERS, seed=11)
        raw.append(read_pages(bench, decode=False))  # also encodes the sandbox's pages once
        bare.append(read_pages(bench, decode=True))
        seconds, cpu_seconds = extract(system, bench)
        ours.append(seconds)
        cpu.append(cpu_seconds)
    rate = ORDERS / median(ours)
    headroom = (ORDERS / median(raw)) / rate
    note = f"{ORDERS:,} orders a run, median of {ROUNDS}; the sandbox serves at {headroom:.1f} times our rate"
    results.add("extraction_ratio", median(bare) / median(ours), note)
    results.add("extraction_orders_per_s", rate, note)
    results.add("extraction_orders_per_connector_cpu_s", ORDERS / median(cpu), note)


def read_pages(bench: Bench, *, decode: bool) -> float:
    """Read every page one request at a time; return the seconds."""
    token = bench.system.control.issue_tokens(bench.merchant).access_token
    body: dict[str, object] = {
        "location_ids": [bench.location],
        "limit": 1000,
        "query": {
            "filter": {"date_time_filter": {"updated_at": {"start_at": "2026-02-28T00:00:00Z"}}},
            "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
        },
    }
    headers = {"Authorization": f"Bearer {token}", "Square-Version": "2026-09-16"}
    began = time.perf_counter()
    seen = 0
    with httpx.Client(base_url=bench.system.sandbox.url, headers=headers, timeout=30) as client:
        while True:
            content = client.post("/v2/orders/search", json=body).content
            if decode:
                page = json.loads(content)
                seen += len(page.get("orders", ()))
                cursor = page.get("cursor")
            else:
                _, found, rest = content.rpartition(b'"cursor":"')
                cursor = rest.partition(b'"')[0].decode() if found else None
            if not cursor:
                break
            body["cursor"] = cursor
    if decode and seen < ORDERS:
        raise RuntimeError(f"the bare loop saw {seen} of {ORDERS} orders")
    return time.perf_counter() - began


def extract(system: System, bench: Bench) -> tuple[float, float]:
    """Import the merchant; return wall seconds of the run and CPU seconds of the connector."""
    pid = system.services["connector-square"].pid
    if pid is None:
        raise RuntimeError("the connector is not running")
    process = psutil.Process(pid)
    before = process.cpu_times()
    run = bench.finished(bench.connect())
    after = process.cpu_times()
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    return took.total_seconds(), after.user + after.system - before.user - before.system
