"""What a shop does to an order after it was made. Each moves `modifiedTime`."""

import copy
from typing import Any

from suppli_sandbox.clover.models import CloverRefundSpec
from suppli_sandbox.clover.pricing import totals
from suppli_sandbox.clover.world import Merchant, World, new_id
from suppli_sandbox.serving import ControlError

Json = dict[str, Any]


def patch(world: World, merchant: Merchant, order_id: str, change: Json) -> Json:
    """Merge top-level fields into an order (null removes one); `modifiedTime` is of now unless given."""
    order = copy.deepcopy(merchant.order(order_id).data)
    merged = {**order, "modifiedTime": world.now_ms(), **change, "id": order_id}
    return world.put_order(merchant, {k: v for k, v in merged.items() if v is not None}).data


def delete(world: World, merchant: Merchant, order_id: str) -> Json:
    """Delete an order: it is gone from lists, and found by `deletedTime` alone."""
    now = world.now_ms()
    return patch(world, merchant, order_id, {"deletedTimestamp": now, "modifiedTime": now})


def pay(world: World, merchant: Merchant, order_id: str) -> Json:
    """Pay an order in cash and lock it."""
    order, now = merchant.order(order_id).data, world.now_ms()
    if order.get("payments"):
        raise ControlError(409, f"order {order_id} is paid already")
    sums = totals(order)
    payment = payment_of(order_id, sums.total, sums.tax, now)
    change = {"state": "locked", "paymentState": "PAID", "payType": "FULL", "total": sums.total}
    return patch(world, merchant, order_id, {**change, "payments": [payment]})


def payment_of(
    order_id: str, amount: int, tax: int, at_ms: int, *, tip: int = 0, payment_id: str = ""
) -> Json:
    """Return a successful payment."""
    return {
        "id": payment_id or new_id(),
        "order": {"id": order_id},
        "tender": {"id": "TENDERCASH001", "label": "Cash", "labelKey": "com.clover.tender.cash"},
        "amount": amount,
        "tipAmount": tip,
        "taxAmount": tax,
        "createdTime": at_ms,
        "clientCreatedTime": at_ms,
        "modifiedTime": at_ms,
        "offline": False,
        "result": "SUCCESS",
    }


def remove_line(world: World, merchant: Merchant, order_id: str, line_id: str) -> Json:
    """Take a line off an order: it vanishes from the order and is kept among the voided ones."""
    order = merchant.order(order_id).data
    gone = [line for line in order.get("lineItems", ()) if line["id"] == line_id]
    if not gone:
        raise ControlError(404, f"order {order_id} has no line {line_id}")
    voided = {"reason": "", "deletedTime": world.now_ms(), "clientEventType": "DELETED_LINE_ITEM"}
    merchant.voided_lines.append({"id": new_id(), "orderId": order_id, "lineItem": gone[0], **voided})
    rest = [line for line in order["lineItems"] if line["id"] != line_id]
    return patch(
        world,
        merchant,
        order_id,
        {"lineItems": rest, "total": totals({**order, "lineItems": rest}).total},
    )


def exchange_line(world: World, merchant: Merchant, order_id: str, line_id: str) -> Json:
    """Exchange a line for an equal new one: the old one stays, marked, and counts no more."""
    order = copy.deepcopy(merchant.order(order_id).data)
    for line in order.get("lineItems", ()):
        if line["id"] == line_id:
            line["exchanged"] = True
            new = {**copy.deepcopy(line), "id": new_id(), "exchanged": False, "createdTime": world.now_ms()}
            order["lineItems"].append({**new, "exchangedLineItem": {"id": line_id}})
            return patch(world, merchant, order_id, {"lineItems": order["lineItems"]})
    raise ControlError(404, f"order {order_id} has no line {line_id}")


def refund(world: World, merchant: Merchant, order_id: str, spec: CloverRefundSpec) -> Json:
    """Give money back: whole lines (all lines when nothing is named), an amount, or as a manual credit.

    Raises ControlError 404 for a line that the order lacks, 409 for one that went back already and for an
    order that is not paid.
    """
    order = copy.deepcopy(merchant.order(order_id).data)
    if not order.get("payments"):
        raise ControlError(409, f"order {order_id} is not paid")
    if spec.credit or spec.amount is not None:
        return _by_amount(world, merchant, order, spec)
    lines = {line["id"]: line for line in order.get("lineItems", ()) if not line.get("exchanged")}
    wanted = spec.lines or tuple(key for key, line in lines.items() if not line.get("refunded"))
    missing = [line_id for line_id in wanted if line_id not in lines]
    if missing:
        raise ControlError(404, f"order {order_id} has no line(s) {', '.join(missing)}")
    if not wanted or any(lines[line_id].get("refunded") for line_id in wanted):
        raise ControlError(409, f"order {order_id}: a line went back already")
    sums, amount, tax = totals(order), 0, 0
    for index, line in enumerate(order["lineItems"]):
        if line["id"] in wanted:
            line["refunded"] = True
            tax += sums.taxes[index]
            amount += sums.lines[index] + (0 if sums.vat else sums.taxes[index])
    whole = all(line.get("refunded") or line.get("exchanged") for line in order["lineItems"])
    given = _refund(order, amount, tax, world.now_ms(), spec.reason)
    given["lineItems"] = [{"id": line_id} for line_id in wanted]
    change = {"lineItems": order["lineItems"], "refunds": [*order.get("refunds", ()), given]}
    state = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
    return patch(world, merchant, order["id"], {**change, "paymentState": state})


def _by_amount(world: World, merchant: Merchant, order: Json, spec: CloverRefundSpec) -> Json:
    amount = totals(order).total if spec.amount is None else spec.amount
    given = _refund(order, amount, 0, world.now_ms(), spec.reason)
    if not spec.credit:
        change = {"refunds": [*order.get("refunds", ()), given], "paymentState": "PARTIALLY_REFUNDED"}
        return patch(world, merchant, order["id"], change)
    given.pop("payment")
    given["tender"] = {"id": "TENDERCASH001"}
    change = {"credits": [*order.get("credits", ()), given], "paymentState": "CREDITED"}
    return patch(world, merchant, order["id"], change)


def _refund(order: Json, amount: int, tax: int, at_ms: int, reason: str) -> Json:
    return {
        "id": new_id(),
        "orderRef": {"id": order["id"]},
        "payment": {"id": order["payments"][0]["id"]},
        "amount": amount,
        "taxAmount": tax,
        "createdTime": at_ms,
        "clientCreatedTime": at_ms,
        "status": "SUCCESS",
        "reason": reason,
    }


def void_payment(world: World, merchant: Merchant, order_id: str) -> Json:
    """Void an order's payment: the order is open again, the payment is among its voids."""
    order = copy.deepcopy(merchant.order(order_id).data)
    if not order.get("payments"):
        raise ControlError(409, f"order {order_id} is not paid")
    voids = [{**payment, "result": "VOIDED", "voidReason": "USER_CANCEL"} for payment in order["payments"]]
    change: Json = {"payments": None, "voids": [*order.get("voids", ()), *voids]}
    return patch(world, merchant, order_id, {**change, "state": "open", "paymentState": "OPEN"})
