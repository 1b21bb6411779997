"""Waiting that can be interrupted, and how long to wait before trying again."""

from __future__ import annotations

import asyncio
import random


async def wait_or_stop(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until `stop` is set, at most `seconds`. Return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return stop.is_set()
    return True


class Backoff:
    """Growing waits with full jitter, for one thing that keeps failing.

    The n-th wait is uniform between 0 and `base * 2**n`, at most `cap` seconds: many that fail together
    do not come back together. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """

    def __init__(self, base: float = 0.2, cap: float = 30.0) -> None:
        self._base = base
        self._cap = cap
        self.failures = 0

    def next(self) -> float:
        """Count one more failure and return how many seconds to wait."""
        self.failures += 1
        return full_jitter(self.failures, base=self._base, cap=self._cap)

    def reset(self) -> None:
        """Forget the failures: it works again."""
        self.failures = 0


def full_jitter(failures: int, *, base: float, cap: float) -> float:
    """Return a random wait in seconds after the given number of failures (1 or more)."""
    ceiling = min(cap, base * 2 ** min(failures - 1, 30))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, protects no secret
