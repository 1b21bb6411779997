"""Two of every service, each with a network of its own to spoil, once for all tests here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.system import ChaosSystem
from tests.e2e.conftest import ROOT
from tests.e2e.conftest import make_world as make_world


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosSystem]:
    """Two replicas of every service."""
    cache = Path(os.environ.get("SUPPLI_CACHE", ROOT / ".suppli" / "cache"))
    with ChaosSystem(tmp_path_factory.mktemp("chaos"), cache=cache, replicas=2) as running:
        yield running


@pytest.fixture(autouse=True)
def calm(system: ChaosSystem) -> Iterator[None]:
    """Leave nothing frozen or cut off behind, also where a test fails."""
    yield
    system.calm()
