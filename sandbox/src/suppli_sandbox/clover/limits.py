"""Clover's rate limits: calls a second and in flight, per token and for the whole application.

A call before the announced wait is over makes the wait longer. Limits go by real time, never by the clock
that tests move: they protect against speed.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from suppli_sandbox.clover.errors import CloverError
from suppli_sandbox.clover.models import Rates

_SECOND = 1.0
_LONGEST_WAIT = 60


@dataclass(slots=True)
class _Gate:
    recent: deque[float] = field(default_factory=deque)
    in_flight: int = 0
    wait: int = 0
    until: float = 0.0

    def forget(self, now: float) -> None:
        while self.recent and self.recent[0] <= now - _SECOND:
            self.recent.popleft()

    def refuse(self, now: float) -> int:
        """Return the seconds to wait: doubled when the last wait was not kept."""
        self.wait = min(_LONGEST_WAIT, self.wait * 2 if now < self.until else 1)
        self.until = now + self.wait
        return self.wait


@dataclass(slots=True)
class Limits:
    """The four limits, and what they saw; 0 is no limit."""

    token: int = 16
    token_concurrent: int = 5
    cross_token: int = 50
    cross_token_concurrent: int = 10
    rates: Rates = field(default_factory=Rates)
    _gates: dict[str, _Gate] = field(default_factory=lambda: defaultdict(_Gate))
    _all: _Gate = field(default_factory=_Gate)

    def enter(self, token: str, now: float) -> None:
        """Admit a call at `now` (monotonic seconds). Raises 429 with the header of the limit that was hit."""
        gate = self._gates[token]
        for each in (gate, self._all):
            each.forget(now)
        hit = self._hit(gate, now)
        if hit is not None:
            name, limit, refusing = hit
            self.rates.refused += 1
            headers = {f"X-RateLimit-{name}": str(limit), "retry-after": str(refusing.refuse(now))}
            raise CloverError(429, "Too Many Requests", headers)
        for each in (gate, self._all):
            each.recent.append(now)
            each.in_flight += 1
        self._see(gate)

    def leave(self, token: str) -> None:
        """Count an admitted call out."""
        self._gates[token].in_flight -= 1
        self._all.in_flight -= 1

    def _hit(self, gate: _Gate, now: float) -> tuple[str, int, _Gate] | None:
        every = self._all
        checks = (
            ("tokenConcurrentLimit", self.token_concurrent, gate, gate.in_flight),
            ("crossTokenConcurrentLimit", self.cross_token_concurrent, every, every.in_flight),
            ("tokenLimit", self.token, gate, len(gate.recent)),
            ("crossTokenLimit", self.cross_token, every, len(every.recent)),
        )
        for name, limit, refusing, used in checks:
            if limit and used >= limit:
                return name, limit, refusing
        for name, limit, refusing, _ in checks[2:]:
            if limit and now < refusing.until:  # the announced wait is not over
                return name, limit, refusing
        return None

    def _see(self, gate: _Gate) -> None:
        rates, every = self.rates, self._all
        rates.token_per_second = max(rates.token_per_second, len(gate.recent))
        rates.token_in_flight = max(rates.token_in_flight, gate.in_flight)
        rates.cross_token_per_second = max(rates.cross_token_per_second, len(every.recent))
        rates.cross_token_in_flight = max(rates.cross_token_in_flight, every.in_flight)
