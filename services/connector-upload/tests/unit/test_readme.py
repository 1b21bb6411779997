"""The README is what an operator goes by."""

from __future__ import annotations

from pathlib import Path

from suppli_connector_upload.settings import Settings
from suppli_service_kit.settings import settings_table

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_settings_table_is_current() -> None:
    """An operator would set a variable that nobody reads."""
    assert settings_table(Settings).strip() in README
