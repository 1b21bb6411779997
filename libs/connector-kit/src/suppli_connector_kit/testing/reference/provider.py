"""The provider's side: orders, tokens and faults behind an `httpx.MockTransport`."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import msgspec

from suppli_connector_kit.domain.instants import from_us, instant, to_us
from suppli_connector_kit.testing.conformance.harness import (
    Fault,
    Odd,
    Rates,
    ShopOrder,
    Stream,
    Strike,
)

Json = dict[str, Any]
CLIENT_ID, CLIENT_SECRET = "suppli", "s3cret"
DEFAULT_CAP, MOST = 25, 100
SCOPES = frozenset({Stream.ORDERS, Stream.CATALOG})


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers


@dataclass(slots=True)
class Struck:
    """A fault with the calls that it saw, and struck."""

    fault: Fault
    seen: int = 0
    struck: int = 0


@dataclass(slots=True)
class _Access:
    ends: datetime
    scopes: frozenset[Stream] = SCOPES


@dataclass(slots=True)
class ReferenceProvider:
    """Everything that the provider knows; `single_use`: a refresh token is spent by its use."""

    now: datetime
    places: tuple[str, ...]
    single_use: bool = False
    orders: dict[str, ShopOrder] = field(default_factory=dict)
    odd: dict[str, Odd] = field(default_factory=dict)
    access: dict[str, _Access] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    faults: list[Struck] = field(default_factory=list)
    calls: Counter[Stream] = field(default_factory=Counter)
    recent: deque[float] = field(default_factory=deque)
    in_flight: int = 0
    most_in_flight: int = 0
    most_in_a_second: int = 0
    issued: int = 0

    def issue(self) -> Json:
        """Return a new pair, as the token endpoint answers."""
        self.issued += 1
        ends = self.now + timedelta(hours=1)
        pair = {
            "access_token": f"access-{self.issued}",
            "refresh_token": f"refresh-{self.issued}",
            "expires_at": ends.isoformat(),
        }
        self.access[pair["access_token"]] = _Access(ends)
        self.refresh.add(pair["refresh_token"])
        return pair

    def rates(self) -> Rates:
        """Return what was seen."""
        return Rates(self.most_in_a_second, self.most_in_flight)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a call."""
        stream, answer = self._route(request)
        self.calls[stream] += 1
        struck = self._strike(stream)
        kinds = {fault.strike for fault in struck}
        if Strike.RESET in kinds:
            raise httpx.ReadError("reset", request=request)
        self._enter()
        try:
            for fault in struck:
                if fault.strike is Strike.SLOW:
                    await asyncio.sleep(fault.delay)
            response = self._answer(request, stream, struck, answer)
        finally:
            self.in_flight -= 1
        if Strike.LOST_REPLY in kinds:
            raise httpx.ReadError("the reply got lost", request=request)
        return response

    def _enter(self) -> None:
        at = time.monotonic()
        self.recent.append(at)
        while self.recent[0] <= at - 1:
            self.recent.popleft()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.most_in_a_second = max(self.most_in_a_second, len(self.recent))

    def _answer(
        self, request: httpx.Request, stream: Stream, struck: list[Fault], answer: Callable[[Json], Json]
    ) -> httpx.Response:
        headers = {"date": format_datetime(self.now, usegmt=True)}
        try:
            for fault in struck:
                self._apply(fault, stream, request)
            if stream is not Stream.TOKENS:
                self._authorize(request, stream)
            body = msgspec.json.encode(answer(msgspec.json.decode(request.content or b"{}")))
        except Refusal as refusal:
            said = {"code": refusal.code}
            return httpx.Response(refusal.status, json=said, headers={**headers, **(refusal.headers or {})})
        for fault in struck:
            if fault.strike is Strike.TRUNCATED:
                body = body[: len(body) // 2]
            if fault.strike is Strike.HTML:
                body = b"<html><body>Bad Gateway</body></html>"
        return httpx.Response(200, content=body, headers=headers)

    def _strike(self, stream: Stream) -> list[Fault]:
        found = []
        for each in self.faults:
            if each.fault.stream not in (stream, Stream.ANY):
                continue
            each.seen += 1
            left = each.fault.times is None or each.struck < each.fault.times
            if each.seen > each.fault.after and left:
                each.struck += 1
                found.append(each.fault)
        return found

    def _apply(self, fault: Fault, stream: Stream, request: httpx.Request) -> None:
        held = self.access.get(_bearer(request))
        match fault.strike:
            case Strike.RATE_LIMIT:
                asked = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
                raise Refusal(429, "slow_down", asked)
            case Strike.SERVER_ERROR:
                raise Refusal(503, "unavailable")
            case Strike.TOKEN_EXPIRED if held is not None:
                held.ends = self.now
            case Strike.TOKEN_REVOKED:
                self.access.clear()
                self.refresh.clear()
            case Strike.SCOPE_REMOVED:
                for each in self.access.values():
                    each.scopes -= {stream}
            case Strike.TOUCH:
                for key in fault.order_ids:
                    self.orders[key] = replace(self.orders[key], modified_at=self.now)

    def _authorize(self, request: httpx.Request, stream: Stream) -> None:
        held = self.access.get(_bearer(request))
        if held is None:
            raise Refusal(401, "token_revoked")
        if held.ends <= self.now:
            raise Refusal(401, "token_expired")
        if stream in SCOPES and stream not in held.scopes:
            raise Refusal(403, "scope_missing")

    def _route(self, request: httpx.Request) -> tuple[Stream, Callable[[Json], Json]]:
        routes: dict[str, tuple[Stream, Callable[[Json], Json]]] = {
            "/oauth2/token": (Stream.TOKENS, self._token),
            "/account": (Stream.ANY, self._account),
            "/orders/search": (Stream.ORDERS, self._search),
            "/orders/by-id": (Stream.ORDERS, self._by_id),
            "/catalog": (Stream.CATALOG, lambda _: {"items": []}),
        }
        return routes[request.url.path]

    def _token(self, body: Json) -> Json:
        if (body["client_id"], body["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            raise Refusal(401, "wrong_secret")
        spent = body["refresh_token"]
        if spent not in self.refresh:
            raise Refusal(401, "token_revoked")
        pair = self.issue()
        if self.single_use:
            self.refresh.discard(spent)
        else:
            self.refresh.discard(pair["refresh_token"])
            pair["refresh_token"] = spent
        return pair

    def _account(self, _: Json) -> Json:
        return {"places": list(self.places)}

    def _search(self, body: Json) -> Json:
        since, until = to_us(instant(body["from"])), to_us(instant(body["to"]))
        keys = sorted(
            (to_us(order.modified_at), order.order_id)
            for order in self.orders.values()
            if order.location in body["places"] and since <= to_us(order.modified_at) <= until
        )
        if body.get("cursor"):
            at, _, key = body["cursor"].partition(" ")
            keys = keys[bisect_right(keys, (int(at), key)) :]
        limit = min(body.get("limit", DEFAULT_CAP), MOST)
        taken = keys[:limit]
        found: Json = {"orders": [self._json(key) for _, key in taken]}
        if len(keys) > limit:
            found["cursor"] = f"{taken[-1][0]} {taken[-1][1]}"
        return found

    def _by_id(self, body: Json) -> Json:
        return {"orders": [self._json(key) for key in body["ids"] if key in self.orders]}

    def _json(self, key: str) -> Json:
        order = self.orders[key]
        lines: list[Json] = [
            {"item": line.item, "quantity": line.quantity, "price": line.price} for line in order.lines
        ]
        content: Json = {
            "id": order.order_id,
            "place": order.location,
            "modified": from_us(to_us(order.modified_at)).isoformat(),
            "sold": order.sold_at.isoformat(),
            "lines": lines,
        }
        match self.odd.get(key):
            case Odd.UNKNOWN_FIELDS:
                lines[0]["mood"] = ["unheard", {"of": 1}]
                content["weather"] = {"sun": True}
            case Odd.BROKEN:
                lines[0]["quantity"] = "some"
        return content


def _bearer(request: httpx.Request) -> str:
    return str(request.headers.get("authorization", "")).removeprefix("Bearer ")
