"""Sales and items as Kafka messages."""

from __future__ import annotations

from datetime import datetime

from suppli_contracts.codec import encode, stable_id
from suppli_contracts.events.catalog import ExternalItemChanged
from suppli_contracts.events.sales import SaleRecorded
from suppli_contracts.topics import CATALOG_EXTERNAL, SALES_RAW, connector_service
from suppli_service_kit.kafka.messages import OutMessage

from suppli_connector_kit.domain.decisions import Changed
from suppli_connector_kit.engine.ports import ItemEntry, Job


def source(provider: str) -> str:
    """Return the `ce_source` of a provider's connector."""
    return f"suppli/{connector_service(provider)}"


def sale_message(
    job: Job, change: Changed, *, observed: int, revision: int, at: datetime, traceparent: str | None
) -> OutMessage:
    """Return a changed order as a raw sale; the same content and version, the same event id."""
    connection, sale = job.connection, change.sale
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
        observed=observed,
        content_hash=change.content_hash,
        run_id=job.run_id,
        recorded_at=at,
        totals=sale.totals,
        lines=sale.lines,
        adjustments=sale.adjustments,
        channel=sale.channel,
        normaliser_revision=revision,
    )
    event_id = stable_id(
        "sale", connection.connection_id, sale.order_id, change.source_version, change.content_hash
    )
    key, value, headers = encode(
        event, event_id=str(event_id), source=source(connection.provider), time=at, traceparent=traceparent
    )
    return OutMessage(SALES_RAW, key, value, headers)


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
