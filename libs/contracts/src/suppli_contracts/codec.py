"""Events to Kafka messages and back (CloudEvents binary mode, JSON bodies)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TypeVar
from uuid import UUID, uuid5

import msgspec

from suppli_contracts.envelope import Envelope, Headers
from suppli_contracts.errors import BadEvent, UnknownEvent
from suppli_contracts.events import ALL, Event

# The name space of every UUIDv5 that we derive; never changed, ids depend on it.
NAMESPACE = UUID("6f1ad6a0-6c1f-5b9e-9a53-5b6d3f0e7c11")

E = TypeVar("E", bound=Event)

_ENCODER = msgspec.json.Encoder(decimal_format="string")
_BY_TYPE: dict[str, type[Event]] = {event.event_type: event for event in ALL}


def stable_id(*parts: object) -> UUID:
    """Return the UUIDv5 of `parts`: the same parts, the same id, in every process and release."""
    return uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))


@cache
def decoder(model: type[E]) -> msgspec.json.Decoder[E]:
    """Return the decoder of one event, made once."""
    return msgspec.json.Decoder(model)


def encode(
    event: Event, *, event_id: str, source: str, time: datetime, traceparent: str | None = None
) -> tuple[bytes, bytes, Headers]:
    """Return the (key, value, headers) of a Kafka message that says `event`.

    Args:
        event: what is said.
        event_id: the CloudEvents id; the same id means the same event.
        source: the service that says it, e.g. `suppli/mapping`.
        time: when it is said (UTC).
        traceparent: W3C trace context of the work behind it.
    """
    envelope = Envelope(
        id=event_id,
        source=source,
        type=event.event_type,
        time=time,
        tenant=event.tenant_id,
        traceparent=traceparent,
    )
    return event.topic_key().encode(), _ENCODER.encode(event), envelope.headers()


def decode(headers: Mapping[str, str], value: bytes) -> tuple[Envelope, Event]:
    """Read a message of any known event.

    Raises:
        BadEnvelope: the headers are not those of an event.
        UnknownEvent: the type is not known to this version; skip it or update.
        BadEvent: the body is not what its type promises.
    """
    envelope = Envelope.from_headers(headers)
    model = _BY_TYPE.get(envelope.type)
    if model is None:
        raise UnknownEvent(envelope.type)
    return envelope, decode_as(model, value)


def decode_as(model: type[E], value: bytes | None) -> E:
    """Read a body as one event, whatever its headers say.

    Raises:
        BadEvent: the body is missing, not JSON, or not that event.
    """
    if value is None:
        raise BadEvent(model.event_type, "the message has no body (a tombstone)")
    try:
        event: E = decoder(model).decode(value)
    except msgspec.MsgspecError as error:
        raise BadEvent(model.event_type, str(error), _path(str(error))) from error
    except ValueError as error:  # e.g. not UTF-8
        raise BadEvent(model.event_type, str(error)) from error
    return event


def _path(message: str) -> str | None:
    """Return the JSON path out of msgspec's `... - at `$.lines[0].quantity``."""
    _, found, path = message.partition(" - at `")
    return path.rstrip("`") if found else None
