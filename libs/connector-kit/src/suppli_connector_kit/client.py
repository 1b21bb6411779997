"""A provider over HTTP: headers, budget, retries, tokens, and answers of the expected shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from suppli_service_kit.http_client import Gate, HttpClient, RetryPolicy

from suppli_connector_kit.budgets import Ledger
from suppli_connector_kit.domain.circuit import CircuitTimes
from suppli_connector_kit.domain.pacing import Pace
from suppli_connector_kit.errors import (
    AuthError,
    NetworkError,
    ProviderError,
    ProviderUnavailable,
    TokenExpired,
)
from suppli_connector_kit.gates import Gates
from suppli_connector_kit.protocol import Session

T = TypeVar("T")
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Budget:
    """How fast one account is asked (calls a second, calls at once), how often a call is tried, and when
    an account is not asked any more for a while.

    Attributes:
        application: of all accounts together, where the provider has such a limit.
        in_flight: most calls of one account that this process has open; None = any number.
        application_in_flight: the same, of all accounts together.
    """

    rate: float = 10.0
    burst: float = 20.0
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    circuit: CircuitTimes = field(default_factory=CircuitTimes)
    application: Pace | None = None
    in_flight: int | None = None
    application_in_flight: int | None = None


class ProviderClient:
    """Asks a provider; one for the process, all accounts share its connections."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        failure: Callable[[httpx.Response], ProviderError],
        headers: Mapping[str, str] | None = None,
        budget: Budget | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; connects when first used.

        Args:
            name: the provider's, for messages and metrics.
            failure: tells what an answer other than 200 means; `TokenExpired` has the token replaced once.
            headers: sent with every call.
            budget: by default 10 calls a second for an account.
            transport: another way to send, in tests.
        """
        self.base_url = base_url.rstrip("/")
        self._name, self._failure = name, failure
        self._budget = budget or Budget()
        self._gates = Gates(
            name,
            Pace(self._budget.rate, self._budget.burst),
            application=self._budget.application,
            circuit=self._budget.circuit,
            most_wait=self._budget.retries.cap,
            in_flight=self._budget.in_flight,
            application_in_flight=self._budget.application_in_flight,
        )
        self._http = HttpClient(
            self.base_url,
            name=name.lower(),
            retries=self._budget.retries,
            headers={"Accept": "application/json", **(headers or {})},
            transport=transport,
        )

    def share(self, ledger: Ledger) -> None:
        """Share the budgets with whoever uses the same ledger."""
        self._gates.share(ledger)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def ping(self) -> None:
        """Ask for nothing in particular, once, outside of any account's budget.

        Raises:
            NetworkError: the provider was not reached.
            ProviderUnavailable: it answered that it is broken (5xx).
        """
        response = await self._send("GET", "/", None, None, retry=False)
        if response.status_code >= 500:
            raise ProviderUnavailable(f"{self._name} answered {response.status_code}")

    async def ask(
        self,
        session: Session,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        *,
        json: Mapping[str, Any] | None = None,
    ) -> tuple[T, datetime | None]:
        """Ask for an account and return what `read` makes of the answer, and the provider's clock.

        All calls made here only read, so each may be repeated.

        Raises:
            ProviderError: see the kit; a token that ended, or that is not the account's any more, is
                replaced once.
        """
        token = await session.access_token()
        try:
            return await self._read(session.account_id, method, path, token, read, json)
        except AuthError as refused:
            other = await self._other_token(session, token, refused)
        return await self._read(session.account_id, method, path, other, read, json)

    @staticmethod
    async def _other_token(session: Session, token: str, refused: AuthError) -> str:
        """Return a token to ask once more with; raises `refused` where a person must authorize again.

        Whoever authorized again meanwhile gave this account other tokens, which another process may not have
        heard of: its old ones being refused says nothing about the account.
        """
        if isinstance(refused, TokenExpired):
            return await session.renewed(token)
        other = await session.superseding(token)
        if other is None:
            raise refused
        return other

    async def post(
        self,
        path: str,
        json: Mapping[str, Any],
        read: Callable[[bytes], T],
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool,
    ) -> T:
        """Post without an account's token, e.g. to have one."""
        response = await self._send("POST", path, json, headers, retry=retry)
        return self._understood(response, read)

    async def _read(
        self,
        account: str,
        method: str,
        path: str,
        token: str,
        read: Callable[[bytes], T],
        json: Mapping[str, Any] | None,
    ) -> tuple[T, datetime | None]:
        retries, failures = self._budget.retries, 0
        while True:
            headers, gate = {"Authorization": f"Bearer {token}"}, self._gates.account(account)
            response = await self._send(method, path, json, headers, retry=True, gate=gate)
            try:
                return self._understood(response, read), _date(response)
            except ProviderUnavailable:
                # a proxy's page, or JSON that breaks off, came as a success: a failed attempt too
                failures += 1
                if response.status_code != 200 or failures >= retries.attempts:
                    raise
            await asyncio.sleep(retries.wait(failures))

    async def _send(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        *,
        retry: bool,
        gate: Gate | None = None,
    ) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=json, headers=headers, retry=retry, gate=gate)
        except httpx.TransportError as error:
            arrived = not isinstance(error, _NEVER_SENT)
            problem = f"{self._name} was not reached ({type(error).__name__})"
            raise NetworkError(problem, may_have_arrived=arrived) from error

    def _understood(self, response: httpx.Response, read: Callable[[bytes], T]) -> T:
        if response.status_code != 200:
            raise self._failure(response)
        try:
            return read(response.content)
        except (ValueError, RecursionError) as error:  # msgspec's errors and undecodable text are values'
            raise ProviderUnavailable(f"{self._name}'s answer is not what its API promises") from error


def _date(response: httpx.Response) -> datetime | None:
    try:
        at = parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
