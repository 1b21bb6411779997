"""The identity provider's signing keys, cached: an unknown key id fetches them again, but not at any rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import httpx
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWKError, PyJWKSetError
from suppli_service_kit.logs import get_logger

log = get_logger(__name__)

FETCH_SECONDS = 5.0
MAX_BYTES = 256_000
MAX_KEYS = 50


class KeysUnavailable(Exception):
    """No signing key was ever fetched, and the identity provider does not answer."""


class SigningKeys:
    """Keys by id. What was once fetched stays in use while the identity provider is down."""

    def __init__(
        self,
        url: str,
        *,
        max_age: float,
        retry_after: float,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """Prepare; fetches when first asked.

        Args:
            url: the JWKS document.
            max_age: seconds after which the keys are fetched again.
            retry_after: least seconds between two fetches, whatever was asked: strangers' key ids cost no
            more.
            transport: another way to send, in tests.
            monotonic: tells seconds.
        """
        self._url, self._max_age, self._retry_after = url, max_age, retry_after
        self._client = httpx.AsyncClient(timeout=FETCH_SECONDS, transport=transport, follow_redirects=False)
        self._monotonic = monotonic
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> PyJWK | None:
        """Return the key, None where the identity provider has none of that id.

        Raises:
            KeysUnavailable: nothing was ever fetched and nothing can be now.
        """
        if self._stale() or key_id not in self._keys:
            async with self._lock:
                if (self._stale() or key_id not in self._keys) and self._may_try():
                    await self._fetch()
        if self._fetched_at is None:
            raise KeysUnavailable("the identity provider's keys are not known")
        return self._keys.get(key_id)

    async def check(self) -> str | None:
        """Say what is wrong, for the readiness page; None when keys are known."""
        return (
            None if self._fetched_at is not None or self._tried_at is None else "signing keys are not known"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _stale(self) -> bool:
        return self._fetched_at is None or self._monotonic() - self._fetched_at > self._max_age

    def _may_try(self) -> bool:
        return self._tried_at is None or self._monotonic() - self._tried_at >= self._retry_after

    async def _fetch(self) -> None:
        self._tried_at = self._monotonic()
        try:
            response = await self._client.get(self._url)
            response.raise_for_status()
            keys = _keys_in(response)
        except (httpx.HTTPError, ValueError, PyJWKError, PyJWKSetError) as error:
            log.warning("signing_keys_not_fetched", error=type(error).__name__, keys_kept=len(self._keys))
            return
        self._keys = {key.key_id: key for key in keys if key.key_id and key.public_key_use in (None, "sig")}
        self._fetched_at = self._monotonic()
        log.info("signing_keys_fetched", keys=len(self._keys))


def _keys_in(response: httpx.Response) -> list[PyJWK]:
    if len(response.content) > MAX_BYTES:
        raise ValueError("the JWKS document is too large")
    return PyJWKSet.from_json(response.text).keys[:MAX_KEYS]
