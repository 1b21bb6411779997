"""The README is what an operator goes by."""

from __future__ import annotations

from pathlib import Path

from suppli_connector_clover.manifest import MANIFEST
from suppli_connector_clover.settings import Settings
from suppli_service_kit.settings import settings_table

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_settings_table_is_current() -> None:
    """An operator would set a variable that nobody reads."""
    assert settings_table(Settings).strip() in README


def test_only_read_permissions_each_with_a_reason() -> None:
    """An owner must see why we ask, and never that we could write."""
    assert all(scope.name.startswith("Read ") and len(scope.reason) > 20 for scope in MANIFEST.scopes)
    assert [field.name for field in MANIFEST.credentials if field.secret] == ["token"]
