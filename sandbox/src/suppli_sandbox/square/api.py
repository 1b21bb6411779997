"""Merchants, locations and single orders of the Square API."""

import msgspec

from suppli_sandbox.serving import Reply, reply
from suppli_sandbox.square import calls
from suppli_sandbox.square.calls import Call
from suppli_sandbox.square.errors import SquareError, bad_request, not_found

MAX_BATCH = 100


def list_locations(call: Call) -> Reply:
    """GET /v2/locations: sorted by name, inactive ones included."""
    merchant = call.authorize("MERCHANT_PROFILE_READ")
    places = sorted(merchant.locations.values(), key=lambda place: (place["name"], place["id"]))
    return reply({"locations": places} if places else {})


def retrieve_location(call: Call) -> Reply:
    """GET /v2/locations/{id|main}."""
    merchant = call.authorize("MERCHANT_PROFILE_READ")
    wanted = call.path["location_id"]
    place = merchant.locations.get(
        merchant.profile.get("main_location_id", "") if wanted == "main" else wanted
    )
    if place is None:
        raise not_found(f"Location with id {wanted}", "location_id")
    return reply({"location": place})


def list_merchants(call: Call) -> Reply:
    """GET /v2/merchants: the one merchant of the token."""
    return reply({"merchant": [call.authorize("MERCHANT_PROFILE_READ").profile]})


def retrieve_merchant(call: Call) -> Reply:
    """GET /v2/merchants/{id|me}."""
    merchant = call.authorize("MERCHANT_PROFILE_READ")
    wanted = call.path["merchant_id"]
    if wanted not in ("me", merchant.id):
        raise SquareError(403, "FORBIDDEN", "The token does not belong to this merchant.", "merchant_id")
    return reply({"merchant": merchant.profile})


def retrieve_order(call: Call) -> Reply:
    """GET /v2/orders/{order_id}."""
    merchant = call.authorize("ORDERS_READ")
    order = merchant.orders.get(call.path["order_id"])
    if order is None:
        raise not_found(f"Order with id {call.path['order_id']}", "order_id")
    return Reply(b'{"order":' + order.encoded() + b"}")


def batch_retrieve_orders(call: Call) -> Reply:
    """POST /v2/orders/batch-retrieve: up to 100 ids, unknown ones left out."""
    merchant = call.authorize("ORDERS_READ")
    body = call.body()
    calls.only_known(body, frozenset({"location_id", "order_ids"}))
    ids = calls.texts(body, "order_ids", "order_ids", limit=MAX_BATCH)
    if not ids:
        raise bad_request("MISSING_REQUIRED_PARAMETER", "Must provide at least 1 order id.", "order_ids")
    place = calls.text(body, "location_id")
    found = [order for wanted in ids if (order := merchant.orders.get(wanted)) is not None]
    kept = [order for order in found if place is None or order.location_id == place]
    if not kept:
        return reply({})
    return Reply(b'{"orders":[' + b",".join(order.encoded() for order in kept) + b"]}")


def encode_orders(orders: list[bytes]) -> bytes:
    """Return `{"orders": [...]}` of encoded orders."""
    return msgspec.json.encode({"orders": [msgspec.Raw(order) for order in orders]})
