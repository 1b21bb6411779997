"""What is generated into files that people write: nothing of theirs is lost, and nothing is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from suppli_contracts.internal import Manifest

from tools import containers
from tools.connectors import Connector, connectors
from tools.parts import with_parts
from tools.workspace import ROOT

AROUND = "one\n  # generated: {name}\n  old\n  # /generated\ntwo\n"


def test_what_is_around_a_part_stays_and_the_part_has_its_indent(tmp_path: Path) -> None:
    """Else a line that somebody wrote would be gone after the next `make generate`."""
    path = tmp_path / "file.yml"
    path.write_text(AROUND.format(name="a") + AROUND.format(name="a"))
    once = "one\n  # generated: a\n  new\n\n  lines\n  # /generated\ntwo\n"
    assert with_parts(path, {"a": ["new", "", "lines"]}) == once * 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (AROUND.format(name="b"), "nothing is known of"),
        ("one\n", "are nowhere"),
        ("  # generated: a\n  old\n", "has no end"),
    ],
)
def test_a_part_that_is_missing_or_unknown_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    """A connector that is left out where it is deployed would be noticed by its shops."""
    path = tmp_path / "file.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        with_parts(path, {"a": ["new"]})


def test_a_connector_without_a_provider_needs_no_application_and_no_way_out() -> None:
    """It would wait for credentials that nobody can give, or have a network that it must not have."""
    manifest = Manifest(
        provider="paper", name="Paper", auth="none", environments=(), scopes=(), refresh_tokens="reusable"
    )
    found = (*connectors(), Connector("suppli_connector_paper", manifest, {}))
    services = ["gateway", *(each.service for each in found)]
    composed = yaml.safe_load(containers.composition(ROOT / "docker-compose.yml", services, found))
    paper = composed["services"]["connector-paper"]
    assert paper["networks"] == ["inside"]
    assert not [name for name in paper["environment"] if name.endswith("_BASE_URL")]
    assert "app-paper.json" not in composed["secrets"]
    assert "paper" not in json.loads(containers.applications(found))
    assert {"app-clover.json", "app-square.json"} <= set(composed["secrets"])
