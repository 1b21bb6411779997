"""Trying again: which wait, how often, and what a provider's `Retry-After` says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from suppli_service_kit.waiting import full_jitter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long between.

    Attributes:
        attempts: in all, the first included.
        base: the first wait is at most this many seconds, each next at most twice the one before.
        cap: no wait is longer (s), one asked for by `Retry-After` included.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 30.0

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Return how long to wait (s) after so many failures; `asked` is what the other side wants."""
        jitter = full_jitter(failures, base=self.base, cap=self.cap)
        # A little more than asked: all who were turned away at once come back apart.
        return jitter if asked is None else min(self.cap, asked + min(jitter, 1.0))


NO_RETRY = RetryPolicy(attempts=1)


async def retrying(
    policy: RetryPolicy, attempt: Callable[[], Awaitable[T]], is_retryable: Callable[[Exception], bool]
) -> T:
    """Return what `attempt` returns, tried again with full jitter while its exceptions are retryable.

    Raises:
        Exception: that of the last attempt, unchanged.
    """
    failures = 0
    while True:
        try:
            return await attempt()
        except Exception as error:
            failures += 1
            if failures >= policy.attempts or not is_retryable(error):
                raise
            await asyncio.sleep(policy.wait(failures, getattr(error, "retry_after", None)))


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or a date), None if
    unusable.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
