"""A connector's folder from the templates beside: names filled in, settings table and all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from string import Template

from tools.workspace import ROOT

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 24
_NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
_TABLE = """
import sys
from suppli_service_kit.settings import settings_table
sys.path.insert(0, sys.argv[1])
from {package}.settings import Settings
sys.stdout.write(settings_table(Settings).strip())
"""
_SETTINGS = "(the table of settings)"


class Refused(Exception):
    """What was asked for cannot be written; says why."""


def write(services: Path, name: str, title: str | None = None) -> Path:
    """Write `<services>/connector-<name>` and return it.

    Args:
        name: the provider's short name; it names package, topics, database and secrets, and never changes.
        title: its name for people; by default the short name with a capital.

    Raises:
        Refused: a name is none, or the folder is there already; nothing was written.
    """
    if _NAME.fullmatch(name) is None:
        raise Refused(f"{name!r} is no short name: use small letters and digits, a letter first, e.g. acme")
    folder = services / f"connector-{name}"
    if folder.exists():
        raise Refused(f"{folder} is there already")
    package = f"suppli_connector_{name}"
    title = title or name.capitalize()
    if len(title) > _LONGEST or not title.isprintable() or '"' in title:
        raise Refused(f"{title!r} is no name for people: at most {_LONGEST} characters, no quotes")
    values = {
        "name": name,
        "title": title,
        "class": name.capitalize(),
        "package": package,
        "prefix": f"SUPPLI_CONNECTOR_{name.upper()}_",
    }
    for template in sorted(TEMPLATES.rglob("*.txt")):
        place = template.relative_to(TEMPLATES).with_suffix("")
        parts = [package if part == "package" else part for part in place.parts]
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text()).substitute(values))
    _tidy(folder)
    readme = folder / "README.md"
    readme.write_text(readme.read_text().replace(_SETTINGS, _settings(folder / "src", package)))
    return folder


def _tidy(folder: Path) -> None:
    """Sort imports and format: where a name falls among others is for the name to say."""
    config = ["--quiet", "--config", str(ROOT / "pyproject.toml"), str(folder)]
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *config], cwd=ROOT, check=True)


def _settings(source: Path, package: str) -> str:
    """Return the README's table of settings, as a process of its own reads them."""
    script = _TABLE.format(package=package)
    done = subprocess.run(
        [sys.executable, "-c", script, str(source)], capture_output=True, text=True, check=True
    )
    return done.stdout
