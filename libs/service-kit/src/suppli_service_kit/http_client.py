"""An HTTP client with time-outs, retries of what may be repeated, `Retry-After` and a rate limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

from suppli_service_kit import metrics
from suppli_service_kit.rate_limit import RateLimiter as RateLimiter
from suppli_service_kit.retry import RetryPolicy as RetryPolicy
from suppli_service_kit.retry import retry_after_seconds
from suppli_service_kit.retry import retrying as retrying

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})  # not 501: what is not implemented stays so
_BROKEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.ReadTimeout, httpx.WriteError,
           httpx.WriteTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout, httpx.CloseError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each part of a call, and for all of one attempt."""

    connect: float = 5.0
    read: float = 30.0
    write: float = 10.0
    pool: float = 10.0
    total: float = 60.0


class Gate(Protocol):
    """What every attempt of a call passes."""

    async def enter(self) -> None:
        """Let an attempt through, maybe later; what is raised ends the call."""
        ...

    async def left(self, status: int | None, retry_after: float | None) -> None:
        """Hear what an attempt was answered: its status (None = nothing came), its `Retry-After` (s)."""
        ...

    def abandoned(self) -> None:
        """Hear that an attempt was given up before it was answered."""
        ...


class HttpClient:
    """One upstream. Use as an async context manager, or call `close`."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str = "http",
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
        limiter: RateLimiter | None = None,
        headers: Mapping[str, str] | None = None,
        max_connections: int = 20,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; connects when first used.

        Args:
            base_url: what paths are relative to.
            name: the client's label in metrics.
            timeouts: by default 5 s to connect, 30 s without a byte, 60 s for an attempt.
            retries: by default 4 attempts.
            limiter: passed before every attempt.
            headers: sent with every call.
            max_connections: at once.
            transport: another way to send, in tests.
        """
        self._timeouts = timeouts or Timeouts()
        self._retries = retries or RetryPolicy()
        self._limiter = limiter
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(
                connect=self._timeouts.connect,
                read=self._timeouts.read,
                write=self._timeouts.write,
                pool=self._timeouts.pool,
            ),
            headers=dict(headers or {}),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            follow_redirects=False,
            transport=transport,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        data: Mapping[str, Any] | None = None,
        retry: bool = True,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Call and return the last response, whatever its status, with its body read.

        Args:
            content: the body; what is sent as it comes cannot be repeated, and is not.
            retry: repeat after a broken connection, 408, 425, 429 and 5xx but 501. Set False where a repeat
                would do a thing twice; a provider's searches by POST may be repeated.
            gate: passed by every attempt, the first included.

        Raises:
            httpx.TransportError: the last attempt got no response (time-outs included).
        """
        failures = 0
        once = content is not None and not isinstance(content, bytes)
        attempts = self._retries.attempts if retry and not once else 1
        while True:
            asked: float | None = None
            try:
                response = await self._through(
                    gate, method, path, json=json, params=params, headers=headers, content=content, data=data
                )
            except _BROKEN:
                failures += 1
                if failures >= attempts:
                    raise
            else:
                failures += 1
                if response.status_code not in RETRYABLE or failures >= attempts:
                    return response
                asked = retry_after_seconds(response.headers.get("retry-after"))
                if asked is not None and asked > self._retries.cap:
                    return response  # longer than a caller waits: it decides what becomes of its work
            await asyncio.sleep(self._retries.wait(failures, asked))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _through(self, gate: Gate | None, method: str, path: str, **arguments: Any) -> httpx.Response:
        if gate is None:
            return await self._attempt(method, path, **arguments)
        await gate.enter()
        try:
            response = await self._attempt(method, path, **arguments)
        except _BROKEN:
            await gate.left(None, None)
            raise
        except BaseException:
            gate.abandoned()
            raise
        await gate.left(response.status_code, retry_after_seconds(response.headers.get("retry-after")))
        return response

    async def _attempt(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if self._limiter is not None:
            await self._limiter.acquire()
        started = time.monotonic()
        status = "broken"
        try:
            async with asyncio.timeout(self._timeouts.total):
                response = await self._client.request(method, path, **arguments)
            # The stream, read by now, holds its response, and with it a body of some MB that would stay until
            # cycles are searched for.
            response.stream = httpx.ByteStream(b"")
            status = str(response.status_code)
            return response
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no whole answer within {self._timeouts.total} s") from error
        finally:
            metrics.HTTP_CALLS.labels(self._name, status).inc()
            metrics.HTTP_SECONDS.labels(self._name).observe(time.monotonic() - started)
