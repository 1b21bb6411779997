"""`python -m tests.chaos --faults N --seed S`: a long campaign with a report; exit code 1 for any finding."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.faults import Fault, rounds, short
from tests.chaos.system import LEASE_SECONDS, ChaosSystem
from tests.e2e.conftest import ROOT


def main() -> int:
    """Run a campaign as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=30, help="how many")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed: the same faults in the same order"
    )
    parser.add_argument("--orders", type=int, default=5000, help="sold in all, over three merchants")
    parser.add_argument("--replicas", type=int, default=2, help="processes of every service")
    parser.add_argument("--overlap", type=int, default=2, help="how many faults strike at once")
    parser.add_argument("--only", default="", help="only faults with this in their name")
    parser.add_argument("--short", action="store_true", help="the selection that the tests make")
    parser.add_argument("--folder", type=Path, help="for state and logs, kept; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="suppli-chaos-") as temporary:
        folder = arguments.folder or Path(temporary)
        cache = Path(os.environ.get("SUPPLI_CACHE", ROOT / ".suppli" / "cache"))
        with ChaosSystem(folder, cache=cache, replicas=arguments.replicas, say=_say) as system:
            draw = random.Random(arguments.seed)
            campaign = Campaign(system, arguments.seed, orders=arguments.orders, say=_say)
            faults: Iterator[Fault] = rounds(system, LEASE_SECONDS, draw)
            if arguments.short:
                faults = iter(short(system, draw))
            chosen = (each for each in faults if arguments.only in each.name)
            report = campaign.run(chosen, arguments.faults, overlap=arguments.overlap)
    _say(report.text())
    return 1 if report.wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
