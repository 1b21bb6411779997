"""A package whose tests `make test` does not run looks as if it passed."""

from __future__ import annotations

from tools.suites import SUITES, missing, units


def test_every_packages_tests_are_run() -> None:
    assert missing() == []
    without = tuple(suite for suite in SUITES if suite != ("services/mapping",))
    assert missing(without) == ["services/mapping"]


def test_unit_tests_of_every_part_are_run_once() -> None:
    services, libraries, others = units()
    assert "services/mapping/tests/unit" in services
    assert "libs/connector-kit/tests/unit" in libraries
    assert {"tests/unit", "sandbox/tests/unit", "deploy/embedded/tests/unit"} == set(others)
