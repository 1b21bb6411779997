"""Saying parts of an order, for the first time or again after a mapping or a location's tie changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from suppli_contracts.events.sales import Cause

from suppli_mapping.domain.diff import Change, Stored, changes, first
from suppli_mapping.domain.entries import Book, LineState, Part, Place, Standing, stand


class Said(msgspec.Struct):
    """What was made of an order's parts: for each the item's revision and its state, and what changed."""

    states: list[tuple[int, LineState]]
    changes: list[Change]


def say(
    connection_id: UUID,
    order_id: str,
    parts: Sequence[tuple[Part, Cause]],
    before: Mapping[str, Stored],
    *,
    book: Book,
    place: Place,
    default: Cause = Cause.EDIT,
) -> Said:
    """Return what `parts` now stand for, against the entries `before`.

    Args:
        connection_id: of the order.
        order_id: the provider's id.
        parts: what is said, each with why.
        before: the entries that the ledger has of exactly these parts, or of the whole order where parts
            may be gone. book: the mappings.
        place: where the order counts.
        default: why an entry ends whose part is gone.

    Raises:
        BadQuantity: a quantity is no decimal, or beyond all measure in stock units.
    """
    connection = str(connection_id)
    states: list[tuple[int, LineState]] = []
    after: list[tuple[Standing, Cause]] = []
    for part, cause in parts:
        resolution = book.resolve(part.item_id, part.business_date, part.unit)
        state, entries = stand(connection, order_id, part, resolution, place)
        states.append((resolution.said_revision, state))
        after.extend((entry, cause) for entry in entries)
    if not before:
        return Said(states, first(after))
    why = {
        (part.line_id, part.part): Cause.SUPERSEDED if state is LineState.SUPERSEDED else cause
        for (part, cause), (_, state) in zip(parts, states, strict=True)
    }
    return Said(states, changes(before, after, causes=why, default=default))
