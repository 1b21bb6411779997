"""The Square API as an ASGI application: request in, faults, handler, faults, answer out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from suppli_sandbox.models import FaultSpec
from suppli_sandbox.square.calls import Call, Json, Reply
from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.square.mischief import before_call, spoil
from suppli_sandbox.square.oauth import merchant_of_token_call
from suppli_sandbox.square.routes import Route, find_route
from suppli_sandbox.square.world import World

Cut = Callable[[Scope], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SquareServer:
    """Serves /v2 and /oauth2. `cut` resets the connection that a request came by."""

    world: World
    cut: Cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        raw = await request.body()
        route, path, exists = find_route(request.method, request.url.path)
        call = Call(self.world, self.world.clock.now_us(), path, request.query_params, request.headers, raw)
        if route is None:
            await self._send(send, self._refuse(_no_route(request, exists=exists), None), head=request)
            return
        merchant_id = self._merchant_of(call, route)
        faults = self.world.faults.strike(merchant_id, route.operation)
        if any(fault.kind == "reset" for fault in faults):
            self._count(merchant_id, route.operation, 0)
            await self.cut(scope)
            return
        for fault in faults:
            if fault.kind == "slow":
                await asyncio.sleep(fault.delay_seconds)
        answer = self._answer(call, route, faults, merchant_id)
        self._count(merchant_id, route.operation, answer.status)
        if any(fault.kind == "lost_reply" for fault in faults):
            await self.cut(scope)
            return
        await self._send(send, answer, head=request)

    def _answer(
        self, call: Call, route: Route, faults: tuple[FaultSpec, ...], merchant_id: str | None
    ) -> Reply:
        try:
            version = _version(call, self.world.application.square_version)
            before_call(call, faults, merchant_id)
            answer = route.handler(call)
        except SquareError as error:
            answer = self._refuse(error, merchant_id, oauth=route.pattern.pattern.startswith("/oauth2"))
            version = self.world.application.square_version
        answer.headers.setdefault("square-version", version)
        return spoil(answer, faults)

    def _refuse(self, error: SquareError, merchant_id: str | None, *, oauth: bool = False) -> Reply:
        merchant = self.world.merchants.get(merchant_id or "")
        legacy = oauth and merchant is not None and merchant.legacy_oauth_errors
        body = error.legacy_body() if legacy else error.body()
        return Reply(msgspec.json.encode(body), error.status, headers=dict(error.headers))

    def _merchant_of(self, call: Call, route: Route) -> str | None:
        holder = self.world.tokens.access.get(call.bearer or "")
        if holder is not None:
            return holder.merchant_id
        if route.operation in ("ObtainToken", "RevokeToken"):
            with contextlib.suppress(SquareError):  # a bad body is the handler's to refuse
                body: Json = call.body()
                return merchant_of_token_call(call, body)
        return None

    def _count(self, merchant_id: str | None, operation: str, status: int) -> None:
        self.world.calls[merchant_id or "", operation, status] += 1

    async def _send(self, send: Send, answer: Reply, *, head: Request) -> None:
        headers = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        body = b"" if head.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


def _no_route(request: Request, *, exists: bool) -> SquareError:
    if exists:
        return SquareError(405, "METHOD_NOT_ALLOWED", f"{request.method} is not allowed here.")
    return SquareError(404, "NOT_FOUND", f"Resource not found: {request.url.path}")


def _version(call: Call, default: str) -> str:
    version = call.headers.get("square-version")
    if version is None:
        return default
    try:
        parsed = date.fromisoformat(version).isoformat()
    except ValueError:
        parsed = ""
    if parsed != version:
        detail = f"`{version}` is not a Square version: use YYYY-MM-DD."
        raise bad_request("INVALID_SQUARE_VERSION_FORMAT", detail)
    return version
