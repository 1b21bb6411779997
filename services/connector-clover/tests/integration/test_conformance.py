"""The conformance suite over real HTTP: the connector, and a local Clover in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_clover.manifest import MANIFEST
from suppli_connector_clover.settings import Settings
from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.protocol import Application, Connector, Tokens
from suppli_connector_kit.testing.conformance import (
    CHECKS,
    Ability,
    Check,
    Facts,
    Odd,
    SandboxHarness,
    ShopLine,
    ShopOrder,
    Stream,
    Wrap,
    local_transport,
)
from suppli_sandbox.clover.client import (
    CloverApplicationSpec,
    CloverMerchantSpec,
    CloverProcess,
    FaultSpec,
)

MERCHANT = "CLOVERCONFORM"
PAGE = 50
DEFAULT_CAP = 100  # a list without a limit
NO_LIMITS = CloverApplicationSpec(
    token_limit=0, token_concurrent_limit=0, cross_token_limit=0, cross_token_concurrent_limit=0
)
LIMITS = CloverApplicationSpec(
    token_limit=16, token_concurrent_limit=5, cross_token_limit=50, cross_token_concurrent_limit=10
)
OPERATIONS = {
    Stream.ORDERS: "ListOrders",
    Stream.CATALOG: "ListItems",
    Stream.TOKENS: "RefreshToken",
    Stream.ANY: "*",
}
PERMISSIONS = {Stream.ORDERS: ("orders",), Stream.CATALOG: ("inventory",)}
SETTINGS = Settings.model_construct()


class CloverHarness(SandboxHarness):
    """Implements `ProviderHarness`."""

    application = Application("SUPPLIAPP0001", "s3cret")
    account_id = MERCHANT
    operations = OPERATIONS
    scopes = PERMISSIONS
    facts = Facts(
        page_size=PAGE,
        default_cap=DEFAULT_CAP,
        zone="America/New_York",
        calls_per_second=16,
        calls_in_flight=5,
        cannot={Ability.LOCATIONS: "a Clover merchant is one place of business"},
    )

    def __init__(self, sandbox: CloverProcess) -> None:
        super().__init__(sandbox.control, FaultSpec)
        self._url, self._control = sandbox.url, sandbox.control

    def open(self, budget: Budget | None, wrap: Wrap | None = None) -> tuple[Connector[Any], ProviderClient]:
        """Return a connector with small pages; with production's budget Clover keeps to its limits, too."""
        direct = local_transport()
        transport = direct if wrap is None else wrap(direct)
        if budget is None:
            self._control.configure_application(LIMITS)
            budget = SETTINGS.budget(MANIFEST)
        client = CloverConnector.client(self._url, budget=budget, transport=transport)
        return CloverConnector(client, page_size=PAGE), client

    def begin(self, now: datetime, locations: int) -> Sequence[str]:
        """Open a merchant, which is its one location."""
        assert locations == 1
        self._control.reset()
        self._control.configure_application(NO_LIMITS)
        self.set_clock(now)
        self._control.create_merchant(
            CloverMerchantSpec(id=MERCHANT, name="Bakery", timezone="America/New_York")
        )
        return [MERCHANT]

    def issue(self) -> Tokens:
        """Issue an expiring pair."""
        pair = msgspec.json.encode(self._control.issue_tokens(MERCHANT))
        return replace(CloverConnector.token_fields.read(pair), account_id=MERCHANT)

    def put(self, orders: Sequence[ShopOrder]) -> None:
        """Put paid orders."""
        self._control.put_orders(MERCHANT, [_order(order) for order in orders])

    def put_odd(self, order: ShopOrder, odd: Odd) -> None:
        """Put an order with news, or with a price that is no number."""
        content = _order(order)
        if odd is Odd.UNKNOWN_FIELDS:
            content |= {"weather": {"sun": True}}
            content["lineItems"][0]["mood"] = ["unheard", {"of": 1}]
        else:
            content["lineItems"][0]["price"] = "some"
        self._control.put_orders(MERCHANT, [content])

    def delete(self, order_id: str) -> None:
        """Delete an order."""
        self._control.delete_order(MERCHANT, order_id)

    def truth(self) -> Sequence[ShopOrder]:
        """Return what Clover holds and has not deleted."""
        found = self._control.orders(MERCHANT)
        return [
            _shop_order(order) for order in found if "deletedTimestamp" not in order and not _is_broken(order)
        ]


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _order(order: ShopOrder) -> dict[str, Any]:
    """Return the order with one line for each unit, paid."""
    units = [line for line in order.lines for _ in range(line.quantity)]
    total = sum(line.price for line in units)
    sold = _milliseconds(order.sold_at)
    return {
        "id": order.order_id,
        "total": total,
        "createdTime": sold,
        "clientCreatedTime": sold,
        "modifiedTime": _milliseconds(order.modified_at),
        "lineItems": [
            {"id": f"LINE{number:09}", "item": {"id": line.item}, "name": line.item, "price": line.price}
            for number, line in enumerate(units)
        ],
        "payments": [{"id": "PAYMENT000001", "amount": total, "result": "SUCCESS", "createdTime": sold}],
    }


def _is_broken(order: dict[str, Any]) -> bool:
    return any(not isinstance(line["price"], int) for line in _elements(order, "lineItems"))


def _shop_order(order: dict[str, Any]) -> ShopOrder:
    lines = [ShopLine(line["item"]["id"], 1, line["price"]) for line in _elements(order, "lineItems")]
    sold, modified = _instant(order["clientCreatedTime"]), _instant(order["modifiedTime"])
    return ShopOrder(order["id"], MERCHANT, sold, modified, tuple(lines))


def _elements(order: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = order.get(name, {}).get("elements", [])
    return found


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_clover_conforms(check: Check, sandbox: CloverProcess) -> None:
    await check(CloverHarness(sandbox))
