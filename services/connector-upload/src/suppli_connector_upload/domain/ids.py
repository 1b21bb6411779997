"""Which ids of a file may be keys: those that a spreadsheet has not damaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suppli_connector_upload.domain.outcomes import Notice

_FEW = 20
_LONG = 4
_ROUNDED_SHARE = 0.2
_NAMES_AN_ID = 3


@dataclass(slots=True)
class IdWatch:
    """Watches a column of ids over a whole file; the sequence of rows makes no difference.

    Attributes:
        broken: numbers that a spreadsheet shows rounded (`9.0E+17`): those are left aside one by one.
    """

    seen: int = 0
    broken: int = 0
    _first: str | None = None
    _first_at: int = 0
    _differ: bool = False
    _moments: bool = False
    _long: int = 0
    _rounded: int = 0

    def see(self, text: str, at_us: int) -> None:
        """Look at an id of a row, and the instant of that row."""
        self.seen += 1
        if not self._differ:
            if self._first is None:
                self._first, self._first_at = text, at_us
            elif text != self._first:
                self._differ = True
            elif at_us != self._first_at:
                self._moments = True
        if len(text) >= _LONG and text.isdigit():
            self._long += 1
            if text[-2:] == "00":
                self._rounded += 1

    def damage(self) -> Notice | None:
        """Return what is wrong with the column as a whole; None = its ids may be keys."""
        if self.seen >= _FEW and not self._differ and self._moments:
            return Notice(
                "order_ids_alike",
                f"All {self.seen} rows have the same order id: a spreadsheet has damaged it. It is not used;"
                " each row counts as a sale of its own.",
            )
        if self._long >= _FEW and self._rounded >= _ROUNDED_SHARE * self._long:
            return Notice(
                "order_ids_rounded",
                f"{self._rounded} of {self._long} order ids of four digits or more end in 00: a spreadsheet"
                " has rounded them, and different orders share one. They are not used; each row counts as a"
                " sale of its own.",
            )
        return None

    def broken_notice(self) -> Notice | None:
        """Return what there is to say about ids that are left aside one by one."""
        if not self.broken:
            return None
        return Notice(
            "order_ids_broken",
            f"{self.broken} rows have an id that a spreadsheet has rounded (such as 9.0E+17). It is not used;"
            " each of these rows counts as a sale of its own.",
        )


def broken_items_notice(count: int) -> Notice | None:
    """Return what there is to say about ids of items that are left aside one by one."""
    if not count:
        return None
    return Notice(
        "item_ids_broken",
        f"{count} ids, SKUs or barcodes of items are numbers that a spreadsheet has rounded (such as"
        " 9.0E+17): different items would share one. They are not used; those items are told by their names.",
    )


def collapsed(pairs: Iterable[tuple[str | None, str | None]]) -> bool:
    """Return whether ids of items stand for several names each, as ids do that were rounded to one.

    Args:
        pairs: id and name of each row.
    """
    known = {(key, name) for key, name in pairs if key is not None and name is not None}
    return len(known) >= _FEW and len(known) >= _NAMES_AN_ID * len({key for key, _ in known})
