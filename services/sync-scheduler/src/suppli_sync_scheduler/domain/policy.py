"""The rules of time that an operator may change, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from suppli_sync_scheduler.domain.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    """How due times and runs are treated.

    Attributes:
        daily_jitter: how far the daily times of many connections are spread.
        late_after: after a downtime, a due time missed by more than this is caught up, spread.
        catch_up_spread: over how long.
        silent_after: without news for so long, a run's command is repeated.
        sweep_hour: local hour within which the daily sweep runs.
        retry: of failed runs.
    """

    daily_jitter: timedelta = timedelta(seconds=60)
    late_after: timedelta = timedelta(seconds=60)
    catch_up_spread: timedelta = timedelta(minutes=10)
    silent_after: timedelta = timedelta(seconds=120)
    sweep_hour: int = 4
    retry: RetryPolicy = field(default_factory=RetryPolicy)
