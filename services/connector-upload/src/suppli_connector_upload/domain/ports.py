"""What understanding a file needs from outside: somewhere to put rows aside until their day is complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Spool(Protocol):
    """Holds records by key (a business date's ordinal, or a part of one), in little memory."""

    def add(self, key: int, record: bytes) -> None:
        """Put a record aside; those of a key keep their sequence."""
        ...

    def known(self) -> list[int]:
        """Return the keys that have records, in ascending order."""
        ...

    def count(self, key: int) -> int:
        """Return how many records a key has."""
        ...

    def records(self, key: int) -> Iterator[bytes]:
        """Return a key's records."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
