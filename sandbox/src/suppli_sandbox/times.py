"""Instants as whole microseconds since 1970 (UTC), and a clock that can be moved."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
DAY = 86_400 * SECOND
_MICROSECOND = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC instant."""
    return EPOCH + timedelta(microseconds=us)


def parse_us(text: str) -> int:
    """Read an RFC 3339 instant with any offset; digits after the microsecond are cut.

    Raises ValueError for anything else, also for a time without an offset.
    """
    if "T" not in text:
        raise ValueError(f"not an RFC 3339 instant: {text!r}")
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"the instant has no offset: {text!r}")
    return to_us(at)


def format_us(us: int) -> str:
    """Write RFC 3339 in UTC with `Z`: whole seconds bare, else 3 or 6 digits, as Square mixes them."""
    at = from_us(us)
    if us % SECOND == 0:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    precision = "milliseconds" if us % 1000 == 0 else "microseconds"
    return at.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


class MovableClock:
    """The sandbox's own time: real time plus an offset, or standing still when frozen."""

    def __init__(self) -> None:
        self._offset_us = 0
        self._frozen_us: int | None = None

    @property
    def frozen(self) -> bool:
        """Whether time stands still until it is moved."""
        return self._frozen_us is not None

    def now_us(self) -> int:
        """Return the sandbox's present instant in microseconds since 1970."""
        if self._frozen_us is not None:
            return self._frozen_us
        return time.time_ns() // 1000 + self._offset_us

    def set(self, at_us: int, *, frozen: bool = False) -> None:
        """Move the clock to an instant, going on from there or standing still."""
        self._frozen_us = at_us if frozen else None
        self._offset_us = at_us - time.time_ns() // 1000

    def advance(self, us: int) -> None:
        """Move the clock forward (or back, when negative) by microseconds; frozen stays frozen."""
        if self._frozen_us is not None:
            self._frozen_us += us
        self._offset_us += us

    def reset(self) -> None:
        """Return to real time."""
        self._offset_us, self._frozen_us = 0, None
