"""Which times of which locations a run walks, and which of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suppli_connector_kit.domain import coverage
from suppli_connector_kit.domain.coverage import Spans
from suppli_connector_kit.domain.instants import MINUTE_US

_STEP_US = 10 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Walk:
    """Locations that are asked for together, through the same windows, oldest first."""

    locations: tuple[str, ...]
    windows: Spans

    @property
    def length_us(self) -> int:
        """How much time of modification it goes through, in microseconds."""
        return sum(end - start for start, end in self.windows)


def plan(
    covered: Mapping[str, Spans],
    starts: Mapping[str, int],
    *,
    horizon_us: int,
    overlap_us: int,
    per_call: int,
    again: Spans = (),
    least_us: int = 0,
) -> list[Walk]:
    """Return the walks that leave nothing uncovered between each location's start and the horizon.

    Args:
        covered: what is imported already, by location.
        starts: from when each location is wanted; these locations are planned.
        horizon_us: the provider's clock less the safety lag.
        overlap_us: how far a window goes back over what is covered.
        per_call: most locations that the provider takes in one call.
        again: times that are read again whether covered or not (sweep, republish, the newest).
        least_us: a window shorter than this is left for the next run.
    """
    together: dict[Spans, list[str]] = defaultdict(list)
    for location, start in sorted(starts.items()):
        holes = coverage.missing(covered.get(location, ()), (start, horizon_us))
        holes = tuple(hole for hole in holes if hole[1] - hole[0] > least_us)
        windows = coverage.widen(holes, overlap_us=overlap_us, step_us=_STEP_US, floor_us=start)
        wanted = ((max(start, since), min(horizon_us, until)) for since, until in again)
        windows = coverage.merge((*windows, *wanted))
        if windows:
            together[windows].append(location)
    return [
        Walk(tuple(group), windows)
        for windows, locations in together.items()
        for group in _chunks(locations, per_call)
    ]


def _chunks(locations: Sequence[str], size: int) -> list[Sequence[str]]:
    return [locations[at : at + size] for at in range(0, len(locations), size)]
