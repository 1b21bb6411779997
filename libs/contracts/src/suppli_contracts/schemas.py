"""JSON Schemas and the AsyncAPI 3 document, generated from the models and the registry.

Schemas are open on purpose: unknown fields pass, and an enumeration is a string with its known values
beside it, because readers take values that a later version adds as `unknown`.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from suppli_contracts.events import ALL, Event
from suppli_contracts.topics import Cleanup, Topic, registry

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"

# The headers of every message; see `envelope.Envelope`.
HEADERS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_tenant"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "description": "unique with ce_source; a repeated id is the same event"},
        "ce_source": {"type": "string", "description": "the service that says it"},
        "ce_type": {"type": "string", "description": "which event, with its version"},
        "ce_time": {"type": "string", "format": "date-time", "description": "when it was said"},
        "ce_tenant": {"type": "string", "format": "uuid", "description": "whose data it is"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context of the work behind it"},
    },
}


def name_of(event: type[Event]) -> str:
    """Return the file name of an event's schema: name and version, e.g. `SaleRecorded.v1`."""
    return event.event_type.removeprefix("suppli.")


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event's body."""
    (root,), definitions = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    body = {
        "$schema": JSON_SCHEMA,
        "$id": event.event_type,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
    opened = _open(body)
    assert isinstance(opened, dict)  # noqa: S101 - narrows the recursive helper's type
    return opened


def _open(node: Any) -> Any:
    """Turn closed enumerations into strings with known values."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _open(value) for key, value in node.items()}
    values = node.pop("enum", None)
    if values is not None:
        node = {"type": "string", **node, "x-known-values": sorted(values)}
    if isinstance(node.get("description"), str):
        node["description"] = inspect.cleandoc(node["description"])
    return node


def asyncapi(version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of every topic.

    A provider's command topic is one channel with a parametrised address.
    """
    topics = registry(("{provider}",)).values()
    messages = {name_of(event): _message(event) for event in ALL}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Suppli Integrations events",
            "version": version,
            "description": "CloudEvents 1.0 in Kafka's binary mode; bodies are JSON.",
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(topic): _channel(topic) for topic in topics},
        "operations": {
            operation_id: operation for topic in topics for operation_id, operation in _operations(topic)
        },
        "components": {
            "messages": messages,
            "schemas": {name_of(event): _relocated(event) for event in ALL},
        },
    }


def _channel_id(topic: Topic) -> str:
    return topic.name.replace("{provider}", "provider")


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.event_type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": HEADERS_SCHEMA,
        "payload": {"$ref": f"#/components/schemas/{name_of(event)}"},
    }


def _relocated(event: type[Event]) -> Any:
    """Return the schema with its references made to hold inside the AsyncAPI document."""
    schema = schema_of(event)
    schema.pop("$id")
    schema.pop("$schema")

    def relocate(node: Any) -> Any:
        if isinstance(node, list):
            return [relocate(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: value.replace("#/$defs/", f"#/components/schemas/{name_of(event)}/$defs/")
            if key == "$ref" and isinstance(value, str)
            else relocate(value)
            for key, value in node.items()
        }

    return relocate(schema)


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "compacted" if topic.cleanup is Cleanup.COMPACT else f"{topic.retention_days} days"
    channel: dict[str, Any] = {
        "address": topic.name,
        "description": f"{topic.description}. Key: {topic.key}. Kept: {kept}.",
        "messages": {
            name_of(event): {"$ref": f"#/components/messages/{name_of(event)}"} for event in topic.events
        },
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": [topic.cleanup.value]},
            }
        },
    }
    if "{provider}" in topic.name:
        channel["parameters"] = {"provider": {"description": "the provider's short name"}}
    return channel


def _operations(topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    channel = {"$ref": f"#/channels/{_channel_id(topic)}"}
    sends = [
        (f"{producer}.sends.{topic.name}", {"action": "send", "channel": channel, "title": producer})
        for producer in topic.producers
    ]
    receives = [
        (
            f"{consumer.group}.receives.{topic.name}",
            {
                "action": "receive",
                "channel": channel,
                "title": consumer.service,
                "description": (
                    f"group {consumer.group}; dead letters go to {topic.dead_letter(consumer.group)}"
                ),
            },
        )
        for consumer in topic.consumers
    ]
    return [(key.replace("{provider}", "provider"), value) for key, value in [*sends, *receives]]
