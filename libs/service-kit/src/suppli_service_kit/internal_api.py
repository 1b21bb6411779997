"""Calls between our services: one bearer token for each called service, plus who is asking for whom."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx
from fastapi import Request

from suppli_service_kit import tracing
from suppli_service_kit.http_client import HttpClient, Timeouts
from suppli_service_kit.problems import TYPE_BASE, Problem, ServiceUnavailable
from suppli_service_kit.retry import NO_RETRY, RetryPolicy, retry_after_seconds
from suppli_service_kit.vault import Secret, VaultError

REREAD_SECONDS = 300.0
MISMATCH_SECONDS = 5.0  # a wrong token makes us ask Vault at most this often


class SecretReader(Protocol):
    """Reads a secret, as `Vault` does."""

    async def read(self, path: str) -> Secret | None:
        """Return the secret at `path`, None where there is none."""
        ...


class TokenProvider(Protocol):
    """Knows the token of one called service."""

    async def token(self, *, fresh: bool = False) -> str:
        """Return the token; `fresh` = the one at hand was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the tenant whose data it is about, and the person or part that acts."""

    tenant_id: UUID
    actor: str


class InternalToken:
    """The token of a service's `/internal/v1`: Vault `suppli/internal/<service>`, re-read each 5 minutes."""

    def __init__(self, vault: SecretReader, service: str) -> None:
        self._vault = vault
        self._service = service
        self._token: str | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()

    async def token(self, *, fresh: bool = False) -> str:
        """Return the token.

        Args:
            fresh: the one at hand did not match; it is read again, but not more often than every 5 s.

        Raises:
            VaultError: it is not known, and Vault does not tell.
        """
        async with self._lock:
            age = time.monotonic() - self._read_at
            if self._token is None or age > (MISMATCH_SECONDS if fresh else REREAD_SECONDS):
                await self._read()
            if self._token is None:
                raise VaultError(f"there is no internal token for {self._service}")
            return self._token

    async def _read(self) -> None:
        try:
            secret = await self._vault.read(f"suppli/internal/{self._service}")
        except VaultError:
            if self._token is None:
                raise
            self._read_at = time.monotonic()  # the one at hand goes on while Vault is away
            return
        self._token = None if secret is None else str(secret.data["token"])
        self._read_at = time.monotonic()


def internal_caller(token_provider: TokenProvider) -> Callable[[Request], Awaitable[Caller]]:
    """Return a FastAPI dependency that gives the `Caller`, or answers 401 (token) or 403 (tenant, actor)."""

    async def caller(request: Request) -> Caller:
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not await _matches(token_provider, presented.strip()):
            raise Problem(
                401,
                "unauthorized",
                "The bearer token is missing or wrong",
                headers={"WWW-Authenticate": "Bearer"},
            )
        actor = request.headers.get("suppli-actor", "").strip()
        try:
            tenant = UUID(request.headers.get("suppli-tenant", ""))
        except ValueError:
            raise Problem(
                403, "no-tenant", "The call names no tenant", "Suppli-Tenant must be a UUID"
            ) from None
        if not actor:
            raise Problem(403, "no-actor", "The call names no actor", "Suppli-Actor must say who acts")
        return Caller(tenant, actor)

    return caller


async def _matches(provider: TokenProvider, presented: str) -> bool:
    if not presented:
        return False
    given = presented.encode()
    try:
        if hmac.compare_digest(given, (await provider.token()).encode()):
            return True
        return hmac.compare_digest(given, (await provider.token(fresh=True)).encode())
    except VaultError:
        raise ServiceUnavailable("The secret store") from None


class InternalClient:
    """Calls `/internal/v1` of one service for a tenant and an actor, within the trace that is going on."""

    def __init__(
        self,
        base_url: str,
        token: TokenProvider,
        *,
        service: str,
        timeouts: Timeouts | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; connects when first used. `service` names it in messages and metrics."""
        self._service = service
        self._token = token
        self._http = HttpClient(
            base_url,
            name=f"internal-{service}",
            timeouts=timeouts or Timeouts(connect=1.0, read=15.0, total=20.0),
            retries=NO_RETRY,
            transport=transport,
        )
        self._again = RetryPolicy(attempts=2, base=0.1, cap=0.3)

    async def request(
        self,
        method: str,
        path: str,
        caller: Caller,
        *,
        json: Any = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        content: AsyncIterable[bytes] | None = None,
    ) -> httpx.Response:
        """Call and return the response, which is a success (2xx or 3xx).

        GET is tried twice when the connection breaks; nothing else is repeated. A body that is sent as it
        comes (`content`) is sent once, also where the token was changed meanwhile.

        Raises:
            ServiceUnavailable: the service is down, overloaded or failed; becomes our 503 with `Retry-After`.
            Problem: the service refused (4xx): its own problem, to be passed on.
        """
        sent = {**(headers or {}), "Suppli-Tenant": str(caller.tenant_id), "Suppli-Actor": caller.actor}
        traceparent = tracing.current_traceparent()
        if traceparent is not None:
            sent["traceparent"] = traceparent
        if content is not None:
            return self._checked(await self._send(method, path, sent, content=content, params=params))
        response = await self._send(method, path, sent, json=json, params=params)
        if response.status_code == 401:  # the token was changed
            response = await self._send(method, path, sent, fresh=True, json=json, params=params)
        return self._checked(response)

    async def ready(self) -> str | None:
        """Return None where the service says that it can answer, else what is wrong."""
        try:
            response = await self._http.request("GET", "/readyz")
        except httpx.TransportError as error:
            return f"does not answer ({type(error).__name__})"
        return None if response.status_code == 200 else f"not ready ({response.status_code})"

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _send(
        self, method: str, path: str, headers: dict[str, str], *, fresh: bool = False, **body: Any
    ) -> httpx.Response:
        attempts = self._again.attempts if method == "GET" else 1
        for failures in range(1, attempts + 1):
            try:
                token = await self._token.token(fresh=fresh)
                return await self._http.request(
                    method, path, headers={**headers, "Authorization": f"Bearer {token}"}, **body
                )
            except (httpx.TransportError, VaultError) as error:
                if failures == attempts:
                    raise ServiceUnavailable(self._service) from error
                await asyncio.sleep(self._again.wait(failures))
        raise ServiceUnavailable(self._service)

    def _checked(self, response: httpx.Response) -> httpx.Response:
        status = response.status_code
        if status < 400:
            return response
        if status in (401, 429) or status >= 500:
            asked = retry_after_seconds(response.headers.get("retry-after"))
            raise ServiceUnavailable(self._service, int(asked) if asked else 5)
        raise _passed_on(response)


def _passed_on(response: httpx.Response) -> Problem:
    """Return the called service's own problem."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    known = {"type", "title", "status", "detail"}
    return Problem(
        response.status_code,
        str(body.get("type", "refused")).removeprefix(TYPE_BASE),
        str(body.get("title", "The request was refused")),
        body.get("detail"),
        extra={name: value for name, value in body.items() if name not in known},
    )
