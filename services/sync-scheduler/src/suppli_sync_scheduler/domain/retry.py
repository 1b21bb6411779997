"""Whether and when a failed run is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from suppli_contracts.events.sync import ErrorClass, RunError

# `auth` waits for a person; `bad_data` would fail again in the same way.
NOT_RETRIED = frozenset({ErrorClass.AUTH, ErrorClass.BAD_DATA})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter.

    Attributes:
        base: the longest wait before the second attempt; doubles with each.
        cap: the longest wait of all.
        attempts: of a run in all, the first one included.
    """

    base: timedelta = timedelta(seconds=30)
    cap: timedelta = timedelta(minutes=30)
    attempts: int = 5


def next_attempt_at(
    policy: RetryPolicy, error: RunError, *, attempt: int, now: datetime, chance: float
) -> datetime | None:
    """Return when a run whose `attempt` failed is tried again, None = not by itself.

    Args:
        policy: base, cap and number of attempts.
        error: why it failed; a provider's `retry_after_s` is the least wait.
        attempt: the one that failed, from 1.
        now: when that is decided.
        chance: 0 <= x < 1; full jitter, so that many runs that failed together do not come back together.
    """
    if error.error_class in NOT_RETRIED or attempt >= policy.attempts:
        return None
    ceiling = min(policy.base * int(2 ** (attempt - 1)), policy.cap)
    asked = timedelta(seconds=max(error.retry_after_s or 0.0, 0.0))
    # Nobody waits for a provider's wish without end: an hour is more than any documented limit's window.
    return now + min(max(ceiling * chance, asked), max(policy.cap, timedelta(hours=1)))
