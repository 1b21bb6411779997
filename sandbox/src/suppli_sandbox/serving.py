"""What every local provider shares: answers, faults around a handler, and the counting of calls."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from suppli_sandbox.faults import FaultBook
from suppli_sandbox.meter import Meter
from suppli_sandbox.models import FaultSpec
from suppli_sandbox.times import MovableClock, from_us

Json = dict[str, Any]
Faults = tuple[FaultSpec, ...]
Cut = Callable[[Scope], Awaitable[None]]

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class Reply:
    """An answer: status, bytes, content type, further headers."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a JSON answer."""
    return Reply(msgspec.json.encode(content), status, headers=headers or {})


class Refused(Exception):
    """An answer of a provider that is an error; its own exceptions derive from this."""


class ControlError(Exception):
    """A control call that cannot be done: HTTP status and a sentence with what to do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Observed(Protocol):
    """What a world keeps of the calls made to it."""

    faults: FaultBook
    meter: Meter
    clock: MovableClock
    calls: Counter[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was recognised: whose it is, which operation, what answers it, and by which token."""

    merchant_id: str | None
    operation: str
    handle: Callable[[Faults], Reply]
    token: str | None = None


class ProviderServer:
    """A provider's API as an ASGI application: request in, faults, handler, faults, answer out."""

    def __init__(self, observed: Observed, cut: Cut) -> None:
        """`cut` resets the connection that a request came by."""
        self._observed, self._cut = observed, cut

    def ask(self, request: Request, raw: bytes) -> Asked | Reply:
        """Return what answers a request, or at once the answer to one that no operation takes."""
        raise TypeError("a provider says what answers a request")

    def enter(self, asked: Asked) -> Reply | None:
        """Admit a call, or return the answer that turns it away."""

    def leave(self, asked: Asked) -> None:
        """Called once an admitted call is over."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        asked = self.ask(request, await request.body())
        if isinstance(asked, Reply):
            await self._send(send, asked, request)
            return
        self._observed.meter.enter(asked.merchant_id or "")
        try:
            await self._serve(asked, scope, send, request)
        finally:
            self._observed.meter.leave(asked.merchant_id or "")

    async def _serve(self, asked: Asked, scope: Scope, send: Send, request: Request) -> None:
        faults = self._observed.faults.strike(asked.merchant_id, asked.operation)
        if _strikes(faults, "reset"):
            self._count(asked, 0)
            await self._cut(scope)
            return
        refused = self.enter(asked)
        if refused is not None:
            self._count(asked, refused.status)
            await self._send(send, refused, request)
            return
        try:
            for fault in faults:
                if fault.kind == "slow":
                    await asyncio.sleep(fault.delay_seconds)
            answer = asked.handle(faults)
        finally:
            self.leave(asked)
        self._count(asked, answer.status)
        if _strikes(faults, "lost_reply"):
            await self._cut(scope)
            return
        await self._send(send, answer, request)

    def _count(self, asked: Asked, status: int) -> None:
        self._observed.calls[asked.merchant_id or "", asked.operation, status] += 1

    async def _send(self, send: Send, answer: Reply, request: Request) -> None:
        headers = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            "date": format_datetime(from_us(self._observed.clock.now_us()), usegmt=True),
            **answer.headers,
        }
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        body = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


def spoil(answer: Reply, faults: Faults) -> Reply:
    """Return the answer as it leaves: cut short, or replaced by a page of HTML."""
    for fault in faults:
        if fault.kind == "truncated_json":
            answer = Reply(answer.body[: len(answer.body) // 2], answer.status, headers=answer.headers)
        elif fault.kind == "html":
            answer = Reply(_HTML, fault.status, "text/html", answer.headers)
    return answer


def _strikes(faults: Faults, kind: str) -> bool:
    return any(fault.kind == kind for fault in faults)
