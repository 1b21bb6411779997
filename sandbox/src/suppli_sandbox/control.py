"""What the control API under /_control/ has for every provider: clock, faults, counters."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from suppli_sandbox import models
from suppli_sandbox.oauth_rules import same_secret
from suppli_sandbox.serving import ControlError, Observed, Refused
from suppli_sandbox.times import SECOND, format_us, parse_us

Json = dict[str, Any]
T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]
Table = tuple[tuple[str, str, Endpoint], ...]

ONE = "/merchants/{merchant_id}"


class Controlled(Observed, Protocol):
    """What the control API needs of a provider's world."""

    def reset(self) -> None:
        """Forget everything but the application."""
        ...


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
        except Refused as error:
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


class Control:
    """The endpoints that every provider has, each a translation to one call on the world."""

    def __init__(self, world: Controlled) -> None:
        self._world = world

    async def health(self, _: Request) -> Response:
        """Say that the sandbox is there, and its present instant."""
        return answer({"status": "ok", "now": format_us(self._world.clock.now_us())})

    async def reset(self, _: Request) -> Response:
        """Forget everything but the application."""
        self._world.reset()
        return answer({})

    async def set_faults(self, request: Request) -> Response:
        """Replace a merchant's faults."""
        self._world.faults.set(_fault_key(request), await read(request, tuple[models.FaultSpec, ...]))
        return await self.list_faults(request)

    async def add_faults(self, request: Request) -> Response:
        """Append to a merchant's faults."""
        self._world.faults.add(_fault_key(request), await read(request, tuple[models.FaultSpec, ...]))
        return await self.list_faults(request)

    async def list_faults(self, request: Request) -> Response:
        """Return a merchant's faults with their counters."""
        return answer(self._world.faults.list(_fault_key(request)))

    async def clear_faults(self, request: Request) -> Response:
        """Drop a merchant's faults."""
        self._world.faults.clear(_fault_key(request))
        return answer([])

    async def clock(self, _: Request) -> Response:
        """Return the clock."""
        clock = self._world.clock
        return answer(models.ClockState(now=format_us(clock.now_us()), frozen=clock.frozen))

    async def set_clock(self, request: Request) -> Response:
        """Set the clock."""
        state = await read(request, models.ClockState)
        try:
            self._world.clock.set(parse_us(state.now), frozen=state.frozen)
        except ValueError as error:
            raise ControlError(422, f"now: {error}") from error
        return await self.clock(request)

    async def advance_clock(self, request: Request) -> Response:
        """Move the clock."""
        seconds = (await read(request, dict[str, float])).get("seconds", 0.0)
        self._world.clock.advance(round(seconds * SECOND))
        return await self.clock(request)

    async def calls(self, request: Request) -> Response:
        """Return counted calls."""
        wanted = request.query_params.get("merchant")
        return answer(
            [
                {"merchant_id": merchant, "operation": operation, "status": status, "count": count}
                for (merchant, operation, status), count in sorted(self._world.calls.items())
                if wanted in (None, merchant)
            ]
        )

    async def clear_calls(self, _: Request) -> Response:
        """Set all counters to nothing."""
        self._world.calls.clear()
        self._world.meter.clear()
        return answer([])

    async def speed(self, request: Request) -> Response:
        """Return how fast a merchant's data was asked for."""
        return answer(self._world.meter.seen(request.path_params["merchant_id"]))

    def table(self) -> Table:
        """Return method, path and endpoint of every call; a provider adds its own."""
        faults = f"{ONE}/faults"
        return (
            ("GET", "/health", self.health),
            ("POST", "/reset", self.reset),
            ("PUT", faults, self.set_faults),
            ("POST", faults, self.add_faults),
            ("GET", faults, self.list_faults),
            ("DELETE", faults, self.clear_faults),
            ("GET", "/clock", self.clock),
            ("PUT", "/clock", self.set_clock),
            ("POST", "/clock/advance", self.advance_clock),
            ("GET", "/calls", self.calls),
            ("DELETE", "/calls", self.clear_calls),
            ("GET", f"{ONE}/speed", self.speed),
        )


async def csv_of(request: Request) -> tuple[bytes, str | None]:
    """Return the export that a call brings, as a path or as a form's file, and its currency."""
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


def control_api(control: Control, token: str | None) -> ASGIApp:
    """Return the control API, guarded."""
    routes = [
        Route("/_control" + path, endpoint, methods=[method]) for method, path, endpoint in control.table()
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, token=token)])
