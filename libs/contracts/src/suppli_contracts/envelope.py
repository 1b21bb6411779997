"""CloudEvents 1.0 attributes and their Kafka binary-mode headers.

Source: CloudEvents 1.0.2, Kafka protocol binding, section 3.2 (binary content mode).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from suppli_contracts.errors import BadEnvelope

CONTENT_TYPE = b"application/json"

Headers = tuple[tuple[str, bytes], ...]


class Envelope(msgspec.Struct, frozen=True):
    """What every event says about itself, outside its body.

    Attributes:
        id: unique together with `source`; a repeated id is the same event.
        source: who says it, e.g. `suppli/mapping`.
        type: which event, with its version, e.g. `suppli.SaleRecorded.v1`.
        time: when it was said (UTC), not when the thing happened.
        tenant: whose data it is.
        traceparent: W3C trace context of the work that caused it.
    """

    id: str
    source: str
    type: str
    time: datetime
    tenant: UUID
    traceparent: str | None = None

    def headers(self) -> Headers:
        """Return the Kafka headers of binary mode."""
        base = (
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_time", self.time.isoformat().replace("+00:00", "Z").encode()),
            ("ce_tenant", str(self.tenant).encode()),
            ("content-type", CONTENT_TYPE),
        )
        if self.traceparent is None:
            return base
        return (*base, ("traceparent", self.traceparent.encode()))

    @staticmethod
    def from_headers(headers: Mapping[str, str]) -> Envelope:
        """Read an envelope from decoded Kafka headers.

        Raises:
            BadEnvelope: a required header is missing or malformed, or the message is in structured mode.
        """
        if headers.get("content-type", "").startswith("application/cloudevents"):
            raise BadEnvelope("content-type", "structured mode is not used on our topics")
        version = _required(headers, "ce_specversion")
        if version != "1.0":
            raise BadEnvelope("ce_specversion", f"{version!r} is not 1.0")
        try:
            time = datetime.fromisoformat(_required(headers, "ce_time"))
        except ValueError as error:
            raise BadEnvelope("ce_time", "is not an RFC 3339 instant") from error
        if time.tzinfo is None:
            raise BadEnvelope("ce_time", "has no time zone")
        try:
            tenant = UUID(_required(headers, "ce_tenant"))
        except ValueError as error:
            raise BadEnvelope("ce_tenant", "is not a UUID") from error
        return Envelope(
            id=_required(headers, "ce_id"),
            source=_required(headers, "ce_source"),
            type=_required(headers, "ce_type"),
            time=time,
            tenant=tenant,
            traceparent=headers.get("traceparent"),
        )


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadEnvelope(name, "is missing")
    return value
