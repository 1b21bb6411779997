"""`python -m benchmarks [measure ...]`: measure everything, print a table, write `results.json`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import NewTopic
from rich.console import Console
from rich.table import Table
from suppli_demo.system import System

from benchmarks import backfill, clover, extraction, latency, mapping, memory, restate, scheduler, upload
from benchmarks.measure import Results, conditions

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Measure:
    """Adds figures to the results, with a system of its own, so that none finds what another left.

    Attributes:
        extra: more environment variables by service; said in the figure's note.
    """

    run: Callable[[System, Results], None]
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


MEASURES = {
    "memory": Measure(memory.measure),
    "latency": Measure(latency.measure),
    "extraction": Measure(extraction.measure, extraction.EXTRA),
    "clover": Measure(clover.measure, clover.EXTRA),
    "mapping": Measure(mapping.measure, mapping.EXTRA),
    "restate": Measure(restate.measure),
    "backfill": Measure(backfill.measure),
    "scheduler": Measure(scheduler.measure),
    "upload": Measure(upload.measure, upload.EXTRA),
}


Run = Callable[["Measure", Results], None]


def main(chosen: list[str], run: Run | None = None) -> int:
    """Run the named measures (all by default); 1 where one gave no figure, 2 for a name that is none."""
    run = run or measured
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    names = chosen or list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        console.print(f"Unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}.")
        return 2
    results = Results(conditions())
    for name in names:
        began, load = time.monotonic(), os.getloadavg()[0]
        try:
            run(MEASURES[name], results)
        except Exception as error:  # the others' figures are worth having
            results.leave_out(name, f"{type(error).__name__}: {error}")
            console.print_exception(max_frames=8)
        results.measured[name] = f"{time.monotonic() - began:.0f} s, begun at load {load:.1f}"
        results.save()
        console.print(f"{name}: {results.measured[name]}")
    console.print(_table(results))
    return 1 if results.void else 0


def measured(measure: Measure, results: Results) -> None:
    """Start a system and let the measure add its figures."""
    cache = Path(os.environ.get("SUPPLI_CACHE", ROOT / ".suppli" / "cache"))
    with (
        tempfile.TemporaryDirectory(prefix="suppli-bench-") as folder,
        System(Path(folder) / "state", cache=cache, extra=measure.extra) as system,
    ):
        system.runtime.kafka.ensure_topics([NewTopic(mapping.SCRATCH, 12, 1)])
        measure.run(system, results)


def _table(results: Results) -> Table:
    said = "; ".join(f"{name} {value}" for name, value in results.conditions.items())
    table = Table(title=said, title_justify="left", show_lines=True)
    for column in ("figure", "value", "goal", "verdict", "how"):
        table.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for row in results.rows():
        table.add_row(row.name, row.value, row.goal, row.verdict, row.how)
    return table


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
