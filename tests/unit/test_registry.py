"""The registry, and with it AsyncAPI, topics and ACLs, is what the services do: no more, no less."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from suppli_contracts.events import ALL
from suppli_contracts.topics import REGISTRY
from suppli_service_kit.service import Service

ROOT = Path(__file__).resolve().parents[2]
KIT = "libs/connector-kit/src/suppli_connector_kit"
EVENTS = {event.__name__: event for event in ALL}

# What makes each service's process, and where the code is that speaks for it.
SERVICES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "gateway": ("suppli_gateway", "create_service", ("services/gateway/src",)),
    "sync-scheduler": ("suppli_sync_scheduler", "create_app", ("services/sync-scheduler/src",)),
    "mapping": ("suppli_mapping", "create_service", ("services/mapping/src",)),
    **{
        f"connector-{each.name}": (
            f"suppli_connector_{each.name}",
            "create_app",
            (f"services/connector-{each.name}/src", KIT),
        )
        for each in entry_points(group="suppli.connectors")
    },
}


def test_every_service_of_the_registry_is_known_here() -> None:
    named = {each.service for topic in REGISTRY.values() for each in (*topic.producers, *topic.consumers)}
    assert named == set(SERVICES)


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Service]:
    """Return a function that makes a service as its process does, without starting it."""

    def make(name: str) -> Service:
        package, factory, _ = SERVICES[name]
        prefix = f"SUPPLI_{name.upper().replace('-', '_')}"
        for setting in ("DATABASE_URL", "RELAY_URL"):
            monkeypatch.setenv(f"{prefix}_{setting}", "postgresql://app@localhost/nowhere")
        for setting in ("ISSUER", "JWKS_URL", "PUBLIC_URL"):
            monkeypatch.setenv(f"{prefix}_{setting}", "https://suppli.example")
        monkeypatch.setenv(f"{prefix}_PROVIDERS", "square")
        settings = importlib.import_module(f"{package}.settings").Settings()
        made: Service = getattr(importlib.import_module(f"{package}.app"), factory)(settings)
        return made

    return make


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_subscribes_to_exactly_what_the_registry_says(
    wired: Callable[[str], Service], name: str
) -> None:
    """A subscription that is not registered has no dead-letter topic and no right to read."""
    read = {(topic, each.group) for each in wired(name).consumers.subscriptions for topic in each.topics}
    registered = {
        (topic.name, each.group)
        for topic in REGISTRY.values()
        for each in topic.consumers
        if each.service == name
    }
    assert read == registered


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_makes_exactly_the_events_that_the_registry_says(name: str) -> None:
    """An event that nobody says keeps its readers waiting; one that is not registered may not be written."""
    made = {each for folder in SERVICES[name][2] for each in events_made_in(ROOT / folder)}
    registered = {
        event.__name__
        for topic in REGISTRY.values()
        for producer in topic.producers
        if producer.service == name
        for event in producer.events
    }
    assert made == registered


def events_made_in(folder: Path) -> set[str]:
    """Return the names of the events that the code of a folder makes, or writes an envelope for."""
    found: set[str] = set()
    files = [path for path in folder.rglob("*.py") if "testing" not in path.parts]
    assert files, folder
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            if (name := _name(node.func)) in EVENTS:
                found.add(name)
            elif name == "Envelope":  # a body that is written faster than by its model
                found |= {_name(each.value) for each in node.args if _name(each) == "event_type"}
    return found & set(EVENTS)


def _name(node: Any) -> str:
    return getattr(node, "id", None) or getattr(node, "attr", "")
