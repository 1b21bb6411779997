"""Texts of cells: trimmed, sendable, without what could point to a person; remembered, as names repeat."""

from __future__ import annotations

import re
from datetime import date, time
from typing import NamedTuple

from suppli_connector_kit.domain.redact import redact_text
from suppli_connector_kit.domain.text import cleaned, is_clean
from suppli_connector_kit.domain.units import EACH, short_name
from suppli_contracts.names import without_void_suffix

from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.remembered import Remembered

_LONGEST = 255
_CUSTOM = "custom amount"
_GIFT_CARDS = frozenset({"gift card", "gift_card", "giftcard", "egift card"})
_NOTHING = frozenset(
    {"", "-", "–", "—", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "nan", "NaN", "(none)"}
)
_TRUE = frozenset({"true", "yes", "y", "1", "x", "t", "ja", "oui", "si", "sí", "да"})
_BROKEN_ID = re.compile(r"\d(?:\.\d*)?[eE]\+\d+|\d+\.\d+[eE]\d+")
_EXACT_FLOAT = 10**15
_UNITS = {"ea": EACH, "pc": EACH, "pcs": EACH, "st": EACH, "stk": EACH, "lbs": "lb", "kgs": "kg", "": EACH}


def plain_text(cell: Cell) -> str:
    """Return what a cell says, trimmed: a number as digits without needless zeros, an instant as ISO 8601."""
    if isinstance(cell, str):
        text = cell.strip()
        return text if is_clean(text) else cleaned(text)
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT_FLOAT:
        return str(int(cell))
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    return repr(cell)


class Texts(Remembered[str | None]):
    """Texts of cells; None where nothing stands, also in words (`None`, `NA`, `-`)."""

    def find(self, cell: Cell) -> str | None:
        """Return the text in a cell."""
        text = plain_text(cell)[:_LONGEST]
        return None if text in _NOTHING else self._kept(text)

    def _kept(self, text: str) -> str | None:
        return text


class TypedTexts(Texts):
    """Texts that may have been typed at a till: without e-mails, phones and long digits."""

    def _kept(self, text: str) -> str | None:
        return redact_text(text)


class Name(NamedTuple):
    """An item's name without what tills append to voided lines.

    Attributes:
        voided: whether that was there.
        custom: whether it stands for an amount that was typed.
    """

    text: str | None
    voided: bool
    custom: bool


class Names(Remembered[Name]):
    """Names of items.

    Args:
        typed: whether they may have been typed at a till: no id stands beside them.
    """

    def __init__(self, *, typed: bool) -> None:
        super().__init__()
        self._typed = typed

    def find(self, cell: Cell) -> Name:
        """Return the name in a cell."""
        text = plain_text(cell)[:_LONGEST]
        bare = without_void_suffix(text)
        shown = None if bare in _NOTHING else redact_text(bare) if self._typed else bare
        return Name(shown, bare != text, bare.lower() == _CUSTOM)


class Flags(Remembered[bool]):
    """Yes and no, as programs of several languages write them; what is neither is no."""

    def find(self, cell: Cell) -> bool:
        """Return whether a cell says yes."""
        return plain_text(cell).lower() in _TRUE


class GiftCards(Remembered[bool]):
    """Whether a kind of item is a gift card."""

    def find(self, cell: Cell) -> bool:
        """Return whether a cell says so."""
        return plain_text(cell).lower() in _GIFT_CARDS


class Units(Remembered[str]):
    """Units by their short names; none is `each`."""

    def find(self, cell: Cell) -> str:
        """Return the unit in a cell."""
        text = plain_text(cell).lower().rstrip(".")
        return _UNITS.get(text) or short_name(text)


def broken_by_spreadsheet(text: str) -> bool:
    """Return whether an id is a number that a spreadsheet has rounded: `9.00000000019805e+17`."""
    return _BROKEN_ID.fullmatch(text) is not None
