"""Sales and items as Kafka messages."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha1

import msgspec
from suppli_contracts.codec import NAMESPACE, encode, stable_id
from suppli_contracts.envelope import Envelope
from suppli_contracts.events.catalog import ExternalItemChanged
from suppli_contracts.events.sales import SaleRecorded
from suppli_contracts.topics import CATALOG_EXTERNAL, SALES_RAW, connector_service
from suppli_service_kit.kafka.messages import OutMessage

from suppli_connector_kit.domain.decisions import Changed
from suppli_connector_kit.engine.ports import ItemEntry, Job

_ID_HEADER = "ce_id"
_ENCODER = msgspec.json.Encoder(decimal_format="string")  # as the codec's
_VERSION_AND_VARIANT = 0xF000 << 64 | 0xC000 << 48
_VERSION_5 = 0x5000 << 64 | 0x8000 << 48


def source(provider: str) -> str:
    """Return the `ce_source` of a provider's connector."""
    return f"suppli/{connector_service(provider)}"


class SaleMessages:
    """Makes the messages of one page: what all of them share is encoded once."""

    def __init__(
        self, job: Job, *, observed: int, revision: int, at: datetime, traceparent: str | None
    ) -> None:
        connection = job.connection
        self._job, self._observed, self._revision, self._at = job, observed, revision, at
        envelope = Envelope(
            id="",
            source=source(connection.provider),
            type=SaleRecorded.event_type,
            time=at,
            tenant=connection.tenant_id,
            traceparent=traceparent,
        )
        headers = envelope.headers()
        place = next(index for index, (name, _) in enumerate(headers) if name == _ID_HEADER)
        self._before, self._after = headers[:place], headers[place + 1 :]
        self._key = f"{connection.connection_id}:"
        # the beginning of every event id's name, hashed once (UUIDv5, RFC 9562 section 5.5)
        self._name = sha1(NAMESPACE.bytes, usedforsecurity=False)
        self._name.update(f"sale\x1f{connection.connection_id}".encode())

    def message(self, change: Changed) -> OutMessage:
        """Return a changed order as a raw sale; the same content and version, the same event id."""
        job, sale = self._job, change.sale
        connection = job.connection
        event = SaleRecorded(
            tenant_id=connection.tenant_id,
            connection_id=connection.connection_id,
            provider=connection.provider,
            account_id=connection.account_id or "",
            location_id=sale.location_id,
            order_id=sale.order_id,
            state=sale.state,
            currency=sale.currency,
            source_version=change.source_version,
            observed=self._observed,
            content_hash=change.content_hash,
            run_id=job.run_id,
            recorded_at=self._at,
            totals=sale.totals,
            lines=sale.lines,
            adjustments=sale.adjustments,
            channel=sale.channel,
            normaliser_revision=self._revision,
        )
        headers = (*self._before, (_ID_HEADER, self.event_id(change).encode()), *self._after)
        return OutMessage(SALES_RAW, (self._key + sale.order_id).encode(), _ENCODER.encode(event), headers)

    def event_id(self, change: Changed) -> str:
        """Return `stable_id("sale", connection, order, source_version, content_hash)` as text."""
        name = self._name.copy()
        name.update(
            f"\x1f{change.sale.order_id}\x1f{change.source_version}\x1f{change.content_hash}".encode()
        )
        number = int.from_bytes(name.digest()[:16], "big")
        number = number & ~_VERSION_AND_VARIANT | _VERSION_5
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def item_message(job: Job, entry: ItemEntry, *, at: datetime, traceparent: str | None = None) -> OutMessage:
    """Return a changed catalog item."""
    connection, item = job.connection, entry.item
    event = ExternalItemChanged(
        tenant_id=connection.tenant_id,
        connection_id=connection.connection_id,
        provider=connection.provider,
        external_id=item.external_id,
        revision=entry.revision,
        kind=item.kind,
        parent_id=item.parent_id,
        name=item.name,
        variation_name=item.variation_name,
        sku=item.sku,
        barcode=item.barcode,
        category=item.category,
        unit=item.unit,
        deleted=item.deleted,
    )
    event_id = stable_id("item", connection.connection_id, item.external_id, entry.revision)
    key, value, headers = encode(
        event, event_id=str(event_id), source=source(connection.provider), time=at, traceparent=traceparent
    )
    return OutMessage(CATALOG_EXTERNAL, key, value, headers)
