"""`python -m tools.new_connector NAME [TITLE]`: write services/connector-NAME, a skeleton that runs."""

from __future__ import annotations

import argparse
import sys

from tools.new_connector.skeleton import Refused, write
from tools.workspace import ROOT


def main() -> int:
    """Write the folder that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="make new-connector NAME=...", description=__doc__)
    parser.add_argument("name", help="the provider's short name: small letters and digits, e.g. acme")
    parser.add_argument("title", nargs="?", help='its name for people, e.g. "Acme POS"')
    given = parser.parse_args()
    try:
        folder = write(ROOT / "services", given.name, given.title)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    sys.stdout.write(
        f"{folder.relative_to(ROOT)} is there; docs/adding-a-connector.md says what comes next.\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
