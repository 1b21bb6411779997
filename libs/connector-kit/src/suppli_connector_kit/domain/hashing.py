"""A fingerprint of what sales need of an order, so that an unchanged order is not said again."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from suppli_contracts.events.sales import Modifier, SaleLine

from suppli_connector_kit.protocol import CatalogItem, Sale, Zone

_ENCODER = msgspec.msgpack.Encoder()
_DIGEST_BYTES = 16


def sale_hash(sale: Sale, zone: Zone | None, normaliser_revision: int) -> str:
    """Return the content hash of a sale, 32 hexadecimal digits.

    It covers what is published of the order, the zone and cut-off its days were told with, and the reading's
    revision. It leaves out names, SKUs, barcodes and categories of what the catalog knows (they are joined
    later), the run, and every instant of reading.
    """
    content = (
        sale.order_id,
        sale.location_id,
        sale.state,
        sale.currency,
        sale.channel,
        sale.totals,
        [_line(line) for line in sale.lines],
        sale.adjustments,
        (zone.timezone, zone.day_cutoff) if zone is not None else None,
        normaliser_revision,
    )
    return blake2b(_ENCODER.encode(content), digest_size=_DIGEST_BYTES).hexdigest()


def item_hash(item: CatalogItem) -> str:
    """Return the content hash of a catalog item."""
    return blake2b(_ENCODER.encode(item), digest_size=_DIGEST_BYTES).hexdigest()


def _line(line: SaleLine) -> tuple[Any, ...]:
    texts = (
        None
        if line.variation_id or line.item_id
        else (line.sku, line.barcode, line.name, line.variation_name, line.category)
    )
    return (
        line.line_id,
        line.occurred_at,
        line.business_date,
        line.disposition,
        line.quantity,
        line.gross,
        line.discount,
        line.net,
        line.tax,
        line.unit,
        line.kind,
        line.item_id,
        line.variation_id,
        line.tax_included,
        [_modifier(modifier) for modifier in line.modifiers] if line.modifiers else None,
        line.reason,
        line.restock,
        line.returns,
        texts,
    )


def _modifier(modifier: Modifier) -> tuple[Any, ...]:
    return (
        modifier.modifier_id,
        modifier.external_id,
        modifier.kind,
        modifier.quantity,
        modifier.gross,
        None if modifier.external_id else modifier.name,
    )
