"""The Clover API as an ASGI application: routes, limits, and what each kind of fault does to a call."""

import contextlib
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from suppli_sandbox.clover import api, oauth
from suppli_sandbox.clover.calls import Call, Handler
from suppli_sandbox.clover.changes import delete
from suppli_sandbox.clover.errors import CloverError, unauthorized
from suppli_sandbox.clover.world import Merchant, World
from suppli_sandbox.models import FaultSpec
from suppli_sandbox.serving import Asked, Cut, Faults, ProviderServer, Reply, spoil

_MERCHANT = "/v3/merchants/{merchant_id}"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API, by the name that faults and counters use."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _route(operation: str, method: str, path: str, handler: Handler) -> Route:
    return Route(operation, method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), handler)


ROUTES = (
    _route("Authorize", "GET", "/oauth/v2/authorize", oauth.authorize),
    _route("Authorize", "POST", "/oauth/v2/authorize", oauth.decide),
    _route("ObtainToken", "POST", "/oauth/v2/token", oauth.obtain_token),
    _route("RefreshToken", "POST", "/oauth/v2/refresh", oauth.refresh),
    _route("GetMerchant", "GET", _MERCHANT, api.get_merchant),
    _route("GetProperties", "GET", _MERCHANT + "/properties", api.get_properties),
    _route("ListOrders", "GET", _MERCHANT + "/orders", api.list_orders),
    _route("GetOrder", "GET", _MERCHANT + "/orders/{order_id}", api.get_order),
    _route("ListLineItems", "GET", _MERCHANT + "/orders/{order_id}/line_items", api.list_line_items),
    _route("ListPayments", "GET", _MERCHANT + "/payments", api.list_payments),
    _route("ListRefunds", "GET", _MERCHANT + "/refunds", api.list_refunds),
    _route("ListCredits", "GET", _MERCHANT + "/credits", api.list_credits),
    _route("ListVoidedLines", "GET", _MERCHANT + "/voided_orders", api.list_voided_lines),
    _route("ListItems", "GET", _MERCHANT + "/items", api.inventory("items")),
    _route("GetItem", "GET", _MERCHANT + "/items/{item_id}", api.get_item),
    _route("ListCategories", "GET", _MERCHANT + "/categories", api.inventory("categories")),
    _route("ListModifierGroups", "GET", _MERCHANT + "/modifier_groups", api.inventory("modifier_groups")),
    _route("ListTaxRates", "GET", _MERCHANT + "/tax_rates", api.inventory("tax_rates")),
)


class CloverServer(ProviderServer):
    """Serves /v3 and /oauth/v2, within Clover's limits."""

    def __init__(self, world: World, cut: Cut) -> None:
        super().__init__(world, cut)
        self.world = world

    def ask(self, request: Request, raw: bytes) -> Asked | Reply:
        """Return the operation that a request names."""
        url = request.url
        found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(url.path))]
        chosen = next((each for each in found if each[0].method == request.method), None)
        if chosen is None:
            return (
                CloverError(405, "Method Not Allowed").reply()
                if found
                else CloverError(404, "Not Found").reply()
            )
        route, match = chosen
        base = f"{url.scheme}://{url.netloc}"
        call = Call(
            self.world,
            self.world.clock.now_us(),
            match.groupdict(),
            parse_qsl(url.query, keep_blank_values=True),
            request.headers,
            raw,
            base,
            f"{base}{url.path}",
        )
        merchant_id = self._merchant_of(call, route)
        return Asked(
            merchant_id,
            route.operation,
            lambda faults: self._answer(call, route, faults, merchant_id),
            token=call.bearer,
        )

    def enter(self, asked: Asked) -> Reply | None:
        """Admit a call of a token within the four limits."""
        if asked.token is None:
            return None
        try:
            self.world.limits.enter(asked.token, time.monotonic())
        except CloverError as error:
            return error.reply()
        return None

    def leave(self, asked: Asked) -> None:
        """Count an admitted call out."""
        if asked.token is not None:
            self.world.limits.leave(asked.token)

    def _answer(self, call: Call, route: Route, faults: Faults, merchant_id: str | None) -> Reply:
        merchant = self.world.merchants.get(merchant_id or "")
        try:
            for fault in faults:
                if merchant is not None:
                    _change_world(call, fault, merchant)
            for fault in faults:
                _refuse(fault)
            answer = route.handler(call)
        except CloverError as error:
            answer = error.reply()
        return spoil(answer, faults)

    def _merchant_of(self, call: Call, route: Route) -> str | None:
        holder = self.world.tokens.access.get(call.bearer or "")
        if holder is not None:
            return holder.merchant_id
        if route.operation in ("ObtainToken", "RefreshToken"):
            with contextlib.suppress(CloverError):  # a bad body is the handler's to refuse
                return oauth.merchant_of_token_call(call, call.body())
        return None


def _change_world(call: Call, fault: FaultSpec, merchant: Merchant) -> None:
    world = call.world
    if fault.kind == "token_expired":
        held = world.tokens.access.get(call.bearer or "")
        if held is not None:
            held.expires_us = call.now_us
    elif fault.kind == "token_revoked":
        world.tokens.revoke_merchant(merchant.id)
    elif fault.kind == "scope_removed":
        merchant.permissions = tuple(each for each in merchant.permissions if each not in fault.scopes)
    elif fault.kind == "touch_orders":
        for order_id in _chosen(merchant, fault):
            order = merchant.order(order_id)
            world.put_order(merchant, {**order.data, "modifiedTime": world.now_ms()})
    elif fault.kind == "late_orders":
        for data in fault.orders:
            world.put_order(merchant, {**data, "modifiedTime": world.now_ms()})
    elif fault.kind == "delete_orders":
        for order_id in _chosen(merchant, fault):
            delete(world, merchant, order_id)


def _chosen(merchant: Merchant, fault: FaultSpec) -> Sequence[str]:
    if fault.order_ids:
        return fault.order_ids
    everything = sorted(order.id for order in merchant.orders if not order.deleted)
    draw = random.Random(fault.seed)  # noqa: S311 - repeatable, not secret
    return draw.sample(everything, min(fault.count, len(everything)))


def _refuse(fault: FaultSpec) -> None:
    headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
    if fault.kind == "rate_limit":
        raise CloverError(429, "Too Many Requests", {"X-RateLimit-tokenLimit": "16", **headers})
    if fault.kind == "server_error":
        raise CloverError(fault.status, "Internal Server Error", headers)
    if fault.kind == "legacy_error":
        raise unauthorized()
