"""Answers about cells, remembered: prices, names and instants repeat."""

from __future__ import annotations

from typing import TypeVar

from suppli_connector_upload.domain.files import Cell

V = TypeVar("V")
_MOST = 1 << 14


class Remembered(dict[Cell, V]):
    """What was read of each cell; forgets everything once it holds many, so that memory stays flat.

    A subclass says in `find` how a cell is read; a problem that it raises is not remembered.
    """

    def find(self, cell: Cell) -> V:
        """Read a cell."""
        raise NotImplementedError

    def __missing__(self, cell: Cell) -> V:
        found = self.find(cell)
        if len(self) >= _MOST:
            self.clear()
        self[cell] = found
        return found
