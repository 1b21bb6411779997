"""The workspace's packages, found by their folders, for the tools that want them listed."""

from __future__ import annotations

from pathlib import Path

from tools.parts import with_parts

ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = ("libs/*", "services/*", "sandbox", "deploy/*")


def packages(*folders: str) -> list[Path]:
    """Return the source folder of each package that matches, e.g. `services/*`, by name."""
    found = (path for folder in folders for path in ROOT.glob(f"{folder}/src/suppli_*"))
    return sorted((path for path in found if (path / "__init__.py").exists()), key=lambda path: path.name)


def import_rules(path: Path) -> str:
    """Return .importlinter with every connector in its rules."""
    connectors = packages("services/connector-*")
    pure = [each.name for each in connectors if (each / "domain").is_dir()]
    services = [each.name for each in packages("services/*")]
    parts = {
        "connectors": [each.name for each in connectors],
        "connectors' domains": [f"{name}.domain" for name in pure],
        "services": [" | ".join(services)],
    }
    return with_parts(path, parts)


def workspace(path: Path) -> str:
    """Return pyproject.toml with every package in the type checker's path."""
    found = [each.parent.relative_to(ROOT) for folder in _FOLDERS for each in packages(folder)]
    return with_parts(path, {"packages": [f'"{each}",' for each in found]})
