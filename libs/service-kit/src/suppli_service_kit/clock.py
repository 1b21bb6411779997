"""What time it is, as a thing that is passed in: the only place where the kit asks the machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from suppli_service_kit.settings import ServiceSettings


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the instant now, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the instant now (UTC)."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved, for tests."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs a timezone-aware instant")
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant at which the clock stands."""
        return self._at

    def advance(self, delta: timedelta) -> None:
        """Move the clock by `delta`."""
        self._at += delta


class OffsetClock:
    """The machine's clock plus the seconds in a file, so that a development system can be moved in time.

    The file is read again whenever it changed; a missing or empty file means no offset.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the instant now (UTC), moved by the offset.

        Raises:
            ValueError: the file holds something that is no number of seconds.
        """
        try:
            stat = os.stat(self._path)  # noqa: PTH116 - asked at every call, so the cheapest way
        except FileNotFoundError:
            return datetime.now(UTC)
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._seen:
            text = self._path.read_text().strip()
            self._offset = timedelta(seconds=float(text or 0))
            self._seen = stamp
        return datetime.now(UTC) + self._offset


def clock_from(settings: ServiceSettings) -> Clock:
    """Return the clock that the settings ask for; production has the machine's only."""
    if settings.clock_offset_file is None:
        return SystemClock()
    return OffsetClock(settings.clock_offset_file)
