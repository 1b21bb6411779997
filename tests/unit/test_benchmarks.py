"""The benchmarks' own promises: a figure that cannot be believed, or that failed, is never shown as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import extraction, measure
from benchmarks.measure import Results


@pytest.fixture(autouse=True)
def results_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results.json")
    return tmp_path / "results.json"


def test_one_measure_that_fails_does_not_lose_the_others(
    results_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quarter of an hour of measuring would be for nothing."""

    def run(each: benchmarks.Measure, results: Results) -> None:
        if each is benchmarks.MEASURES["memory"]:
            raise RuntimeError("no figure today")
        results.add("sale_to_event_median_s", 1.25, "how")

    assert benchmarks.main(["memory", "latency"], run) == 1
    written = json.loads(results_file.read_text())
    assert written["sale_to_event_median_s"] == 1.25
    assert written["void"] == {"memory": "RuntimeError: no figure today"}
    shown = capsys.readouterr().out
    assert "misses by 0.25" in shown
    assert "no figure today" in shown


def test_a_goal_is_held_by_every_service() -> None:
    """The average would hide the one that is ended for its memory."""
    results = Results({})
    results.add("rss_mb", {"gateway": 120.0, "mapping": 171.0}, "how")
    [row] = results.rows()
    assert row.verdict == "misses by 11"


def test_a_sandbox_that_is_too_slow_gives_no_figure() -> None:
    """The ratio would say how fast the stand-in is, not the connector."""
    results = Results({})
    extraction.conclude(
        results, extraction.Rounds(bare=[1.0], ours=[2.0], served=[0.7], cpu=[1.0], database=[0.1])
    )
    assert not results.figures
    assert set(results.void) == set(extraction.FIGURES)
    results = Results({})
    extraction.conclude(
        results, extraction.Rounds(bare=[1.0], ours=[2.0], served=[0.6], cpu=[1.0], database=[0.1])
    )
    assert results.figures["extraction_ratio"] == 0.5


def test_an_unknown_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error would measure nothing and look fine."""
    assert benchmarks.main(["extraktion"]) == 2
    assert "extraktion" in capsys.readouterr().out
