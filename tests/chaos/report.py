"""What a campaign came to, as people read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Outcome:
    """What faults that struck together did: how long they lasted, and how long until all was well (s)."""

    faults: tuple[str, ...]
    lasted: float
    recovery: float
    failed_runs: int
    remarks: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What a campaign came to; `wrong` is empty when nothing was lost, doubled or left behind."""

    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def count(self) -> None:
        """Add the figures of the faults."""
        took = [outcome.lasted + outcome.recovery for outcome in self.outcomes]
        faults = sum(len(outcome.faults) for outcome in self.outcomes)
        self.figures |= {
            "faults": faults,
            "seconds a fault, on average": round(sum(took) / max(1, faults), 1),
            "recovery: median, longest (s)": [
                round(figure, 1)
                for figure in (
                    median(outcome.recovery for outcome in self.outcomes),
                    max(outcome.recovery for outcome in self.outcomes),
                )
            ],
            "longest with its recovery (s)": round(max(took), 1),
            "failed runs meanwhile": sum(outcome.failed_runs for outcome in self.outcomes),
        }

    def text(self) -> str:
        """Return the report as people read it."""
        rows = []
        for number, each in enumerate(self.outcomes, 1):
            first, *rest = each.faults
            rows.append(f"{number:4} {first:58} {each.lasted:6.1f} {each.recovery:9.1f} {each.failed_runs:7}")
            rows += [f"{'':4} {name}" for name in rest]
            rows += [f"{'':4} ! {remark}" for remark in each.remarks]
        head = f"{'':4} {'faults that overlap':58} {'lasted':>6} {'recovery':>9} {'failed':>7}"
        figures = [f"{name:32} {value}" for name, value in self.figures.items()]
        verdict = self.wrong or ["Nothing lost, nothing doubled, nothing left behind."]
        return "\n".join([f"Seed {self.seed}", head, *rows, "", *figures, "", *verdict])
