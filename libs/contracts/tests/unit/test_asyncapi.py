"""What a team that generates code from the AsyncAPI document would lose where it is not valid or not true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from suppli_contracts.topics import registry

CONTRACTS = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = json.loads((CONTRACTS / "asyncapi.json").read_text())
OFFICIAL = jsonschema.Draft7Validator(
    json.loads((CONTRACTS / "tests" / "fixtures" / "asyncapi-3.0.0.schema.json").read_text())
)
TOPICS = registry(("{provider}",))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def key(name: str) -> str:
    return name.replace("{provider}", "provider")


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)


def test_the_document_is_asyncapi_3() -> None:
    assert [f"{error.json_path}: {error.message[:200]}" for error in OFFICIAL.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "path",
    [("info", "title"), ("operations", "gateway.sends.suppli.connections.v1", "action")],
    ids=".".join,
)
def test_the_official_schema_would_see_what_is_missing(path: tuple[str, ...]) -> None:
    """A validation that lets everything pass would make the one above worthless."""
    broken = deepcopy(DOCUMENT)
    node = broken
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    assert not OFFICIAL.is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    """The official schema does not follow them."""
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert resolve(reference), reference


def test_every_topic_and_dead_letter_topic_is_a_channel_and_nothing_else_is() -> None:
    letters = {topic.dead_letter(each.group) for topic in TOPICS.values() for each in topic.consumers}
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == set(TOPICS) | letters


def test_each_service_sends_and_receives_what_the_registry_says() -> None:
    """Who reads only this document must learn who says what, and which group reads it."""
    said, heard = set(), set()
    for operation in DOCUMENT["operations"].values():
        address = resolve(operation["channel"]["$ref"])["address"]
        (service,) = (tag["name"] for tag in operation["tags"])
        if operation["action"] == "send":
            said |= {(service, address, each["$ref"].rsplit("/", 1)[1]) for each in operation["messages"]}
        else:
            heard.add((service, address, operation["bindings"]["kafka"]["groupId"]["const"]))
    letters = [(each, topic) for topic in TOPICS.values() for each in topic.consumers]
    assert said == {
        *(
            (producer.service, topic.name, event.event_type.removeprefix("suppli."))
            for topic in TOPICS.values()
            for producer in topic.producers
            for event in producer.events
        ),
        *((each.service, topic.dead_letter(each.group), "DeadLetter") for each, topic in letters),
    }
    assert heard == {
        *((each.service, topic.name, each.group) for each, topic in letters),
        *((each.service, topic.dead_letter(each.group), f"{each.group}.replay") for each, topic in letters),
    }


@pytest.mark.parametrize("name", sorted(set(MESSAGES) - {"DeadLetter"}))
def test_every_message_shows_examples_that_its_own_schemas_take(name: str) -> None:
    message = MESSAGES[name]
    headers, payload = resolve(message["headers"]["$ref"]), resolve(message["payload"]["$ref"])
    whole = {**payload, "components": DOCUMENT["components"]}
    assert message["examples"]
    for example in message["examples"]:
        jsonschema.validate(example["headers"], headers)
        jsonschema.validate(example["payload"], whole)
        assert example["headers"]["ce_type"] == message["name"]
    del (broken := deepcopy(message["examples"][0]["headers"]))["ce_tenant"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, headers)
