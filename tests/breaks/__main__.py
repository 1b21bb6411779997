"""`python -m tests.breaks [NAME ...]`: break a copy of the code in one way at a time; the tests must find it.

`--check` only looks whether every break still applies to the code as it is, and whether docs/reliability.md
has the list (`--table` prints it), in no time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("breaks.toml")
PAGE = ROOT / "docs" / "reliability.md"
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".suppli", ".*_cache", ".hypothesis", "__pycache__")
_PYTEST_SECONDS = 300


@dataclass(frozen=True)
class Edit:
    """A text that stands exactly once in a file, and what the break puts in its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Break:
    """One way to break the product.

    Attributes:
        name: what is done wrong, short.
        harm: what a user would lose.
        tests: by pytest's names; each of them must fail.
    """

    name: str
    harm: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def load() -> list[Break]:
    """Return all breaks of the list; raises where it is malformed."""
    document = tomllib.loads(LIST.read_text())
    return [
        Break(
            entry["name"],
            entry["harm"],
            tuple(Edit(**edit) for edit in entry["edits"]),
            tuple(entry["tests"]),
        )
        for entry in document["breaks"]
    ]


def problems(each: Break, root: Path = ROOT) -> list[str]:
    """Return why a break does not apply to the code below `root`, nothing where it does."""
    found = []
    for edit in each.edits:
        path = root / edit.file
        count = path.read_text().count(edit.old) if path.is_file() else 0
        if count != 1 or edit.old == edit.new:
            found.append(
                f"{each.name}: its text stands {count} times in {edit.file}, not once;"
                f" mend tests/breaks/{LIST.name}"
            )
    for test in each.tests:
        file, _, name = test.partition("::")
        path = root / file
        if not path.is_file() or f"def {name.split('[')[0]}(" not in path.read_text():
            found.append(f"{each.name}: there is no test {test}")
    return found


def apply(each: Break, root: Path) -> None:
    """Break the code below `root`."""
    for edit in each.edits:
        path = root / edit.file
        path.write_text(path.read_text().replace(edit.old, edit.new))


def survivors(each: Break, root: Path) -> list[str]:
    """Run a break's tests on the code below `root`; return those that do not fail, or why none did."""
    report = root / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    run = subprocess.run(
        [*command, *each.tests],
        cwd=root,
        env=_environment(root),
        capture_output=True,
        text=True,
        timeout=_PYTEST_SECONDS,
        check=False,
    )
    if run.returncode != 1 or not report.is_file():
        said = f"{run.stdout[-2000:]}{run.stderr[-2000:]}"
        return [f"pytest ended with {run.returncode}, so that no test failed:\n{said}"]
    failed = {
        case.attrib["name"].split("[")[0]
        for case in ElementTree.parse(report).iter("testcase")  # noqa: S314 - see above
        if case.find("failure") is not None
    }
    return [test for test in each.tests if test.partition("::")[2].split("[")[0] not in failed]


def table(breaks: list[Break]) -> str:
    """Return the breaks as a table: what is done wrong, what a user would lose, which tests find it."""
    lines = ["| break | what it costs | found by |", "| --- | --- | --- |"]
    for each in breaks:
        found_by = ", ".join(f"{_layer(test)} `{test.partition('::')[2]}`" for test in each.tests)
        lines.append(f"| {each.name} | {each.harm} | {found_by} |")
    return "\n".join(lines)


def _layer(test: str) -> str:
    return next((layer for layer in ("unit", "integration") if f"/{layer}/" in test), "end to end:")


def _environment(root: Path) -> dict[str, str]:
    """Return an environment in which our packages are those of the copy."""
    sources = sorted(str(path.parent) for path in root.glob("*/*/pyproject.toml"))
    paths = [str(root), str(root / "sandbox" / "src"), *(f"{source}/src" for source in sources)]
    cache = os.environ.get("SUPPLI_CACHE", str(ROOT / ".suppli" / "cache"))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "SUPPLI_CACHE": cache}


def _imports_the_copy(root: Path) -> bool:
    program = "import suppli_service_kit; print(suppli_service_kit.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", program], env=_environment(root), capture_output=True, text=True, check=True
    )
    return Path(run.stdout.strip()).is_relative_to(root)


def main() -> int:
    """Try the breaks that the arguments name; 1 where a test did not find one."""
    parser = argparse.ArgumentParser(prog="python -m tests.breaks", description=__doc__)
    parser.add_argument("names", nargs="*", help="only breaks with one of these in their name")
    parser.add_argument("--check", action="store_true", help="only whether all of them still apply")
    parser.add_argument("--table", action="store_true", help="only print the list as a table")
    arguments = parser.parse_args()
    breaks = load()
    if arguments.table:
        _say(table(breaks))
        return 0
    wrong = [problem for each in breaks for problem in problems(each)]
    if table(breaks) not in PAGE.read_text():
        wrong.append(
            f"{PAGE.relative_to(ROOT)} has another list of breaks: put `python -m tests.breaks --table` there"
        )
    if wrong or arguments.check:
        _say("\n".join(wrong) or f"{len(breaks)} deliberate breaks apply.")
        return 1 if wrong else 0
    wanted = [each for each in breaks if not arguments.names or any(n in each.name for n in arguments.names)]
    found = [_try(each) for each in wanted]
    _say(f"{sum(found)} of {len(found)} breaks found by their tests.")
    return 0 if found and all(found) else 1


def _try(each: Break) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="suppli-break-") as folder:
        root = Path(folder).resolve() / "code"
        shutil.copytree(ROOT, root, ignore=_NOT_COPIED, symlinks=True)
        if not _imports_the_copy(root):
            raise RuntimeError("the copy is not what Python imports: no break would be seen")
        apply(each, root)
        left = survivors(each, root)
    seconds = time.monotonic() - started
    _say(f"{'MISSED' if left else 'found '} {seconds:4.0f} s  {each.name}")
    for test in left:
        _say(f"        passes: {test}")
    return not left


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
