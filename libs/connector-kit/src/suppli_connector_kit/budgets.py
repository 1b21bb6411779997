"""Budgets in this process: shares of what all replicas have together, used up call by call, in turn."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from suppli_service_kit.logs import get_logger
from suppli_service_kit.waiting import Backoff

from suppli_connector_kit.domain.pacing import Pace, Share, next_size
from suppli_connector_kit.metrics import SHARES

log = get_logger(__name__)

AHEAD_SECONDS = 0.5
"""How far ahead of their instants permits are given out."""
PATIENCE_SECONDS = 20.0
"""How long a call waits for a database that is away."""
RECOVERY = 0.1
"""After a 429 the pace is halved (a sixteenth at least); by so much a second it comes back."""
SLOWEST = 16.0
_AWAY = (SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a ledger answers.

    Attributes:
        starts_in: seconds until the first permit's instant, negative where it is past; or, where there
            is no permit now, when to ask again.
        slow: by how much the steps are longer than the budget's.
    """

    granted: bool
    starts_in: float
    slow: float = 1.0


class Ledger(Protocol):
    """Who gives out a budget's instants, one after the other, to all that ask."""

    async def take(self, key: str, count: int, pace: Pace) -> Grant:
        """Give out the next `count` instants of the budget, unless they are too far ahead."""
        ...

    async def slow_down(self, key: str, pace: Pace, seconds: float) -> None:
        """Give out nothing for so many seconds, and longer steps after that."""
        ...


class LocalLedger:
    """A ledger for one process: tests, benchmarks, whoever has no database."""

    def __init__(self) -> None:
        self._free: dict[str, float] = {}
        self._slow: dict[str, tuple[float, float]] = {}

    async def take(self, key: str, count: int, pace: Pace) -> Grant:
        """Give out the next `count` instants."""
        now = time.monotonic()
        start = max(self._free.get(key, 0.0), now - pace.window)
        if start > now + AHEAD_SECONDS:
            return Grant(False, start - now - AHEAD_SECONDS)
        slow, since = self._slow.get(key, (1.0, now))
        slow = max(1.0, slow - (now - since) * RECOVERY)
        self._free[key] = start + count * pace.step * slow
        return Grant(True, start - now, slow)

    async def slow_down(self, key: str, pace: Pace, seconds: float) -> None:
        """Give out nothing for so many seconds."""
        now = time.monotonic()
        slow, since = self._slow.get(key, (1.0, now))
        slow = max(1.0, slow - (now - since) * RECOVERY)
        self._slow[key] = (min(SLOWEST, slow * 2), now)
        self._free[key] = max(self._free.get(key, 0.0), now + seconds)


class TooLong(Exception):
    """The budget has nothing for longer than a call waits; `seconds` says for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing for {seconds:.0f} s")
        self.seconds = seconds


class SharedBudget:
    """One budget, as this process has a share of it. Calls take turns in the sequence in which they came."""

    def __init__(self, ledger: Ledger, key: str, pace: Pace, *, most_wait: float = 30.0) -> None:
        """Prepare; `most_wait` is how long a call waits for a permit (s)."""
        self._ledger, self._key, self._pace, self._most_wait = ledger, key, pace, most_wait
        self._share: Share | None = None
        self._asked = 0
        self.waiting = 0
        self.turn = asyncio.Lock()

    async def ready(self) -> None:
        """Wait until a permit may be used; the caller has the turn.

        Raises:
            TooLong: see there.
            sqlalchemy.exc.SQLAlchemyError, OSError: the database has been away for longer than a call waits.
        """
        backoff, until = Backoff(base=0.1, cap=1), time.monotonic() + PATIENCE_SECONDS
        while True:
            wait = self._share.wait(time.monotonic()) if self._share is not None else None
            if wait is None:
                try:
                    wait = await self._refill()
                except _AWAY as error:
                    SHARES.labels("database_away").inc()
                    if time.monotonic() > until:
                        raise
                    log.warning("budget_not_read", error=type(error).__name__)
                    wait = backoff.next()
            if wait == 0:
                return
            if wait > self._most_wait:
                raise TooLong(wait)
            await asyncio.sleep(wait)

    def use(self) -> bool:
        """Use a permit; False where its time is over meanwhile."""
        return self._share is not None and self._share.take(time.monotonic())

    async def slow_down(self, seconds: float) -> None:
        """The provider asked for a pause: whoever shares the budget makes it, and goes on slower."""
        self._share = None
        try:
            await self._ledger.slow_down(self._key, self._pace, seconds)
        except _AWAY as error:  # the call that was refused waits by itself
            log.warning("budget_not_slowed", error=type(error).__name__)

    async def _refill(self) -> float:
        taken = self._share.taken if self._share is not None else 0
        count = next_size(self._pace, self._asked, taken, self.waiting)
        grant = await self._ledger.take(self._key, count, self._pace)
        if not grant.granted:
            SHARES.labels("none").inc()
            return max(0.005, grant.starts_in)
        SHARES.labels("granted").inc()
        self._asked = count
        self._share = Share(
            time.monotonic() + grant.starts_in, self._pace.step * grant.slow, count, self._pace.window
        )
        return self._share.wait(time.monotonic()) or 0.0
