"""Clover's extraction: its stand-in to raw sales acknowledged, next to a loop that reads and decodes."""

from __future__ import annotations

import http.client
import json
import time
from datetime import date, datetime
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
from suppli_contracts.topics import SALES_RAW
from suppli_demo.shop import Shop, Tie
from suppli_demo.system import System
from suppli_sandbox.clover.client import CloverGenerateSpec, CloverMerchantSpec

from benchmarks.extraction import HEADROOM
from benchmarks.measure import Results, median, spread
from benchmarks.meters import cpu_seconds, end_of, since

ORDERS = 10_000
ROUNDS = 5
PAGE = 1_000
CONNECTOR = "connector-clover"
EXTRA = {
    CONNECTOR: {
        # As for Square: the bare loop has no budget of its own, and nobody maps to whom the import yields.
        "SUPPLI_CONNECTOR_CLOVER_REQUESTS_PER_SECOND": "1000",
        "SUPPLI_CONNECTOR_CLOVER_REQUEST_BURST": "1000",
        "SUPPLI_CONNECTOR_CLOVER_BULK_BACKLOG": "1000000000",
    }
}
ZONE = "America/New_York"
_EXPAND = (  # as the connector asks
    "lineItems,lineItems.modifications,lineItems.discounts,lineItems.taxRates,"
    "discounts,serviceCharge,payments,refunds,credits"
)
_MARCH = ("modifiedTime>=1772323200000", "modifiedTime<=1775001600000")


def measure(system: System, results: Results) -> None:
    """Read bare and import, in turn, and keep the ratio of the medians."""
    system.services["mapping"].stop()  # the import alone is measured
    imported(system, new_merchant(system, 1_000), 1_000)
    served, bare, ours, cpu = [], [], [], []
    for _ in range(ROUNDS):
        merchant = new_merchant(system, ORDERS)
        read(system, merchant)  # the stand-in encodes an order when it is first asked for
        served.append(read_as_served(system, merchant))
        bare.append(read(system, merchant))
        seconds, used = imported(system, merchant, ORDERS)
        ours.append(seconds)
        cpu.append(used)
    headroom = median(ours) / median(served)
    if headroom < HEADROOM:
        why = f"the stand-in serves at {headroom:.1f} times our rate, not at {HEADROOM:.0f} or more"
        results.leave_out("clover_extraction_ratio", why)
        return
    results.add(
        "clover_extraction_ratio",
        median(bare) / median(ours),
        f"{ORDERS:,} orders a round, median of {ROUNDS}, taken in turn: ours {spread(ours)} s, bare"
        f" {spread(bare)} s; {median(cpu) / ORDERS * 1e6:.0f} us of the connector an order; pages encoded"
        f" beforehand are served at {headroom:.1f} times our rate; mapping does not run",
    )


def new_merchant(system: System, orders: int) -> str:
    """Return a merchant with sales of March 2026."""
    merchant = f"CB{uuid4().hex[:11].upper()}"
    system.clover.create_merchant(CloverMerchantSpec(id=merchant, name=merchant, timezone=ZONE))
    spec = CloverGenerateSpec(
        count=orders, seed=11, start_at="2026-03-02T12:00:00Z", end_at="2026-03-20T12:00:00Z"
    )
    system.clover.generate_orders(merchant, spec)
    return merchant


def read(system: System, merchant: str) -> float:
    """Read every page with httpx, one request at a time, and decode it with `json`; return the seconds."""
    found, offset = 0, 0
    headers = _headers(system, merchant)
    with httpx.Client(base_url=system.clover.base_url, headers=headers, timeout=30) as client:
        began = time.perf_counter()
        while True:
            page = json.loads(client.get(_address(merchant, offset)).content)
            found += len(page["elements"])
            offset += PAGE
            if len(page["elements"]) < PAGE:
                break
        took = time.perf_counter() - began
    if found != ORDERS:
        raise RuntimeError(f"{found} orders were listed, not {ORDERS}")
    return took


def read_as_served(system: System, merchant: str) -> float:
    """Read every page without looking into it; return the seconds: what the sandbox can do."""
    address = urlsplit(system.clover.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = _headers(system, merchant)
    began = time.perf_counter()
    for offset in range(0, ORDERS + 1, PAGE):
        connection.request("GET", _address(merchant, offset), headers=headers)
        connection.getresponse().read()
    connection.close()
    return time.perf_counter() - began


def imported(system: System, merchant: str, expected: int) -> tuple[float, float]:
    """Import the merchant; return wall seconds of the run and CPU seconds of the connector."""
    before, raw, tenant = cpu_seconds(system), end_of(system, SALES_RAW), uuid4()
    token = system.issuer.token(subject="bench", tenants=[tenant], role="admin")
    shop = Shop(system.gateway_url, token, tenant)
    connection = str(shop.connect(merchant, provider="clover")["connection"]["id"])
    shop.put_location("shop", "Shop", ZONE)
    shop.tie(connection, [Tie(merchant, "shop", ZONE)])
    shop.start(connection, date(2026, 3, 1))
    (run, *_) = shop.wait_for_runs(connection, seconds=300)
    written = end_of(system, SALES_RAW) - raw
    # The order at a page's edge may come twice: the next page begins with it before the first is recorded.
    if run["state"] != "succeeded" or written < expected:
        raise RuntimeError(f"{written} raw sales of {expected} orders; the run {run['state']}")
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    return took.total_seconds(), since(before, cpu_seconds(system))[CONNECTOR]


def _headers(system: System, merchant: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {system.clover.issue_tokens(merchant).access_token}"}


def _address(merchant: str, offset: int) -> str:
    query = [
        *(("filter", each) for each in _MARCH),
        ("expand", _EXPAND),
        ("orderBy", "modifiedTime ASC"),
        ("limit", PAGE),
        ("offset", offset),
    ]
    return f"/v3/merchants/{merchant}/orders?{urlencode(query)}"
