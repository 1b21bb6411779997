"""The README's settings are the settings."""

from pathlib import Path

from suppli_mapping.settings import Settings
from suppli_service_kit.settings import settings_table

README = Path(__file__).parents[2] / "README.md"


def test_readme_lists_every_setting() -> None:
    """Who runs the service reads the table; one that is missing there might as well not exist."""
    assert settings_table(Settings).strip() in README.read_text()
