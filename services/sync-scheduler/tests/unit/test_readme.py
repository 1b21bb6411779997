"""The README's tables are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from suppli_service_kit.settings import settings_table
from suppli_sync_scheduler import metrics
from suppli_sync_scheduler.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_settings_are_in_the_readme() -> None:
    """Otherwise an operator sets a variable that does nothing."""
    assert settings_table(Settings) in README


def test_metrics_are_in_the_readme() -> None:
    """Otherwise nobody knows what to alert on."""
    for metric in (metrics.RUNS, metrics.SILENT_RUNS, metrics.DUE, metrics.DUE_AGE, metrics.CLAIM_FAILURES):
        assert next(iter(metric.describe())).name in README


def test_wrong_providers_are_refused() -> None:
    """Otherwise a typing error sends commands to a topic that does not exist."""
    with pytest.raises(ValidationError):
        Settings(providers="square, clover")
    assert Settings(providers="square,clover").provider_names() == {"square", "clover"}
