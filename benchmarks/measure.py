"""Timing and the results file."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results.json"


@dataclass
class Results:
    """Figures by name, with what they need to be believed."""

    figures: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float, note: str) -> None:
        """Keep a figure."""
        self.figures[name] = round(value, 4)
        self.notes[name] = note

    def save(self) -> None:
        """Write the figures, with the conditions, beside this file (ignored by git)."""
        RESULTS.write_text(
            json.dumps({"conditions": conditions(), "figures": self.figures, "notes": self.notes}, indent=2)
            + "\n"
        )


def conditions() -> str:
    """Say what the figures were measured on."""
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return f"{machine}, Python {platform.python_version()}, load {load:.1f}"


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)
