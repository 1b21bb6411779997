"""The conformance suite over real HTTP: the connector, and a local Square in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest
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
from suppli_connector_square.connector import SquareConnector
from suppli_connector_square.manifest import MANIFEST
from suppli_connector_square.settings import Settings
from suppli_sandbox.client import FaultSpec, LocationSpec, MerchantSpec, SandboxProcess

MERCHANT = "CONFORM"
PAGE = 100
DEFAULT_CAP = 500  # SearchOrders without a limit
OPERATIONS = {
    Stream.ORDERS: "SearchOrders",
    Stream.CATALOG: "SearchCatalogObjects",
    Stream.TOKENS: "ObtainToken",
    Stream.ANY: "*",
}
SCOPES = {Stream.ORDERS: ("ORDERS_READ",), Stream.CATALOG: ("ITEMS_READ",)}
SETTINGS = Settings.model_construct()


class SquareHarness(SandboxHarness):
    """Implements `ProviderHarness`."""

    application = Application("sandbox-sq0idb-suppli", "s3cret")
    account_id = MERCHANT
    operations = OPERATIONS
    scopes = SCOPES
    facts = Facts(
        page_size=PAGE,
        default_cap=DEFAULT_CAP,
        zone="America/New_York",
        # our own budget, and a tenth: the way there may bring calls closer together
        calls_per_second=1.1 * (SETTINGS.requests_per_second + SETTINGS.request_burst),
        cannot={Ability.CALLS_IN_FLIGHT: "Square publishes no limit of calls at once"},
    )

    def __init__(self, sandbox: SandboxProcess) -> None:
        super().__init__(sandbox.control, FaultSpec)
        self._url, self._control = sandbox.url, sandbox.control

    def open(self, budget: Budget | None, wrap: Wrap | None = None) -> tuple[Connector[Any], ProviderClient]:
        """Return a connector with small pages."""
        direct = local_transport()
        transport = direct if wrap is None else wrap(direct)
        client = SquareConnector.client(
            self._url, budget=budget or SETTINGS.budget(MANIFEST), transport=transport
        )
        return SquareConnector(client, page_size=PAGE), client

    def begin(self, now: datetime, locations: int) -> Sequence[str]:
        """Open a merchant of so many locations."""
        self._control.reset()
        self.set_clock(now)
        places = tuple(LocationSpec(id=f"L{n:02}", name=f"Shop {n}") for n in range(locations))
        self._control.create_merchant(MerchantSpec(id=MERCHANT, name="Cafe", locations=places))
        return [str(place.id) for place in places]

    def issue(self) -> Tokens:
        """Issue tokens."""
        issued = msgspec.json.encode(self._control.issue_tokens(MERCHANT))
        return SquareConnector.token_fields.read(issued)

    def put(self, orders: Sequence[ShopOrder]) -> None:
        """Put completed orders, without a version as the till makes them."""
        self._control.put_orders(MERCHANT, [_order(order) for order in orders])

    def put_odd(self, order: ShopOrder, odd: Odd) -> None:
        """Put an order with news, or with a quantity that is no text."""
        content = _order(order)
        if odd is Odd.UNKNOWN_FIELDS:
            content |= {"weather": {"sun": True}}
            content["line_items"][0]["mood"] = ["unheard", {"of": 1}]
        else:
            content["line_items"][0]["quantity"] = ["some"]
        self._control.put_orders(MERCHANT, [content])

    def delete(self, order_id: str) -> None:
        """Make an order vanish."""
        self._control.delete_order(MERCHANT, order_id)

    def truth(self) -> Sequence[ShopOrder]:
        """Return what Square holds."""
        found = self._control.orders(MERCHANT)
        return [_shop_order(order) for order in found if not _is_broken(order)]


def _order(order: ShopOrder) -> dict[str, Any]:
    total = sum(line.quantity * line.price for line in order.lines)
    return {
        "id": order.order_id,
        "location_id": order.location,
        "state": "COMPLETED",
        "created_at": order.sold_at.isoformat(),
        "closed_at": order.sold_at.isoformat(),
        "updated_at": order.modified_at.isoformat(),
        "line_items": [_line(number, line) for number, line in enumerate(order.lines)],
        "total_money": _money(total),
    }


def _line(number: int, line: ShopLine) -> dict[str, Any]:
    worth = _money(line.quantity * line.price)
    return {
        "uid": f"LINE{number}",
        "catalog_object_id": line.item,
        "name": line.item.title(),
        "item_type": "ITEM",
        "quantity": str(line.quantity),
        "base_price_money": _money(line.price),
        "gross_sales_money": worth,
        "total_money": worth,
    }


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def _is_broken(order: dict[str, Any]) -> bool:
    return any(not isinstance(line["quantity"], str) for line in order["line_items"])


def _shop_order(order: dict[str, Any]) -> ShopOrder:
    lines = [
        ShopLine(line["catalog_object_id"], int(line["quantity"]), line["base_price_money"]["amount"])
        for line in order["line_items"]
    ]
    sold, modified = (datetime.fromisoformat(order[name]) for name in ("closed_at", "updated_at"))
    return ShopOrder(order["id"], order["location_id"], sold, modified, tuple(lines))


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_square_conforms(check: Check, sandbox: SandboxProcess) -> None:
    await check(SquareHarness(sandbox))
