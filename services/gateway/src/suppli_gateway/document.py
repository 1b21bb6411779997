"""The committed OpenAPI document: written, or checked to be up to date."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from suppli_gateway.api import create_api, openapi

COMMITTED = Path(__file__).parents[2] / "openapi.json"


def rendered() -> str:
    """Return the document of this code."""
    return json.dumps(openapi(create_api(None)), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the document, or with `--check` say whether the committed one is that of this code (exit code
    1: no).
    """
    parser = argparse.ArgumentParser(prog="python -m suppli_gateway openapi")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it is out of date")
    parser.add_argument("--output", type=Path, default=COMMITTED, help="where the document is")
    options = parser.parse_args(argv)
    document = rendered()
    if not options.check:
        options.output.write_text(document)
        return 0
    committed = options.output.read_text() if options.output.exists() else ""
    if committed == document:
        return 0
    sys.stderr.write(f"{options.output.name} is out of date: run `python -m suppli_gateway openapi`\n")
    return 1
