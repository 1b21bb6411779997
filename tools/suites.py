"""Run every test, or every unit test: groups of packages, each in a run of pytest of its own, some at a time.

What one group leaves on a topic is not another's backlog, and both cores are used: most tests wait.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tools.workspace import ROOT

AT_ONCE = 3
Suites = tuple[tuple[str, ...], ...]
_CONNECTORS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("services/connector-*"))
SUITES: Suites = (
    ("tests",),  # the longest first
    (*_CONNECTORS, "services/gateway"),
    ("sandbox", "deploy", "libs/contracts", "libs/service-kit"),
    ("libs/connector-kit",),
    ("services/sync-scheduler",),
    ("services/mapping",),
)


def missing(suites: Suites = SUITES) -> list[str]:
    """Return packages with tests that no group names."""
    named = {folder for suite in suites for folder in suite}
    found = (str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/tests"))
    return sorted(each for each in found if named.isdisjoint((each, each.partition("/")[0])))


def units() -> Suites:
    """Return the folders of unit tests: those of services, of libraries, and the others."""
    found = [
        str(path.relative_to(ROOT))
        for place in ("services/*", "libs/*", "deploy/*", "sandbox", ".")
        for path in sorted(ROOT.glob(f"{place}/tests/unit"))
    ]
    parts = ("services/", "libs/")
    groups = (tuple(folder for folder in found if folder.startswith(part)) for part in parts)
    return *groups, tuple(folder for folder in found if not folder.startswith(parts))


async def run(suite: tuple[str, ...], turn: asyncio.Semaphore) -> bool:
    """Run one group and print what it said once it has ended; return whether it passed."""
    name = " ".join(suite)
    async with turn:
        _say(f"== {name}: begun")
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pytest", *suite, cwd=ROOT, stdout=output, stderr=output
            )
            passed = await process.wait() == 0
            output.seek(0)
            said = output.read().decode(errors="replace")
        _say(f"{said}== {name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - began:.0f} s")
        return passed


async def run_all(suites: Suites, at_once: int) -> list[str]:
    """Run all groups, so many at a time; return the names of those that failed."""
    turn = asyncio.Semaphore(at_once)
    passed = await asyncio.gather(*(run(suite, turn) for suite in suites))
    return [" ".join(suite) for suite, well in zip(suites, passed, strict=True) if not well]


def main() -> int:
    """Run all groups; 1 where one failed, or a package's tests would not be run at all."""
    parser = argparse.ArgumentParser(prog="python -m tools.suites", description=__doc__)
    parser.add_argument("--at-once", type=int, default=AT_ONCE if (os.cpu_count() or 1) > 1 else 1)
    parser.add_argument("--unit", action="store_true", help="only the tests that need no server")
    arguments = parser.parse_args()
    if forgotten := missing():
        _say(f"No group of {Path(__file__).relative_to(ROOT)} has the tests of {', '.join(forgotten)}.")
        return 1
    failed = asyncio.run(run_all(units() if arguments.unit else SUITES, arguments.at_once))
    if failed:
        _say(f"Failed: {'; '.join(failed)}")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
