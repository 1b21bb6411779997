"""The one AsyncAPI 3 document: every topic and dead-letter topic, and what each service sends and receives.

Generated from the registry and the models; tests hold the registry to what the services really do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suppli_contracts import dead_letters
from suppli_contracts.events import ALL, Event
from suppli_contracts.schemas import name_of, schema_of
from suppli_contracts.topics import DAY_MS, Cleanup, Consumer, Topic, registry

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
DEAD_LETTER = "DeadLetter"
_BINDING = "0.5.0"

Examples = Mapping[str, Mapping[str, Mapping[str, Any]]]
Json = dict[str, Any]


def asyncapi(version: str, examples: Examples) -> Json:
    """Return the AsyncAPI 3.0 document of all services.

    A provider's command topic is one channel with a parametrised address, and its connector one service.

    Args:
        version: of the contracts.
        examples: messages by event (`SaleRecorded.v1`) and name, each with `headers` and `value`.
    """
    topics = tuple(registry(("{provider}",)).values())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Suppli Integrations events",
            "version": version,
            "description": "CloudEvents 1.0 in Kafka's binary mode, JSON bodies, delivered at least once.",
            "tags": [{"name": service} for service in _services(topics)],
        },
        "defaultContentType": "application/json",
        "channels": dict(channel for topic in topics for channel in _channels(topic)),
        "operations": dict(operation for topic in topics for operation in _operations(topic)),
        "components": {
            "messages": {
                **{name_of(event): _message(event, topics, examples[name_of(event)]) for event in ALL},
                DEAD_LETTER: _dead_letter(),
            },
            "schemas": {
                "CloudEventHeaders": HEADERS_SCHEMA,
                **{name_of(event): _relocated(event) for event in ALL},
            },
        },
    }


def _services(topics: Sequence[Topic]) -> list[str]:
    names = {producer.service for topic in topics for producer in topic.producers}
    names |= {consumer.service for topic in topics for consumer in topic.consumers}
    return sorted(names)


def _id(name: str) -> str:
    """Return a name as a key of the document, which has no braces."""
    return name.replace("{provider}", "provider")


def _message(event: type[Event], topics: Sequence[Topic], examples: Mapping[str, Mapping[str, Any]]) -> Json:
    key = next(topic.key for topic in topics if event in topic.events)
    return {
        "name": event.event_type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
        "payload": {"$ref": f"#/components/schemas/{name_of(event)}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING}},
        "examples": [
            {"name": name, "headers": example["headers"], "payload": example["value"]}
            for name, example in examples.items()
        ],
    }


def _dead_letter() -> Json:
    names = {dead_letters.PREFIX + name: meaning for name, meaning in dead_letters.HEADERS.items()}
    return {
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "summary": "What a consumer group could not use: key, value and headers as they were, and why.",
        "headers": {
            "type": "object",
            "required": [
                dead_letters.PREFIX + name
                for name in dead_letters.HEADERS
                if name not in dead_letters.OPTIONAL
            ],
            "properties": {
                name: {"type": "string", "description": meaning} for name, meaning in names.items()
            },
        },
        "payload": {"description": "The original value, whatever it is."},
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


def _channels(topic: Topic) -> Iterator[tuple[str, Json]]:
    """Yield a topic's channel and those of its groups' dead letters."""
    kept = "compacted" if topic.cleanup is Cleanup.COMPACT else f"{topic.retention_days} days"
    yield (
        _id(topic.name),
        _channel(
            topic,
            topic.name,
            f"{topic.description}. Key: {topic.key}. Kept: {kept}.",
            {name_of(event): {"$ref": f"#/components/messages/{name_of(event)}"} for event in topic.events},
            topic.cleanup,
            topic.retention_days,
        ),
    )
    for consumer in topic.consumers:
        name = topic.dead_letter(consumer.group)
        description = f"What group {consumer.group} could not use. Key: {topic.key}. Kept: 30 days."
        messages = {DEAD_LETTER: {"$ref": f"#/components/messages/{DEAD_LETTER}"}}
        yield _id(name), _channel(topic, name, description, messages, Cleanup.DELETE, 30)


def _channel(
    topic: Topic, name: str, description: str, messages: Json, cleanup: Cleanup, days: int | None
) -> Json:
    configuration: Json = {"cleanup.policy": [cleanup.value]}
    if cleanup is Cleanup.DELETE and days is not None:
        configuration["retention.ms"] = days * DAY_MS
    channel: Json = {
        "address": name,
        "description": description,
        "messages": messages,
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "replicas": 3,
                "topicConfiguration": configuration,
                "bindingVersion": _BINDING,
            }
        },
    }
    if "{provider}" in name:
        channel["parameters"] = {"provider": {"description": "the provider's short name"}}
    return channel


def _operations(topic: Topic) -> Iterator[tuple[str, Json]]:
    for producer in topic.producers:
        messages = [name_of(event) for event in producer.events]
        key = _id(f"{producer.service}.sends.{topic.name}")
        yield key, _operation("send", topic.name, messages, producer.service)
    for consumer in topic.consumers:
        yield from _reading(topic, consumer)


def _reading(topic: Topic, consumer: Consumer) -> Iterator[tuple[str, Json]]:
    """Yield what a group does: read the topic, set aside, and read that again when an operator replays."""
    letters = topic.dead_letter(consumer.group)
    again = dead_letters.replay_group(consumer.group)
    messages = [name_of(event) for event in topic.events]
    yield (
        _id(f"{consumer.group}.receives.{topic.name}"),
        {
            **_operation("receive", topic.name, messages, consumer.service, consumer.group),
            "description": f"Dead letters go to {letters}.",
        },
    )
    yield (
        _id(f"{consumer.group}.sends.{letters}"),
        _operation("send", letters, [DEAD_LETTER], consumer.service),
    )
    yield (
        _id(f"{again}.receives.{letters}"),
        {
            **_operation("receive", letters, [DEAD_LETTER], consumer.service, again),
            "description": f"By hand: `replay-dead-letters {consumer.group}` gives them to its handler.",
        },
    )


def _operation(
    action: str, topic: str, messages: Sequence[str], service: str, group: str | None = None
) -> Json:
    channel = f"#/channels/{_id(topic)}"
    operation: Json = {
        "action": action,
        "channel": {"$ref": channel},
        "title": service,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
        "tags": [{"name": service}],
    }
    if group is not None:
        binding = {"groupId": {"type": "string", "const": group}, "bindingVersion": _BINDING}
        operation["bindings"] = {"kafka": binding}
    return operation
