"""The README says what the code has."""

from __future__ import annotations

from pathlib import Path

from suppli_connector_kit.settings import ConnectorSettings
from suppli_service_kit.settings import ServiceSettings, settings_table

README = Path(__file__).parents[2] / "README.md"


def table() -> str:
    """Return the settings that the kit adds, under a connector's prefix."""
    others = set(settings_table(ServiceSettings).splitlines()[2:])
    lines = [line for line in settings_table(ConnectorSettings).splitlines() if line not in others]
    return "\n".join(line.replace("`SUPPLI_", "`SUPPLI_CONNECTOR_<PROVIDER>_") for line in lines)


def test_the_readme_lists_every_setting() -> None:
    """An operator would not know what can be changed, or would set what nobody reads."""
    shown = README.read_text().partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]
    assert shown == table()
