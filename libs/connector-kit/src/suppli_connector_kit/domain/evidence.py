"""What it is worth that a run found no sale: zero needs evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from suppli_contracts.events.sync import Emptiness, NothingFound

from suppli_connector_kit.domain.coverage import Span, Spans
from suppli_connector_kit.domain.instants import HOUR_US

WEEKS = 4
"""How many past weeks say whether a sale is expected."""
_EXPECTED_WEEKS = 2
_WEEK_US = 7 * 24 * HOUR_US
_LEAST_US = HOUR_US  # a lull of minutes is no news, however busy the shop is at that hour in other weeks


def past_windows(asked: Mapping[str, Spans]) -> list[tuple[str, int, Span]]:
    """Return (location, weeks ago, window): the same hours of the weeks before, where that tells anything.

    Args:
        asked: times of modification that the provider was asked for, by location.
    """
    return [
        (location, ago, (start - ago * _WEEK_US, end - ago * _WEEK_US))
        for location, windows in sorted(asked.items())
        for start, end in windows
        if end - start >= _LEAST_US
        for ago in range(1, WEEKS + 1)
    ]


def worth(
    asked: Mapping[str, Spans], past: Sequence[tuple[str, int, Span]], sold: Sequence[bool]
) -> NothingFound:
    """Return what it is worth that a run found nothing, although every location answered.

    Args:
        asked: times that the provider was asked for, by location; none = nobody asked.
        past: the windows of `past_windows`.
        sold: for each of them, whether there were sales.
    """
    if not asked:
        return NothingFound(outcome=Emptiness.SUSPECT, reason="No location's sales were asked for.")
    weeks: dict[str, set[int]] = {}
    for (location, ago, _), found in zip(past, sold, strict=True):
        if found:
            weeks.setdefault(location, set()).add(ago)
    doubted = tuple(location for location, its in sorted(weeks.items()) if len(its) >= _EXPECTED_WEEKS)
    if not doubted:
        return NothingFound(outcome=Emptiness.EMPTY_VERIFIED)
    most = max(len(weeks[location]) for location in doubted)
    return NothingFound(
        outcome=Emptiness.SUSPECT,
        reason=f"Sales were expected: in {most} of the last {WEEKS} weeks there were some in these hours.",
        location_ids=doubted,
    )


def unanswered(why: str) -> NothingFound:
    """Return what it is worth that a run found nothing before it ended early."""
    return NothingFound(outcome=Emptiness.SUSPECT, reason=why)
