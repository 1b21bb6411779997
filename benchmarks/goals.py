"""What each figure is to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = float | Mapping[str, float]
"""A figure, or one for each service."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound: the least or the most that is good enough; of several values, each must hold it."""

    bound: float
    least: bool

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:,.10g}"

    def missed(self, value: Value) -> float:
        """Return by how much the worst value misses the bound, 0 where it is held."""
        values = value.values() if isinstance(value, Mapping) else (value,)
        worst = min(values) if self.least else max(values)
        return max(0.0, self.bound - worst if self.least else worst - self.bound)


def at_least(bound: float) -> Goal:
    """Return the goal of so much or more."""
    return Goal(bound, least=True)


def at_most(bound: float) -> Goal:
    """Return the goal of so much or less."""
    return Goal(bound, least=False)


GOALS = {
    "extraction_ratio": at_least(0.5),
    "clover_extraction_ratio": at_least(0.4),
    "mapping_ratio": at_least(0.4),
    "sale_to_event_median_s": at_most(1),
    "neighbour_median_s": at_most(2),
    "restate_lines_per_s": at_least(5_000),
    "growth_10k_to_300k": at_most(1.15),
    "rss_mb": at_most(160),
    "rss_growth_mb": at_most(20),
    "scheduler_claims_per_s": at_least(2_000),
    "upload_rows_per_s": at_least(20_000),
    "upload_rss_mb": at_most(200),
    "upload_workbook_s": at_most(20),
    "scheduler_idle_core": at_most(0.03),
}
"""By the name of the figure; what is not here is said for the record."""
