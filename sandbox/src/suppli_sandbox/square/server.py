"""The Square API as an ASGI application."""

import contextlib
from datetime import date

import msgspec
from starlette.requests import Request

from suppli_sandbox.serving import Asked, Cut, Faults, ProviderServer, Reply
from suppli_sandbox.square.calls import Call, Json
from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.square.mischief import before_call, spoil
from suppli_sandbox.square.oauth import merchant_of_token_call
from suppli_sandbox.square.routes import Route, find_route
from suppli_sandbox.square.world import World


class SquareServer(ProviderServer):
    """Serves /v2 and /oauth2."""

    def __init__(self, world: World, cut: Cut) -> None:
        super().__init__(world, cut)
        self.world = world

    def ask(self, request: Request, raw: bytes) -> Asked | Reply:
        """Return the operation that a request names."""
        route, path, exists = find_route(request.method, request.url.path)
        if route is None:
            return self._refuse(_no_route(request, exists=exists), None)
        found = route
        call = Call(self.world, self.world.clock.now_us(), path, request.query_params, request.headers, raw)
        merchant_id = self._merchant_of(call, found)
        return Asked(
            merchant_id, found.operation, lambda faults: self._answer(call, found, faults, merchant_id)
        )

    def _answer(self, call: Call, route: Route, faults: Faults, merchant_id: str | None) -> Reply:
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
