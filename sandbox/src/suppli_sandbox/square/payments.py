"""Payments and refunds: made from orders, listed by the API."""

from typing import Any
from weakref import WeakKeyDictionary

from suppli_sandbox.serving import Reply, reply
from suppli_sandbox.square.calls import Call, instant
from suppli_sandbox.square.cursors import Position, digest, seal, unseal
from suppli_sandbox.square.errors import bad_request, not_found
from suppli_sandbox.square.orders import OrderBook
from suppli_sandbox.square.world import Merchant
from suppli_sandbox.times import DAY, parse_us

Json = dict[str, Any]

PAGE = 100
_SCOPE = "PAYMENTS_READ"
_SOURCES = {"CASH": "CASH", "WALLET": "WALLET", "OTHER": "EXTERNAL", "SQUARE_GIFT_CARD": "CARD"}
_REFUND_STATES = {"APPROVED": "COMPLETED"}

_HELD: WeakKeyDictionary[OrderBook, tuple[int, dict[str, Json], dict[str, Json]]] = WeakKeyDictionary()


def payment_of(order: Json, tender: Json) -> Json:
    """Return the payment that a tender of an order stands for."""
    tip = tender.get("tip_money", {"amount": 0, "currency": tender["amount_money"]["currency"]})
    paid = tender["amount_money"]
    return {
        "id": tender["id"],
        "order_id": order["id"],
        "location_id": order["location_id"],
        "status": "COMPLETED",
        "amount_money": {**paid, "amount": paid["amount"] - tip["amount"]},
        "tip_money": tip,
        "total_money": paid,
        "source_type": _SOURCES.get(tender["type"], "CARD"),
        "created_at": tender["created_at"],
        "updated_at": order["updated_at"],
    }


def refund_of(order: Json, refund: Json) -> Json:
    """Return the PaymentRefund that a refund of a return order stands for."""
    return {
        "id": refund["id"],
        "payment_id": refund["tender_id"],
        "order_id": order["id"],
        "location_id": order["location_id"],
        "status": _REFUND_STATES.get(refund["status"], refund["status"]),
        "amount_money": refund["amount_money"],
        "reason": refund["reason"],
        "created_at": refund["created_at"],
        "updated_at": order["updated_at"],
    }


def _derived(merchant: Merchant) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return payments and refunds by id, made from the orders and kept until an order changes."""
    held = _HELD.get(merchant.orders)
    if held is not None and held[0] == merchant.orders.revision:
        return held[1], held[2]
    orders = [stored.decoded() for stored in merchant.orders]
    payments = {t["id"]: payment_of(o, t) for o in orders for t in o.get("tenders", [])}
    refunds = {r["id"]: refund_of(o, r) for o in orders for r in o.get("refunds", [])}
    _HELD[merchant.orders] = (merchant.orders.revision, payments, refunds)
    return payments, refunds


def list_payments(call: Call) -> Reply:
    """GET /v2/payments: without location_id, those of the main location alone."""
    merchant = call.authorize(_SCOPE)
    place = call.query.get("location_id") or merchant.profile.get("main_location_id")
    return _list(call, "payments", [p for p in _derived(merchant)[0].values() if p["location_id"] == place])


def get_payment(call: Call) -> Reply:
    """GET /v2/payments/{id}."""
    payment = _derived(call.authorize(_SCOPE))[0].get(call.path["payment_id"])
    if payment is None:
        raise not_found(f"Payment with id {call.path['payment_id']}", "payment_id")
    return reply({"payment": payment})


def list_refunds(call: Call) -> Reply:
    """GET /v2/refunds: those of all locations unless one is given."""
    merchant, place = call.authorize(_SCOPE), call.query.get("location_id")
    status = call.query.get("status")
    found = [r for r in _derived(merchant)[1].values() if place in (None, r["location_id"])]
    return _list(call, "refunds", [r for r in found if status in (None, r["status"])])


def get_refund(call: Call) -> Reply:
    """GET /v2/refunds/{id}."""
    refund = _derived(call.authorize(_SCOPE))[1].get(call.path["refund_id"])
    if refund is None:
        raise not_found(f"Refund with id {call.path['refund_id']}", "refund_id")
    return reply({"refund": refund})


def _list(call: Call, name: str, found: list[Json]) -> Reply:
    query = call.query
    field = query.get("sort_field", "CREATED_AT")
    if field not in ("CREATED_AT", "UPDATED_AT"):
        raise bad_request("INVALID_ENUM_VALUE", f"`{field}` is no sort field.", "sort_field")
    created = (instant(query, "begin_time", "begin_time"), instant(query, "end_time", "end_time"))
    updated = (
        instant(query, "updated_at_begin_time", "updated_at_begin_time"),
        instant(query, "updated_at_end_time", "updated_at_end_time"),
    )
    if updated == (None, None) and created[0] is None:
        created = (call.now_us - 365 * DAY, created[1])
    kept = [p for p in found if _inside(p["created_at"], created) and _inside(p["updated_at"], updated)]
    key = field.lower()
    kept.sort(
        key=lambda p: (parse_us(p[key]), p["id"]), reverse=query.get("sort_order", "DESC").upper() == "DESC"
    )
    bound = digest({k: v for k, v in query.items() if k not in ("cursor", "limit")})
    cursor = query.get("cursor")
    offset = unseal(cursor, bound, call.now_us).offset if cursor else 0
    size = min(PAGE, int(query["limit"])) if query.get("limit", "").isdigit() else PAGE
    page = kept[offset : offset + size]
    content: Json = {name: page} if page else {}
    if offset + size < len(kept):
        content["cursor"] = seal(Position(bound, call.now_us, 0, None, offset + size))
    return reply(content)


def _inside(text: str, span: tuple[int | None, int | None]) -> bool:
    at = parse_us(text)
    return (span[0] is None or at >= span[0]) and (span[1] is None or at <= span[1])
