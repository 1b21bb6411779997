"""What has to be said so that an entry's deltas always add up to what stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from suppli_contracts.events.sales import Cause, Disposition

from suppli_mapping.domain.entries import VOIDS, Standing

Figures = tuple[int, int, int, int, int]
NOTHING: Figures = (0, 0, 0, 0, 0)


class Stored(msgspec.Struct, gc=False):
    """An entry as the ledger has it."""

    standing: Standing
    version: int


class Change(msgspec.Struct, gc=False):
    """One event of an entry: how it now stands, its version, and the difference to the version before."""

    standing: Standing
    version: int
    delta: Figures
    cause: Cause


def first(after: Iterable[tuple[Standing, Cause]]) -> list[Change]:
    """Return what is to be said where nothing was said before."""
    return [
        Change(standing, 1, amounts, cause)
        for standing, cause in after
        if (amounts := standing.amounts()) != NOTHING
    ]


def changes(
    before: Mapping[str, Stored],
    after: Iterable[tuple[Standing, Cause]],
    *,
    causes: Mapping[tuple[str, str], Cause],
    default: Cause,
) -> list[Change]:
    """Return what is to be said about one order (or some of its parts).

    Args:
        before: the entries that the ledger has of it, those that stand at zero too.
        after: the entries that now stand, each with why; every other one of `before` ends at zero.
        causes: why an entry of a part (by line and part) ends that stands no more.
        default: why an entry ends whose part is gone.
    """
    found: list[Change] = []
    said: set[str] = set()
    for standing, cause in after:
        said.add(standing.entry_key)
        amounts = standing.amounts()
        stored = before.get(standing.entry_key)
        if stored is None:
            if amounts != NOTHING:
                found.append(Change(standing, 1, amounts, cause))
            continue
        previous = stored.standing.amounts()
        moved = amounts != NOTHING and standing.occurred_at != stored.standing.occurred_at
        if amounts != previous or moved:
            found.append(Change(standing, stored.version + 1, _less(amounts, previous), cause))
    for key, stored in before.items():
        previous = stored.standing.amounts()
        if key not in said and previous != NOTHING:
            gone = _emptied(stored.standing)
            cause = causes.get((gone.line_id, gone.part), default)
            found.append(Change(gone, stored.version + 1, _less(NOTHING, previous), cause))
    return found


def _less(amounts: Figures, previous: Figures) -> Figures:
    return (
        amounts[0] - previous[0],
        amounts[1] - previous[1],
        amounts[2] - previous[2],
        amounts[3] - previous[3],
        amounts[4] - previous[4],
    )


def _emptied(standing: Standing) -> Standing:
    return msgspec.structs.replace(standing, quantity=0, consumed=0, gross=0, discount=0, net=0)


def cause_of(disposition: Disposition, *, known: bool) -> Cause:
    """Return why a raw sale changes a part.

    Args:
        disposition: of its line now.
        known: whether the ledger had the part before.
    """
    if disposition is not Disposition.SOLD and (disposition in VOIDS or disposition is Disposition.CANCELLED):
        return Cause.VOID
    if known:
        return Cause.EDIT
    return Cause.RETURN if disposition is Disposition.RETURNED else Cause.SALE
