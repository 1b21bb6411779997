"""A token bucket, so that we ask a provider no faster than it allows."""

from __future__ import annotations

import asyncio


class RateLimiter:
    """Lets `rate` units a second through, up to `burst` at once, first come first served."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        if rate <= 0:
            raise ValueError("a rate must be greater than 0")
        self._rate = rate
        self._burst = max(1.0, rate if burst is None else burst)
        self._tokens = self._burst
        self._at: float | None = None
        self._turn = asyncio.Lock()

    async def acquire(self, n: float = 1) -> None:
        """Wait until `n` units may pass.

        Raises:
            ValueError: more than the bucket ever holds.
        """
        if n > self._burst:
            raise ValueError(f"{n} units never fit into a bucket of {self._burst}")
        async with self._turn:
            self._refill()
            if self._tokens < n:
                await asyncio.sleep((n - self._tokens) / self._rate)
                self._refill()
            self._tokens -= n

    def set_rate(self, rate: float) -> None:
        """Go on with another rate (units a second), e.g. this replica's new share."""
        if rate <= 0:
            raise ValueError("a rate must be greater than 0")
        self._refill()
        self._rate = rate

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
