"""Orders of one merchant, kept sorted by modification, and how an order looks with what was expanded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

Json = dict[str, Any]
Key = tuple[int, str]

# Shown only where a call expands them; `lineItems.x` needs `lineItems` no less.
NESTED = ("lineItems", "discounts", "payments", "refunds", "credits", "voids", "customers")
_LINE_PARTS = ("modifications", "discounts", "taxRates", "payments")
_REFERENCES = ("employee", "orderType", "device")
EXPANDABLE = frozenset(
    {
        *NESTED,
        *(f"lineItems.{part}" for part in _LINE_PARTS),
        "employee",
        "orderType",
        "serviceCharge",
        "payment.tender",
        "payment.cardTransaction",
        "payments.tender",
    }
)
_HEAD = (
    "id",
    "currency",
    "employee",
    "total",
    "paymentState",
    "title",
    "note",
    "orderType",
    "taxRemoved",
    "isVat",
    "state",
    "manualTransaction",
    "groupLineItems",
    "testMode",
    "payType",
    "createdTime",
    "clientCreatedTime",
    "modifiedTime",
    "deletedTimestamp",
    "device",
    "externalReferenceId",
)


class StoredOrder:
    """One order as Clover holds it: flat, with nested lists as plain lists."""

    __slots__ = ("_encoded", "data", "id")

    def __init__(self, data: Json) -> None:
        self.id: str = data["id"]
        self.data = data
        self._encoded: dict[tuple[frozenset[str], int, str], bytes] = {}

    @property
    def modified_ms(self) -> int:
        """When it last changed, in milliseconds since 1970."""
        return int(self.data["modifiedTime"])

    @property
    def deleted(self) -> bool:
        """Whether it was deleted."""
        return "deletedTimestamp" in self.data

    @property
    def hidden(self) -> bool:
        """Whether it is a draft that no list shows."""
        return self.data.get("state") is None

    def encoded(self, expand: frozenset[str], cap: int, href: str) -> bytes:
        """Return the order as JSON bytes; what was encoded once is kept."""
        key = (expand, cap, href)
        found = self._encoded.get(key)
        if found is None:
            found = self._encoded[key] = msgspec.json.encode(shown(self.data, expand, cap, href))
        return found


def shown(data: Json, expand: frozenset[str], cap: int, href: str) -> Json:
    """Return an order as a call sees it: nested lists only where asked for, and cut at `cap` elements."""
    order: Json = {"href": f"{href}/orders/{data['id']}"}
    for name in _HEAD:
        value = data.get(name)
        if value is not None:
            whole = name not in _REFERENCES or name in expand
            order[name] = value if whole else {"id": value["id"]}
    for name in NESTED:
        if name in expand and data.get(name):
            order[name] = {"elements": [_element(name, each, expand) for each in data[name][:cap]]}
    if "serviceCharge" in expand and data.get("serviceCharge"):
        order["serviceCharge"] = data["serviceCharge"]
    return order


def shown_line(line: Json, expand: frozenset[str]) -> Json:
    """Return a line as a call sees it; `expand` names its own parts, e.g. `modifications`."""
    shown = {name: value for name, value in line.items() if name not in _LINE_PARTS}
    for part in _LINE_PARTS:
        if part in expand and line.get(part):
            shown[part] = {"elements": line[part]}
    return shown


def _element(name: str, element: Json, expand: frozenset[str]) -> Json:
    if name == "lineItems":
        parts = frozenset(each.partition(".")[2] for each in expand if each.startswith("lineItems."))
        return shown_line(element, parts)
    if name == "refunds" and element.get("lineItems"):
        return {**element, "lineItems": {"elements": element["lineItems"]}}
    if name == "payments" and "payments.tender" not in expand and "tender" in element:
        return {**element, "tender": {"id": element["tender"]["id"]}}
    return element


class OrderBook:
    """All orders of one merchant, deleted ones included."""

    def __init__(self) -> None:
        self._orders: dict[str, StoredOrder] = {}
        self._by_modified: list[Key] = []

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[StoredOrder]:
        return iter(self._orders.values())

    def get(self, order_id: str) -> StoredOrder | None:
        """Return an order, or None."""
        return self._orders.get(order_id)

    def put(self, data: Json) -> StoredOrder:
        """Add an order, or replace the one with its id."""
        old = self._orders.get(data["id"])
        if old is not None:
            del self._by_modified[bisect_left(self._by_modified, (old.modified_ms, old.id))]
        order = StoredOrder(data)
        self._orders[order.id] = order
        insort(self._by_modified, (order.modified_ms, order.id))
        return order

    def put_many(self, orders: Iterable[Json]) -> int:
        """Add many orders at once and return how many; ids must be new."""
        added = [StoredOrder(data) for data in orders]
        self._orders |= {order.id: order for order in added}
        self._by_modified = sorted((order.modified_ms, order.id) for order in self._orders.values())
        return len(added)

    def modified_within(self, low_ms: int | None, high_ms: int | None) -> list[StoredOrder]:
        """Return the orders modified within a span (both ends inclusive), ascending."""
        index = self._by_modified
        low = 0 if low_ms is None else bisect_left(index, (low_ms, ""))
        high = len(index) if high_ms is None else bisect_right(index, (high_ms, "\uffff"))
        return [self._orders[order_id] for _, order_id in index[low:high]]
