"""`python -m benchmarks`: measure everything, print a table, write `results.json`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from aiokafka.admin import NewTopic
from rich.console import Console
from rich.table import Table
from suppli_demo.system import System

from benchmarks import extraction, latency, mapping
from benchmarks.measure import Results, conditions

MEASURES = {"extraction": extraction.measure, "mapping": mapping.measure, "latency": latency.measure}


def main() -> int:
    """Run the named measures (all by default)."""
    console = Console(highlight=False)
    chosen = sys.argv[1:] or list(MEASURES)
    if unknown := set(chosen) - set(MEASURES):
        console.print(f"Unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}.")
        return 2
    results = Results()
    with (
        tempfile.TemporaryDirectory(prefix="suppli-bench-") as folder,
        System(Path(folder) / "state", cache=Path(".suppli/cache"), say=console.print) as system,
    ):
        system.runtime.kafka.ensure_topics([NewTopic(mapping.SCRATCH, 12, 1)])
        for name in chosen:
            MEASURES[name](system, results)
    table = Table(title=f"Measured on {conditions()}", title_justify="left")
    for column in ("figure", "value", "how"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, value in results.figures.items():
        table.add_row(name, f"{value:,.3f}", results.notes[name])
    console.print(table)
    results.save()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
