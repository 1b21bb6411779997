"""A newcomer's first minute: the demo must run from nothing, and its totals must agree with the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from suppli_demo.consumer import snippet

from tests.e2e.conftest import ROOT, World

SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", ROOT.parent / "shared" / "data"))
EXPORT = SHARED / "pos_exports" / "square_items_detail_us_2023-11.csv"


def demo(folder: Path, *arguments: str) -> str:
    """Run the demo without a terminal and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "suppli_demo", "--folder", str(folder), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all demos: the second one finds what the first one left."""
    return tmp_path_factory.mktemp("demo") / "state"


def test_the_demo_runs_by_itself_and_its_totals_agree_with_its_file(state: Path) -> None:
    printed = demo(state)
    assert "Every total agrees with the file" in printed
    assert printed.count("curl -s") == 5
    for title in ("Square", "Clover"):
        parts = printed.partition(f"{title}: ")[2].partition("the file says")[0]
        assert re.search(r"product sales\D+[1-9]", parts), title
        assert re.search(r"parked \(not mapped\)\D+[1-9]", parts), (
            f"some items of {title} stay unmapped, for the reader to map"
        )


@pytest.mark.shared_data
@pytest.mark.skipif(not EXPORT.exists(), reason=f"needs {EXPORT.name} in the folder of real exports")
def test_a_real_export_comes_out_to_the_cent(state: Path) -> None:
    printed = demo(state, "--sales", str(EXPORT), "--timezone", "America/Los_Angeles")
    assert "Every total agrees with the file" in printed
    for figure in ("37,321.43", "359.72", "36,961.71", "3,277.49", "3,748", "264"):
        assert figure in printed, figure
    assert printed.count("37,321.43") >= 4, "each shop's total and its file's"


def test_the_readmes_ten_line_consumer_prints_product_sales(world_with_sales: World, tmp_path: Path) -> None:
    script = tmp_path / "consume.py"
    script.write_text(snippet())
    assert len([line for line in snippet().splitlines() if line.strip()]) <= 14
    servers = world_with_sales.system.runtime.kafka.bootstrap_servers
    consumer = subprocess.Popen([sys.executable, "-u", script, servers], stdout=subprocess.PIPE, text=True)
    try:
        assert consumer.stdout is not None
        day, location, product, quantity, net = consumer.stdout.readline().split()
        assert re.fullmatch(r"2026-03-\d\d", day)
        assert location.startswith("shop-")
        assert product
        float(quantity)
        int(net)
    finally:
        consumer.terminate()
        consumer.wait(10)
