"""What mapping says on Kafka."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

import msgspec
from suppli_contracts.codec import encode, stable_id
from suppli_contracts.envelope import Envelope
from suppli_contracts.events.base import Event
from suppli_contracts.events.mapping import ItemUnmapped, MappingChanged, Suggestion
from suppli_contracts.events.sales import Amounts, ProductSaleRecorded
from suppli_contracts.topics import MAPPING_EVENTS, SALES_PRODUCTS
from suppli_service_kit.kafka.messages import OutMessage

from suppli_mapping.adapters.items import Announced
from suppli_mapping.adapters.ledger import Order
from suppli_mapping.domain.diff import Change, Figures
from suppli_mapping.domain.ids import stable_text
from suppli_mapping.domain.units import decimal_text

SOURCE = "suppli/mapping"
_ENCODER = msgspec.json.Encoder(decimal_format="string")


class Speaker:
    """Makes the product sales' messages of one tenant in one transaction.

    What is the same in all of them is encoded once; the result is that of `codec.encode`.
    """

    def __init__(self, tenant_id: UUID, *, at: datetime, traceparent: str | None) -> None:
        """`at` is when it is said."""
        self._tenant_id = tenant_id
        self._tenant = str(tenant_id)
        self._at = at
        envelope = Envelope("", SOURCE, ProductSaleRecorded.event_type, at, tenant_id, traceparent)
        headers = envelope.headers()
        place = next(index for index, (name, _) in enumerate(headers) if name == "ce_id")
        self._before, self._after = headers[:place], headers[place + 1 :]
        self._keys: dict[str, bytes] = {}

    def product_sale(self, order: Order, change: Change, first_day: date | None) -> OutMessage:
        """Return the message of one entry's new version; `first_day` is the connection's."""
        row = change.standing
        standing = _amounts(row.amounts())
        event = ProductSaleRecorded(
            tenant_id=self._tenant_id,
            entry_key=row.entry_key,
            entry_version=change.version,
            connection_id=order.connection_id,
            order_id=order.order_id,
            line_id=row.line_id,
            component=row.component,
            product_id=row.product_id,
            location_id=row.location_id,
            business_date=row.business_date,
            unit=row.unit,
            currency=row.currency,
            occurred_at=row.occurred_at,
            recorded_at=self._at,
            standing=standing,
            delta=standing if change.version == 1 else _amounts(change.delta),
            mapping_revision=row.mapping_revision,
            cause=change.cause,
            channel=order.channel,
            historical=first_day is not None and row.business_date < first_day,
            raw_event_id=order.raw_event_id,
            run_id=order.run_id,
        )
        event_id = stable_text("product-sale", str(row.entry_key), str(change.version))
        headers = (*self._before, ("ce_id", event_id.encode()), *self._after)
        return OutMessage(SALES_PRODUCTS, self._key(row.product_id), _ENCODER.encode(event), headers)

    def _key(self, product_id: str) -> bytes:
        key = self._keys.get(product_id)
        if key is None:
            key = self._keys[product_id] = f"{self._tenant}:{product_id}".encode()
        return key


def _amounts(figures: Figures) -> Amounts:
    quantity, consumed, gross, discount, net = figures
    return _cached_amounts(quantity, consumed, gross, discount, net)


@lru_cache(maxsize=16_384)
def _cached_amounts(quantity: int, consumed: int, gross: int, discount: int, net: int) -> Amounts:
    return Amounts(
        quantity=decimal_text(quantity),
        consumed=decimal_text(consumed),
        gross=gross,
        discount=discount,
        net=net,
    )


def item_unmapped(
    item: Announced, suggestions: tuple[Suggestion, ...], *, at: datetime, traceparent: str | None
) -> OutMessage:
    """Return the message that an item waits for a mapping."""
    event = ItemUnmapped(
        tenant_id=item.tenant_id,
        connection_id=item.connection_id,
        item_id=item.item_id,
        item_key=item.item_key,
        at=at,
        kind=item.kind,
        name=item.name,
        variation_name=item.variation_name,
        sku=item.sku,
        barcode=item.barcode,
        suggestions=suggestions,
    )
    return _message(MAPPING_EVENTS, event, stable_id("item-unmapped", item.item_id), at, traceparent)


def mapping_changed(event: MappingChanged, traceparent: str | None) -> OutMessage:
    """Return the message that somebody decided what an item is."""
    event_id = stable_id("mapping-changed", event.item_id, event.revision)
    return _message(MAPPING_EVENTS, event, event_id, event.at, traceparent)


def _message(topic: str, event: Event, event_id: UUID, at: datetime, traceparent: str | None) -> OutMessage:
    key, value, headers = encode(
        event, event_id=str(event_id), source=SOURCE, time=at, traceparent=traceparent
    )
    return OutMessage(topic, key, value, headers)
