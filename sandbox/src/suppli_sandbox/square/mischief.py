"""What each kind of fault does to a Square call, before and after its handler."""

import random

from suppli_sandbox import serving
from suppli_sandbox.models import FaultSpec
from suppli_sandbox.serving import Faults, Reply
from suppli_sandbox.square.calls import Call
from suppli_sandbox.square.cursors import invalid_cursor
from suppli_sandbox.square.errors import SquareError
from suppli_sandbox.square.orders import StoredOrder
from suppli_sandbox.square.world import Merchant

_SERVER_CODES = {
    500: "INTERNAL_SERVER_ERROR",
    501: "NOT_IMPLEMENTED",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}


def before_call(call: Call, faults: Faults, merchant_id: str | None) -> None:
    """Do what strikes before the handler. Raises the error that a fault answers with."""
    merchant = call.world.merchants.get(merchant_id or "")
    for fault in faults:
        if merchant is not None:
            _change_world(call, fault, merchant)
    for fault in faults:
        error = _error_of(call, fault)
        if error is not None:
            raise error


def spoil(answer: Reply, faults: Faults) -> Reply:
    """Return the answer as it leaves: spoilt as any provider's, or replaced by Square's flat body."""
    answer = serving.spoil(answer, faults)
    if any(fault.kind == "legacy_error" for fault in faults):
        body = b'{"message":"Not Authorized","type":"service.not_authorized"}'
        answer = Reply(body, 401, headers=answer.headers)
    return answer


def _change_world(call: Call, fault: FaultSpec, merchant: Merchant) -> None:
    tokens = call.world.tokens
    if fault.kind == "token_expired":
        held = tokens.access.get(call.bearer or "")
        if held is not None:
            held.expires_us = min(held.expires_us, call.now_us)
    elif fault.kind == "token_revoked":
        call.world.revoke(merchant.id)
    elif fault.kind == "scope_removed":
        tokens.remove_scopes(merchant.id, fault.scopes)
    elif fault.kind == "touch_orders":
        for order in _chosen(merchant, fault):
            merchant.orders.touch(order, call.now_us)
    elif fault.kind == "late_orders":
        for data in fault.orders:
            merchant.orders.put(StoredOrder.of(call.world.completed(merchant, data, call.now_us)))


def _chosen(merchant: Merchant, fault: FaultSpec) -> list[StoredOrder]:
    if fault.order_ids:
        return [merchant.order(order_id) for order_id in fault.order_ids]
    everything = sorted(merchant.orders, key=lambda order: order.id)
    draw = random.Random(fault.seed)  # noqa: S311 - repeatable, not secret
    return draw.sample(everything, min(fault.count, len(everything)))


def _error_of(call: Call, fault: FaultSpec) -> SquareError | None:
    headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
    if fault.kind == "rate_limit":
        return SquareError(429, "RATE_LIMITED", "Too many requests.", headers=headers)
    if fault.kind == "server_error":
        code = _SERVER_CODES.get(fault.status, "INTERNAL_SERVER_ERROR")
        return SquareError(fault.status, code, "An internal error has occurred.", headers=headers)
    has_cursor = b'"cursor"' in call.raw or "cursor" in call.query
    if fault.kind == "cursor_expired" and has_cursor:
        return invalid_cursor("The cursor has expired.")
    return None
