"""A circuit breaker: after failures in a row nobody asks for a while, then one asks for all; pure.

Each process has its own, per provider account. It must work while our database is away; a replica whose own
network is broken must not stop the others; and what that costs is small: each replica finds out by itself,
with a few calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Closed: calls pass. Open: none does. Half open: one is on its way, to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitTimes:
    """When it opens and for how long.

    Attributes:
        failures: so many in a row open it.
        seconds: how long it stays open; doubles with every probe that fails, up to `most_seconds`.
    """

    failures: int = 8
    seconds: float = 5.0
    most_seconds: float = 300.0


@dataclass(slots=True)
class Circuit:
    """One account's; instants are seconds of a clock that nobody sets."""

    times: CircuitTimes
    failed: int = 0
    opened: int = 0
    until: float = 0.0
    probing: bool = False

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.opened == 0:
            return State.CLOSED
        return State.HALF_OPEN if self.probing else State.OPEN

    def refused_for(self, now: float, *, urgent: bool = False) -> float | None:
        """Return for how many seconds calls are refused; None where one may pass.

        Args:
            now: the instant.
            urgent: a person waits: such a call may find out before the time is over.
        """
        if self.opened == 0:
            return None
        left = max(0.0, self.until - now)
        if self.probing:
            return max(1.0, left)
        return None if urgent or left == 0 else left

    def begin(self) -> bool:
        """Note that a call that was not refused begins; return whether it is the one that finds out."""
        if self.opened:
            self.probing = True
        return self.probing

    def succeeded(self) -> None:
        """The provider answered, whatever it said."""
        self.failed, self.opened, self.probing = 0, 0, False

    def failure(self, now: float, *, probe: bool) -> None:
        """The provider did not answer, or said that it is broken."""
        self.failed += 1
        if probe:
            self.probing = False
        elif self.opened or self.failed < self.times.failures:
            return  # a call that began before it opened says nothing new
        self.opened += 1
        pause = self.times.seconds * 2 ** min(self.opened - 1, 10)
        self.until = now + min(self.times.most_seconds, pause)

    def abandoned(self, *, probe: bool) -> None:
        """A call was given up before it told anything: another one finds out."""
        if probe:
            self.probing = False
