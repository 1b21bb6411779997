"""Merchants, orders, line items, payments and inventory of the REST API."""

from collections.abc import Callable
from typing import Any

import msgspec

from suppli_sandbox.clover.calls import Call
from suppli_sandbox.clover.errors import not_found
from suppli_sandbox.clover.listing import (
    Filter,
    clamped,
    ordered,
    page,
    read_expand,
    read_filters,
    read_order,
    read_paging,
    span_of,
)
from suppli_sandbox.clover.orders import EXPANDABLE, StoredOrder, shown_line
from suppli_sandbox.clover.world import Merchant
from suppli_sandbox.serving import Reply, reply

Json = dict[str, Any]

ORDER_FILTERS = (
    "id", "modifiedTime", "createdTime", "clientCreatedTime", "deletedTime", "state", "total", "payType",
    "title", "note", "orderType.id", "employee.id", "employee.name", "device.id", "externalReferenceId",
    "manualTransaction", "testMode",
)  # fmt: skip
_PAYMENT_FILTERS = (
    "id",
    "modifiedTime",
    "createdTime",
    "clientCreatedTime",
    "result",
    "offline",
    "amount",
    "order.id",
)
_ITEM_FILTERS = ("id", "modifiedTime", "deleted", "hidden", "available", "name", "sku", "itemCode", "price")
_TIMES = ("modifiedTime", "createdTime", "clientCreatedTime", "deletedTime")
_LINE_EXPANDS = frozenset({"modifications", "discounts", "taxRates", "payments", "employee", "orderType"})
_INVENTORY_EXPANDS = {
    "items": ("categories", "tags", "taxRates", "modifierGroups", "itemStock", "options"),
    "categories": ("items",),
    "modifier_groups": ("modifiers",),
    "tax_rates": (),
}


def get_merchant(call: Call) -> Reply:
    """GET /v3/merchants/{mId}."""
    merchant = call.authorize("merchant")
    return reply(
        {
            "href": call.merchant_url,
            "id": merchant.id,
            "name": merchant.name,
            "defaultCurrency": merchant.currency,
            "createdTime": merchant.created_ms,
            **({"properties": _properties(merchant)} if "properties" in (call.first("expand") or "") else {}),
        }
    )


def get_properties(call: Call) -> Reply:
    """GET /v3/merchants/{mId}/properties."""
    return reply({"href": f"{call.merchant_url}/properties", **_properties(call.authorize("merchant"))})


def _properties(merchant: Merchant) -> Json:
    return {
        "timezone": merchant.timezone,
        "defaultCurrency": merchant.currency,
        "locale": merchant.locale,
        "vat": merchant.vat,
        "groupLineItems": True,
        "trackStock": False,
    }


def list_orders(call: Call) -> Reply:
    """GET .../orders: deleted ones only where `deletedTime` is asked for, hidden drafts never."""
    merchant = call.authorize("orders")
    filters = read_filters(call.all("filter"), ORDER_FILTERS)
    paging = read_paging(call, merchant)
    expand = read_expand(call, merchant, EXPANDABLE)
    keys = read_order(call, _TIMES) or [("createdTime", True)]
    orders = _found(merchant, filters, call.world.now_ms())
    if keys != [("modifiedTime", False)]:
        by_id = {order.id: order for order in orders}
        orders = [by_id[data["id"]] for data in ordered([order.data for order in orders], keys)]
    cap, href = merchant.nested_cap, call.merchant_url
    shown = (order.encoded(expand, cap, href) for order in paging.of(orders))
    return page(call, shown, paging, ORDER_FILTERS)


def _found(merchant: Merchant, filters: list[Filter], now_ms: int) -> list[StoredOrder]:
    """Return the orders that pass, ascending by modification."""
    named = {each.field for each in filters}
    spans = [clamped(span_of(filters, name), merchant, now_ms) for name in _TIMES if name in named]
    if not named.intersection((*_TIMES, "id")):
        spans.append(clamped(span_of(filters, "createdTime"), merchant, now_ms))
    modified = next((span for span in spans if span.field == "modifiedTime"), None)
    book = merchant.orders
    some = book.modified_within(modified.low, modified.high) if modified else book.modified_within(None, None)
    others = [span for span in spans if span is not modified]
    rest = [each for each in filters if each.field not in _TIMES or each.sign in ("in", "!=")]
    wants_deleted = "deletedTime" in named

    def passes(order: StoredOrder) -> bool:
        if order.hidden or order.deleted != wants_deleted:
            return False
        for span in others:
            at = _value(order.data, span.field)
            if at is None or (span.low is not None and at < span.low):
                return False
            if span.high is not None and at > span.high:
                return False
        return all(each.holds(_value(order.data, each.field)) for each in rest)

    return [order for order in some if passes(order)]


def _value(data: Json, field: str) -> Any:
    if field == "deletedTime":
        return data.get("deletedTimestamp")
    name, _, part = field.partition(".")
    value = data.get(name)
    return value.get(part) if part and isinstance(value, dict) else value


def get_order(call: Call) -> Reply:
    """GET .../orders/{id}: a deleted one is not there any more."""
    merchant = call.authorize("orders")
    order = _order(merchant, call.path["order_id"])
    expand = read_expand(call, merchant, EXPANDABLE)
    return Reply(order.encoded(expand, merchant.nested_cap, call.merchant_url))


def list_line_items(call: Call) -> Reply:
    """GET .../orders/{id}/line_items: every line, by limit and offset."""
    merchant = call.authorize("orders")
    order = _order(merchant, call.path["order_id"])
    expand = read_expand(call, merchant, _LINE_EXPANDS)
    paging = read_paging(call, merchant)
    lines = order.data.get("lineItems", [])
    wanted = paging.of(lines) if merchant.line_items_paging else lines[: merchant.nested_cap]
    return page(call, (msgspec.json.encode(shown_line(line, expand)) for line in wanted), paging)


def _order(merchant: Merchant, order_id: str) -> StoredOrder:
    order = merchant.orders.get(order_id)
    if order is None or order.deleted or order.hidden:
        raise not_found()
    return order


def _of_orders(part: str, permission: str) -> Callable[[Call], Reply]:
    """Return a handler that lists what hangs on orders: payments, refunds, credits."""

    def handler(call: Call) -> Reply:
        merchant = call.authorize(permission)
        filters = read_filters(call.all("filter"), _PAYMENT_FILTERS)
        paging = read_paging(call, merchant)
        named = {each.field for each in filters}
        spans = [
            clamped(span_of(filters, name), merchant, call.world.now_ms()) for name in _TIMES if name in named
        ]
        rest = [each for each in filters if each.field not in _TIMES]
        elements = [
            each
            for order in merchant.orders
            for each in order.data.get(part, ())
            if all(_within(each, span.field, span.low, span.high) for span in spans)
            and all(condition.holds(_value(each, condition.field)) for condition in rest)
        ]
        keys = read_order(call, _TIMES) or [("createdTime", True)]
        shown = (msgspec.json.encode(each) for each in paging.of(ordered(elements, keys)))
        return page(call, shown, paging, _PAYMENT_FILTERS)

    return handler


def _within(each: Json, field: str, low: int | None, high: int | None) -> bool:
    at = each.get(field)
    return at is not None and (low is None or at >= low) and (high is None or at <= high)


list_payments = _of_orders("payments", "payments")
list_refunds = _of_orders("refunds", "payments")
list_credits = _of_orders("credits", "payments")


def list_voided_lines(call: Call) -> Reply:
    """GET .../voided_orders: lines that were taken off orders."""
    merchant = call.authorize("orders")
    paging = read_paging(call, merchant)
    return page(call, (msgspec.json.encode(line) for line in paging.of(merchant.voided_lines)), paging)


def inventory(kind: str) -> Callable[[Call], Reply]:
    """Return a handler that lists one kind of inventory."""
    expands = _INVENTORY_EXPANDS[kind]

    def handler(call: Call) -> Reply:
        merchant = call.authorize("inventory")
        filters = read_filters(call.all("filter"), _ITEM_FILTERS)
        paging = read_paging(call, merchant)
        expand = read_expand(call, merchant, frozenset(expands))
        wants_deleted = any(each.field == "deleted" for each in filters)
        elements = [
            each
            for each in merchant.inventory[kind].values()
            if (wants_deleted or not each.get("deleted")) and all(f.holds(each.get(f.field)) for f in filters)
        ]
        keys = read_order(call, ("modifiedTime", "name", "id")) or [("id", False)]
        shown = (
            msgspec.json.encode(_opened_up(each, expand, expands))
            for each in paging.of(ordered(elements, keys))
        )
        return page(call, shown, paging, _ITEM_FILTERS)

    return handler


def _opened_up(element: Json, expand: frozenset[str], expands: tuple[str, ...]) -> Json:
    shown = {name: value for name, value in element.items() if name not in expands}
    for name in expand:
        if name in element:
            shown[name] = {"elements": element[name]} if isinstance(element[name], list) else element[name]
    return shown


def get_item(call: Call) -> Reply:
    """GET .../items/{id}."""
    merchant = call.authorize("inventory")
    item = merchant.inventory["items"].get(call.path["item_id"])
    if item is None:
        raise not_found()
    expands = _INVENTORY_EXPANDS["items"]
    return reply(_opened_up(item, read_expand(call, merchant, frozenset(expands)), expands))
