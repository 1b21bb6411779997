"""How fast and how many at once a provider was asked, by merchant, in real time."""

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

import msgspec

_SECOND = 1.0


class Seen(msgspec.Struct):
    """Most calls within one second, and most at once; calls that were turned away count too."""

    per_second: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class _Account:
    recent: deque[float] = field(default_factory=deque)
    in_flight: int = 0
    seen: Seen = field(default_factory=Seen)


@dataclass(slots=True)
class Meter:
    """Counts calls in and out."""

    _accounts: dict[str, _Account] = field(default_factory=lambda: defaultdict(_Account))

    def enter(self, merchant_id: str) -> None:
        """Count a call in."""
        account, now = self._accounts[merchant_id], time.monotonic()
        account.recent.append(now)
        while account.recent[0] <= now - _SECOND:
            account.recent.popleft()
        account.in_flight += 1
        seen = account.seen
        seen.per_second = max(seen.per_second, len(account.recent))
        seen.in_flight = max(seen.in_flight, account.in_flight)

    def leave(self, merchant_id: str) -> None:
        """Count a call out."""
        self._accounts[merchant_id].in_flight -= 1

    def seen(self, merchant_id: str) -> Seen:
        """Return what was seen of a merchant since the last `clear`."""
        return self._accounts[merchant_id].seen

    def clear(self) -> None:
        """Forget what was seen."""
        for account in self._accounts.values():
            account.recent.clear()
            account.seen = Seen()
