"""A merchant at the local Clover, for tests that every connector must pass side by side."""

from __future__ import annotations

from uuid import uuid4

from suppli_demo.shop import Shop, Tie
from suppli_demo.system import System
from suppli_sandbox.clover.client import CloverGenerateSpec, CloverMerchantSpec

from tests.e2e.conftest import FIRST_DAY, ZONE


def new_merchant(system: System, *, orders: int = 20) -> str:
    """Make a merchant that sold in March 2026; return its id."""
    merchant = f"CL{uuid4().hex[:11].upper()}"
    system.clover.create_merchant(CloverMerchantSpec(id=merchant, name=f"Clover {merchant}", timezone=ZONE))
    spec = CloverGenerateSpec(count=orders, start_at="2026-03-02T12:00:00Z", end_at="2026-03-20T12:00:00Z")
    system.clover.generate_orders(merchant, spec)
    return merchant


def connect_clover(shop: Shop, merchant: str, *, token: str | None = None) -> str:
    """Connect by the redirects, or by a typed `token`; await the first import; return the connection."""
    credentials = None if token is None else {"merchant_id": merchant, "token": token}
    if credentials is None:
        connected = shop.connect(merchant, provider="clover")
    else:
        connected = shop.begin("clover", credentials=credentials)
    connection = str(connected["connection"]["id"])
    shop.put_location("clover-1", "At Clover", ZONE)
    shop.tie(connection, [Tie(merchant, "clover-1", ZONE)])
    shop.start(connection, FIRST_DAY)
    (run, *_) = shop.wait_for_runs(connection)
    assert run["state"] == "succeeded", run
    return connection
