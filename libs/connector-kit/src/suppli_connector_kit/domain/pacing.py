"""Permits to ask a provider: a budget is a row of instants, leased in shares and used in time; pure.

A budget of `rate` calls a second with `burst` gives out one instant every 1/rate seconds, the first ones in
the past where it was not used. A permit may be used from its instant on, and until the burst's time has
passed: so any t seconds see at most rate * t + burst calls, however many share the instants among them.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARE_SECONDS = 0.5
"""The longest time that one share stands for: what somebody holds, others have to wait for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, in calls a second, and how many at once after a pause."""

    rate: float
    burst: float = 1.0

    @property
    def step(self) -> float:
        """Seconds between two permits."""
        return 1 / self.rate

    @property
    def window(self) -> float:
        """For how many seconds a permit stays good, and so how far back the first ones reach."""
        return (max(1.0, self.burst) - 1) * self.step

    @property
    def most(self) -> int:
        """Permits of the largest share."""
        return max(1, int(self.rate * SHARE_SECONDS))


@dataclass(slots=True)
class Share:
    """Permits at `at`, `at + step`, ... seconds of a clock that nobody sets."""

    at: float
    step: float
    left: int
    window: float
    taken: int = 0

    def wait(self, now: float) -> float | None:
        """Return in how many seconds the next permit may be used (0 = now); None where there is none left.

        Permits that were not used in time are dropped.
        """
        late = now - self.window - self.step - self.at  # one step more, for the way from the database
        if late > 0:
            lost = min(self.left, int(late / self.step) + 1)
            self.at += lost * self.step
            self.left -= lost
        return max(0.0, self.at - now) if self.left > 0 else None

    def take(self, now: float) -> bool:
        """Use a permit where one may be used now; return whether that was so."""
        if self.wait(now) != 0:
            return False
        self.at += self.step
        self.left -= 1
        self.taken += 1
        return True


def next_size(pace: Pace, asked: int, taken: int, waiting: int) -> int:
    """Return how many permits to ask for: twice as many where all were used, else as many as were.

    Args:
        pace: of the budget.
        asked: how many the last share had; 0 = there was none.
        taken: how many of them were used.
        waiting: how many calls wait for one.
    """
    wanted = asked * 2 if taken >= asked else taken
    return max(1, min(pace.most, max(wanted, waiting)))
