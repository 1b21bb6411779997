"""Live events as they travel from the transaction that made them to every replica: PostgreSQL
notifications.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_gateway.connections.domain import Connection

CHANNEL = "suppli_gateway_live"
KEY_REVOKED = "key_revoked"
# PostgreSQL refuses payloads of 8,000 bytes and more.
MAX_PAYLOAD_BYTES = 7_900

_NOTIFY = sa.text("select pg_notify(:channel, :payload)")
_ENCODER = msgspec.json.Encoder()


class LiveEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that open pages should show now.

    Attributes:
        connection_id: what it is about, None = no connection.
        event: `run` or `connection`; `key_revoked` is for this service alone.
        data: what the stream says, as JSON values.
        event_id: what a client gives back as `Last-Event-ID`; None = not to be caught up with.
    """

    tenant_id: UUID
    connection_id: UUID | None
    event: str
    data: dict[str, Any]
    event_id: str | None = None


def connection_changed(connection: Connection) -> LiveEvent:
    """Return the live event of a changed connection: enough to know what to read again."""
    data = {
        "connection_id": str(connection.connection_id),
        "state": connection.state.value,
        "revision": connection.revision,
        "changed_at": _instant(connection.changed_at),
        "deleted": connection.deleted_at is not None,
    }
    return LiveEvent(connection.tenant_id, connection.connection_id, "connection", data)


def key_revoked(tenant_id: UUID, key_id: UUID) -> LiveEvent:
    """Return the notice that ends a service key's streams."""
    return LiveEvent(tenant_id, None, KEY_REVOKED, {"key_id": str(key_id)})


async def announce(transaction: AsyncConnection, *events: LiveEvent) -> None:
    """Tell every replica at the commit of this transaction, and none if it is rolled back."""
    if not events:
        return
    rows = [{"channel": CHANNEL, "payload": _payload(event)} for event in events]
    for row in rows:
        await transaction.execute(_NOTIFY, row)


def _payload(event: LiveEvent) -> str:
    text = _ENCODER.encode(event)
    if len(text) > MAX_PAYLOAD_BYTES:
        # Never seen with our bounded fields; the reader of the stream reads the rest by the API.
        data = {name: value for name, value in event.data.items() if name.endswith("_id") or name == "state"}
        text = _ENCODER.encode(
            LiveEvent(event.tenant_id, event.connection_id, event.event, data, event.event_id)
        )
    return text.decode()


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
