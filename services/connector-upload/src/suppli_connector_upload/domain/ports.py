"""What understanding a file needs from outside: somewhere to put rows aside until their day is complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Protocol


class Spool(Protocol):
    """Holds records by business day, in little memory, for one file."""

    def add(self, day: date, record: bytes) -> None:
        """Put a record aside; those of a day keep their sequence."""
        ...

    def days(self) -> list[date]:
        """Return the days that have records, oldest first."""
        ...

    def count(self, day: date) -> int:
        """Return how many records a day has."""
        ...

    def records(self, day: date) -> Iterator[bytes]:
        """Return a day's records; may be asked for again."""
        ...
