"""Events of the gateway as outbox messages."""

from __future__ import annotations

from uuid import UUID

from suppli_contracts.codec import encode, stable_id
from suppli_contracts.events.base import Event
from suppli_contracts.topics import CATALOG_LOCATIONS, CATALOG_PRODUCTS, CONNECTIONS
from suppli_service_kit.clock import Clock
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.tracing import current_traceparent

from suppli_gateway.connections.domain import Connection

SOURCE = "suppli/gateway"


def value_of(event: Event, topic: str, revision: int, clock: Clock) -> OutMessage:
    """Return the message that says a compacted value; the same revision, the same event id."""
    event_id = stable_id(topic, event.topic_key(), revision)
    key, value, headers = encode(
        event,
        event_id=str(event_id),
        source=SOURCE,
        time=clock.now(),
        traceparent=current_traceparent(),
    )
    return OutMessage(topic, key, value, headers)


def connection_message(connection: Connection, clock: Clock) -> OutMessage:
    """Return the message that says a connection as it now stands."""
    return value_of(connection.event(), CONNECTIONS, connection.revision, clock)


def connection_tombstone(connection_id: UUID) -> OutMessage:
    """Return the message that removes a connection's value from its topic."""
    return OutMessage(CONNECTIONS, str(connection_id).encode(), None)


__all__ = [
    "CATALOG_LOCATIONS",
    "CATALOG_PRODUCTS",
    "SOURCE",
    "connection_message",
    "connection_tombstone",
    "value_of",
]
