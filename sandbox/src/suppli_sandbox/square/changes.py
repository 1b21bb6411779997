"""What a shop does to an order after it was made: change, refund, void, close. Each moves `updated_at`."""

from typing import Any

import msgspec

from suppli_sandbox.models import RefundSpec
from suppli_sandbox.serving import ControlError
from suppli_sandbox.square.money import amounts, money
from suppli_sandbox.square.orders import OWN_ID, PAID_AT, PLACE
from suppli_sandbox.square.pricing import totals
from suppli_sandbox.square.returns import amount_line, part_of, return_of
from suppli_sandbox.square.world import Merchant, World, new_id
from suppli_sandbox.times import format_us

Json = dict[str, Any]


def patch(world: World, merchant: Merchant, order_id: str, change: Json) -> Json:
    """Merge top-level fields into an order (null removes one); `updated_at` is of now unless given."""
    order = merchant.order(order_id).decoded()
    merged = {**order, "updated_at": format_us(world.clock.now_us()), **change, "id": order_id}
    if "version" in order and "version" not in change:
        merged["version"] = order["version"] + 1
    return world.put_order(merchant, {name: value for name, value in merged.items() if value is not None})


def refund(world: World, merchant: Merchant, order_id: str, spec: RefundSpec) -> Json:
    """Record a return of an order as an order of its own, and return that.

    Raises ControlError 422 for a line or quantity the order does not have.
    """
    sale = merchant.order(order_id).decoded()
    lines = sale.get("line_items", [])
    if spec.amount is not None:
        lines = [amount_line(spec.amount, sale["total_money"]["currency"])]
    elif spec.lines is not None:
        lines = _parts(sale, spec.lines)
    if not lines:
        raise ControlError(422, f"order {order_id} has no line items to return")
    body = return_of(sale, lines, source_id=order_id if spec.linked else None, reason=spec.reason)
    now, refund_id = format_us(world.clock.now_us()), new_id()
    text = msgspec.json.encode(body).decode()
    for mark, value in ((OWN_ID, refund_id), (PAID_AT, now), (PLACE, sale["location_id"])):
        text = text.replace(mark, value)
    order: Json = {"id": refund_id, "location_id": sale["location_id"], "created_at": now}
    merchant.orders.touch(merchant.order(order_id), world.clock.now_us())
    return world.put_order(merchant, {**order, **msgspec.json.decode(text)})


def void(world: World, merchant: Merchant, order_id: str) -> Json:
    """Cancel an order as a void before payment does: CANCELED, without tenders, nothing due."""
    order = merchant.order(order_id).decoded()
    now = format_us(world.clock.now_us())
    due = money(0, _currency(merchant, order))
    change = {"state": "CANCELED", "closed_at": now, "tenders": None, "net_amount_due_money": due}
    return patch(world, merchant, order_id, change)


def close(world: World, merchant: Merchant, order_id: str) -> Json:
    """Pay and complete an order in cash."""
    order = merchant.order(order_id).decoded()
    now, currency = format_us(world.clock.now_us()), _currency(merchant, order)
    tender = {
        "id": f"PAY{order_id}",
        "payment_id": f"PAY{order_id}",
        "location_id": order["location_id"],
        "transaction_id": order_id,
        "created_at": now,
        "type": "CASH",
        "amount_money": order.get("total_money", money(0, currency)),
        "tip_money": money(0, currency),
    }
    change: Json = {"state": "COMPLETED", "closed_at": now, "net_amount_due_money": money(0, currency)}
    return patch(world, merchant, order_id, change | {"tenders": order.get("tenders", [tender])})


def remove_line(world: World, merchant: Merchant, order_id: str, uid: str) -> Json:
    """Take a line out of an order, as voiding an item before payment does; totals follow."""
    order = merchant.order(order_id).decoded()
    rest = [line for line in order.get("line_items", []) if line["uid"] != uid]
    if len(rest) == len(order.get("line_items", [])):
        raise ControlError(404, f"order {order_id} has no line {uid}")

    def total(name: str) -> int:
        return sum(line.get(name, {"amount": 0})["amount"] for line in rest)

    tip = order.get("total_tip_money", {"amount": 0})["amount"]
    service = order.get("total_service_charge_money", {"amount": 0})["amount"]
    rollup = amounts(
        _currency(merchant, order),
        total=total("total_money") + tip + service,
        tax=total("total_tax_money"),
        discount=total("total_discount_money"),
        tip=tip,
        service=service,
    )
    return patch(world, merchant, order_id, {"line_items": rest, **totals(rollup), "net_amounts": rollup})


def _parts(sale: Json, wanted: dict[str, str]) -> list[Json]:
    by_uid = {line["uid"]: line for line in sale.get("line_items", [])}
    unknown = [uid for uid in wanted if uid not in by_uid]
    if unknown:
        raise ControlError(422, f"order {sale['id']} has no line(s) {', '.join(unknown)}")
    try:
        return [part_of(by_uid[uid], quantity) for uid, quantity in wanted.items()]
    except (ValueError, ArithmeticError) as error:
        raise ControlError(422, str(error)) from error


def _currency(merchant: Merchant, order: Json) -> str:
    return str(order.get("total_money", {}).get("currency", merchant.currency))
