"""Figures with what they need to be believed, and the results file."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, Value

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    value: str
    goal: str
    verdict: str
    how: str


@dataclass
class Results:
    """Figures by name, how each came about, and what gave none.

    Attributes:
        conditions: what the figures were measured on.
        void: by figure or measure, why there is no figure.
        measured: by measure, how long it took, and how busy the machine was when it began.
    """

    conditions: dict[str, Any]
    figures: dict[str, Value] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    void: dict[str, str] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Value, note: str) -> None:
        """Keep a figure, or one for each service."""
        self.figures[name] = _rounded(value)
        self.notes[name] = note

    def leave_out(self, name: str, why: str) -> None:
        """Say why there is no figure of this name (or none of this measure)."""
        self.void[name] = why

    def rows(self) -> list[Row]:
        """Return what there is to show, void ones last."""
        rows = [_row(name, value, self.notes[name]) for name, value in self.figures.items()]
        return rows + [Row(name, "none", "", "void", why) for name, why in self.void.items()]

    def save(self) -> None:
        """Write the figures under their names, with conditions and notes, beside this file (ignored by
        git).
        """
        content = {
            **self.figures,
            "conditions": self.conditions,
            "notes": self.notes,
            "void": self.void,
            "measured": self.measured,
        }
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def conditions() -> dict[str, Any]:
    """Say what is measured on, before anything is measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "servers": "PostgreSQL without fsync, one Kafka broker, sandbox and baselines on the same machine",
    }


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the smallest and the largest, for a note."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def _rounded(value: Value) -> Value:
    if isinstance(value, Mapping):
        return {name: round(each, 4) for name, each in value.items()}
    return round(value, 4)


def _row(name: str, value: Value, note: str) -> Row:
    goal = GOALS.get(name)
    if goal is None:
        return Row(name, _shown(value), "", "", note)
    missed = goal.missed(value)
    return Row(name, _shown(value), str(goal), f"misses by {_number(missed)}" if missed else "reached", note)


def _shown(value: Value) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name} {_number(each)}" for name, each in value.items())
    return _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
