"""The control API under /_control/: what a test, the demo or a benchmark orders from the sandbox."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from suppli_sandbox import models
from suppli_sandbox.square import changes, oauth
from suppli_sandbox.square.api import encode_orders
from suppli_sandbox.square.catalog_api import TYPES as CATALOG_TYPES
from suppli_sandbox.square.csv_import import import_sales
from suppli_sandbox.square.csv_rows import CsvError
from suppli_sandbox.square.errors import SquareError
from suppli_sandbox.square.generate import generate
from suppli_sandbox.square.tokens import same_secret
from suppli_sandbox.square.webhooks import deliver
from suppli_sandbox.square.world import ControlError, Merchant, World
from suppli_sandbox.times import SECOND, format_us, parse_us

Json = dict[str, Any]
T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


def answer(content: Any, status: int = 200) -> Response:
    """Return a JSON answer of anything msgspec encodes."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


async def read(request: Request, kind: type[T]) -> T:
    """Read the body as a model. Raises ControlError 422 with the path of what is wrong."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise ControlError(422, str(error)) from error


class _Guard:
    """Lets only loopback callers through, with the control token when one is set; words the errors."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Request(scope))
            await self._app(scope, receive, send)
        except ControlError as error:
            await answer({"detail": error.detail}, error.status)(scope, receive, send)
        except SquareError as error:
            await answer({"detail": str(error)}, 422)(scope, receive, send)

    def _check(self, request: Request) -> None:
        host = request.client.host if request.client else ""
        if not ipaddress.ip_address(host or "0.0.0.0").is_loopback:  # noqa: S104 - stands for "unknown"
            raise ControlError(403, "the control API answers loopback callers only")
        if self._token is None:
            return
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not same_secret(value, self._token):
            raise ControlError(401, "the control API needs `Authorization: Bearer <control token>`")


class _Control:
    """The endpoints, each a translation to one call on the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def merchant(self, request: Request) -> Merchant:
        return self.world.merchant(request.path_params["merchant_id"])

    async def health(self, _: Request) -> Response:
        return answer({"status": "ok", "now": format_us(self.world.clock.now_us())})

    async def reset(self, _: Request) -> Response:
        self.world.reset()
        return answer({})

    async def application(self, request: Request) -> Response:
        self.world.application.update(await read(request, models.ApplicationSpec))
        app = self.world.application
        return answer({"client_id": app.client_id, "redirect_urls": app.redirect_urls})

    async def list_merchants(self, _: Request) -> Response:
        return answer([_described(merchant) for merchant in self.world.merchants.values()])

    async def create_merchant(self, request: Request) -> Response:
        merchant = self.world.create_merchant(await read(request, models.MerchantSpec))
        return answer(_described(merchant), 201)

    async def get_merchant(self, request: Request) -> Response:
        return answer(_described(self.merchant(request)))

    async def configure_merchant(self, request: Request) -> Response:
        merchant = self.merchant(request)
        merchant.configure(await read(request, models.MerchantSettings))
        return answer(_described(merchant))

    async def delete_merchant(self, request: Request) -> Response:
        del self.world.merchants[self.merchant(request).id]
        return answer({})

    async def put_location(self, request: Request) -> Response:
        return answer(
            self.world.put_location(self.merchant(request), await read(request, models.LocationSpec))
        )

    async def orders(self, request: Request) -> Response:
        book = sorted(self.merchant(request).orders, key=lambda order: (order.updated_us, order.id))
        return Response(encode_orders([order.encoded() for order in book]), media_type="application/json")

    async def get_order(self, request: Request) -> Response:
        order = self.merchant(request).order(request.path_params["order_id"])
        return Response(order.encoded(), media_type="application/json")

    async def put_order(self, request: Request) -> Response:
        order = await read(request, dict[str, Any])
        order["id"] = request.path_params["order_id"]
        return answer(self.world.put_order(self.merchant(request), order))

    async def put_orders(self, request: Request) -> Response:
        merchant, orders = self.merchant(request), await read(request, list[dict[str, Any]])
        return answer([self.world.put_order(merchant, order)["id"] for order in orders])

    async def patch_order(self, request: Request) -> Response:
        change = await read(request, dict[str, Any])
        return answer(changes.patch(self.world, *self._order_of(request), change))

    async def refund_order(self, request: Request) -> Response:
        spec = await read(request, models.RefundSpec)
        return answer(changes.refund(self.world, *self._order_of(request), spec), 201)

    async def void_order(self, request: Request) -> Response:
        return answer(changes.void(self.world, *self._order_of(request)))

    async def close_order(self, request: Request) -> Response:
        return answer(changes.close(self.world, *self._order_of(request)))

    async def remove_line(self, request: Request) -> Response:
        uid = request.path_params["uid"]
        return answer(changes.remove_line(self.world, *self._order_of(request), uid))

    def _order_of(self, request: Request) -> tuple[Merchant, str]:
        return self.merchant(request), request.path_params["order_id"]

    async def generate(self, request: Request) -> Response:
        merchant, spec = self.merchant(request), await read(request, models.GenerateSpec)
        started = time.perf_counter()
        count = generate(self.world, merchant, spec)
        return answer({"count": count, "seconds": round(time.perf_counter() - started, 3)}, 201)

    async def delete_order(self, request: Request) -> Response:
        merchant = self.merchant(request)
        merchant.orders.remove(merchant.order(request.path_params["order_id"]).id)
        return answer({})

    async def put_catalog(self, request: Request) -> Response:
        merchant, now = self.merchant(request), self.world.clock.now_us()
        objects = await read(request, list[dict[str, Any]])
        for index, obj in enumerate(objects):
            if not obj.get("id") or obj.get("type") not in CATALOG_TYPES:
                raise ControlError(422, f"object {index} needs an id and a catalog type")
        return answer([merchant.catalog.put(obj, now) for obj in objects])

    async def get_catalog(self, request: Request) -> Response:
        return answer(list(self.merchant(request).catalog))

    async def delete_catalog_object(self, request: Request) -> Response:
        object_id = request.path_params["object_id"]
        if not self.merchant(request).catalog.delete(object_id, self.world.clock.now_us()):
            raise ControlError(404, f"there is no catalog object {object_id}")
        return answer({})

    async def load_csv(self, request: Request) -> Response:
        merchant = self.merchant(request)
        content, currency = await _csv_of(request)
        try:
            return answer(import_sales(self.world, merchant, content, currency))
        except CsvError as error:
            raise ControlError(422, str(error)) from error

    async def issue_tokens(self, request: Request) -> Response:
        merchant, spec = self.merchant(request), await read(request, models.TokenSpec)
        now, tokens = self.world.clock.now_us(), self.world.tokens
        seconds = spec.access_token_seconds or merchant.access_token_seconds
        access = tokens.issue_access(merchant.id, spec.scopes, now + seconds * SECOND)
        refresh = tokens.issue_refresh(
            merchant.id, spec.scopes, single_use=spec.single_use, pkce=False, now_us=now
        )
        return answer(oauth.token_answer(access, refresh), 201)

    async def revoke_tokens(self, request: Request) -> Response:
        self.world.revoke(self.merchant(request).id)
        return answer({})

    async def set_faults(self, request: Request) -> Response:
        self.world.faults.set(_fault_key(request), await read(request, tuple[models.FaultSpec, ...]))
        return await self.list_faults(request)

    async def add_faults(self, request: Request) -> Response:
        self.world.faults.add(_fault_key(request), await read(request, tuple[models.FaultSpec, ...]))
        return await self.list_faults(request)

    async def list_faults(self, request: Request) -> Response:
        return answer(self.world.faults.list(_fault_key(request)))

    async def clear_faults(self, request: Request) -> Response:
        self.world.faults.clear(_fault_key(request))
        return answer([])

    async def clock(self, _: Request) -> Response:
        clock = self.world.clock
        return answer(models.ClockState(now=format_us(clock.now_us()), frozen=clock.frozen))

    async def set_clock(self, request: Request) -> Response:
        state = await read(request, models.ClockState)
        try:
            self.world.clock.set(parse_us(state.now), frozen=state.frozen)
        except ValueError as error:
            raise ControlError(422, f"now: {error}") from error
        return await self.clock(request)

    async def advance_clock(self, request: Request) -> Response:
        seconds = (await read(request, dict[str, float])).get("seconds", 0.0)
        self.world.clock.advance(round(seconds * SECOND))
        return await self.clock(request)

    async def webhooks(self, request: Request) -> Response:
        spec = await read(request, models.WebhookSpec)
        return answer(await deliver(spec, self.world.clock.now_us()))

    async def calls(self, request: Request) -> Response:
        wanted = request.query_params.get("merchant")
        return answer(
            [
                {"merchant_id": merchant, "operation": operation, "status": status, "count": count}
                for (merchant, operation, status), count in sorted(self.world.calls.items())
                if wanted in (None, merchant)
            ]
        )

    async def clear_calls(self, _: Request) -> Response:
        self.world.calls.clear()
        return answer([])


async def _csv_of(request: Request) -> tuple[bytes, str | None]:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form()
        file, currency = form.get("file"), form.get("currency")
        if not isinstance(file, UploadFile):
            raise ControlError(422, "the form needs a part `file` with the export")
        return await file.read(), currency if isinstance(currency, str) else None
    spec = await read(request, models.CsvSpec)
    try:
        return await asyncio.to_thread(Path(spec.path).read_bytes), spec.currency
    except OSError as error:
        raise ControlError(
            422, f"{spec.path}: {error.strerror}; give a path this process can read"
        ) from error


def _fault_key(request: Request) -> str:
    return str(request.path_params["merchant_id"])


def _described(merchant: Merchant) -> Json:
    return {
        **merchant.profile,
        "locations": list(merchant.locations.values()),
        "orders": len(merchant.orders),
        "refresh_kind": merchant.refresh_kind,
        "access_token_seconds": merchant.access_token_seconds,
        "cursor_mode": merchant.cursor_mode,
        "legacy_oauth_errors": merchant.legacy_oauth_errors,
    }


def control_api(world: World, token: str | None) -> ASGIApp:
    """Return the control API, guarded."""
    api = _Control(world)
    one = "/merchants/{merchant_id}"
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "/health", api.health),
        ("POST", "/reset", api.reset),
        ("PATCH", "/application", api.application),
        ("GET", "/merchants", api.list_merchants),
        ("POST", "/merchants", api.create_merchant),
        ("GET", one, api.get_merchant),
        ("PATCH", one, api.configure_merchant),
        ("DELETE", one, api.delete_merchant),
        ("PUT", one + "/locations", api.put_location),
        ("GET", one + "/orders", api.orders),
        ("POST", one + "/orders", api.put_orders),
        ("POST", one + "/orders/generate", api.generate),
        ("GET", one + "/orders/{order_id}", api.get_order),
        ("PUT", one + "/orders/{order_id}", api.put_order),
        ("PATCH", one + "/orders/{order_id}", api.patch_order),
        ("POST", one + "/orders/{order_id}/refund", api.refund_order),
        ("POST", one + "/orders/{order_id}/void", api.void_order),
        ("POST", one + "/orders/{order_id}/close", api.close_order),
        ("DELETE", one + "/orders/{order_id}/lines/{uid}", api.remove_line),
        ("DELETE", one + "/orders/{order_id}", api.delete_order),
        ("GET", one + "/catalog", api.get_catalog),
        ("PUT", one + "/catalog", api.put_catalog),
        ("DELETE", one + "/catalog/{object_id}", api.delete_catalog_object),
        ("POST", one + "/sales-csv", api.load_csv),
        ("POST", one + "/tokens", api.issue_tokens),
        ("DELETE", one + "/tokens", api.revoke_tokens),
        ("PUT", one + "/faults", api.set_faults),
        ("POST", one + "/faults", api.add_faults),
        ("GET", one + "/faults", api.list_faults),
        ("DELETE", one + "/faults", api.clear_faults),
        ("GET", "/clock", api.clock),
        ("PUT", "/clock", api.set_clock),
        ("POST", "/clock/advance", api.advance_clock),
        ("POST", "/webhooks", api.webhooks),
        ("GET", "/calls", api.calls),
        ("DELETE", "/calls", api.clear_calls),
    )
    routes = [Route("/_control" + path, endpoint, methods=[method]) for method, path, endpoint in table]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, token=token)])
