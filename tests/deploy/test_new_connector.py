"""`make new-connector` writes what passes `make check`, and what fails of it is what is left to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.new_connector.skeleton import Refused, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the longest names that are taken."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    write(tree / "services", "zettlezettlezettleze", "Zettle of the long names")
    return tree


@pytest.fixture(scope="module")
def folder(tree: Path) -> Path:
    """The connector's folder."""
    return tree / "services" / "connector-zettlezettlezettleze"


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this Python and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_connector_passes_the_checks_of_code(tree: Path, folder: Path) -> None:
    """Else its writer begins with somebody else's mistakes."""
    for command in (("ruff", "check", "."), ("ruff", "format", "--check", ".")):
        done = run(*command, cwd=tree)
        assert done.returncode == 0, done.stdout
    source = folder / "src"
    done = run("mypy", source, cwd=ROOT, MYPYPATH=str(source))
    assert done.returncode == 0, done.stdout


def test_what_fails_of_its_tests_is_what_is_left_to_do(folder: Path) -> None:
    """A list on which everything stands, or nothing, or what is done, helps nobody."""
    quiet = ("-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider")
    config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder))
    done = run("pytest", *quiet, *config, folder, cwd=ROOT, PYTHONPATH=str(folder / "src"))
    left = {line.partition("_conforms[")[2] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert done.returncode == 1, done.stdout[-2000:]
    assert "ERROR" not in done.stdout
    to_do = {
        "a page and one is read",
        "a deleted order ends at zero",
        "a token that ends amid a run is renewed once",
    }
    found = {check for check in to_do for line in left if line.startswith(check)}
    assert found == to_do
    assert not [line for line in left if line.startswith(("no order", "one order", "unknown fields"))]


def test_a_name_that_would_fit_nowhere_is_refused(tree: Path) -> None:
    """It would be found out when a topic or a database cannot be made."""
    for name, title in (("Acme", None), ("acme-pos", None), ("7shifts", None), ("acme", 'The "Acme"')):
        with pytest.raises(Refused, match="name"):
            write(tree / "services", name, title)
    assert [each.name for each in (tree / "services").iterdir()] == ["connector-zettlezettlezettleze"]
    with pytest.raises(Refused, match="is there already"):
        write(tree / "services", "zettlezettlezettleze")
