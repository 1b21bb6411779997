"""What mapping says on Kafka."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

import msgspec
from suppli_contracts.codec import encode, stable_id
from suppli_contracts.envelope import Envelope
from suppli_contracts.events.base import Event
from suppli_contracts.events.days import SalesDayStated
from suppli_contracts.events.mapping import ItemUnmapped, MappingChanged, Suggestion
from suppli_contracts.events.sales import Amounts, Cause, ProductSaleRecorded
from suppli_contracts.topics import MAPPING_EVENTS, SALES_DAYS, SALES_PRODUCTS
from suppli_service_kit.kafka.messages import OutMessage

from suppli_mapping.adapters.items import Announced
from suppli_mapping.adapters.ledger import Order
from suppli_mapping.domain.diff import Change, Figures
from suppli_mapping.domain.ids import stable_text
from suppli_mapping.domain.units import decimal_text

SOURCE = "suppli/mapping"
_ENCODER = msgspec.json.Encoder(decimal_format="string")


class _Sale(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`ProductSaleRecorded` as it is written: the same fields in the same order, ids as text already."""

    tenant_id: str
    entry_key: str
    entry_version: int
    connection_id: str
    order_id: str
    line_id: str
    component: str
    product_id: str
    location_id: str
    business_date: date
    unit: str
    currency: str
    occurred_at: datetime
    recorded_at: datetime
    standing: Amounts
    delta: Amounts
    mapping_revision: int
    cause: Cause
    channel: str | None = None
    historical: bool = False
    raw_event_id: str | None = None
    run_id: str | None = None


class Speaker:
    """Makes the product sales' messages of one tenant in one transaction.

    What is the same in all of them is encoded once; the result is that of `codec.encode`.
    """

    def __init__(self, tenant_id: UUID, *, at: datetime, traceparent: str | None) -> None:
        """`at` is when it is said."""
        self._tenant = str(tenant_id)
        self._at = at
        envelope = Envelope("", SOURCE, ProductSaleRecorded.event_type, at, tenant_id, traceparent)
        headers = envelope.headers()
        place = next(index for index, (name, _) in enumerate(headers) if name == "ce_id")
        self._before, self._after = headers[:place], headers[place + 1 :]
        self._keys: dict[str, bytes] = {}
        self._texts: dict[int, str] = {}

    def product_sale(self, order: Order, change: Change, first_day: date | None) -> OutMessage:
        """Return the message of one entry's new version; `first_day` is the connection's."""
        row, version = change.standing, change.version
        standing = _amounts(row.amounts())
        event = _Sale(
            self._tenant, row.entry_key, version, self._text(order.connection_id), order.order_id,
            row.line_id, row.component, row.product_id, row.location_id, row.business_date, row.unit,
            row.currency, row.occurred_at, self._at, standing,
            standing if version == 1 else _amounts(change.delta), row.mapping_revision, change.cause,
            order.channel, first_day is not None and row.business_date < first_day, order.raw_event_id,
            self._text(order.run_id),
        )  # fmt: skip
        event_id = stable_text("product-sale", row.entry_key, str(version))
        headers = (*self._before, ("ce_id", event_id.encode()), *self._after)
        return OutMessage(SALES_PRODUCTS, self._key(row.product_id), _ENCODER.encode(event), headers)

    def _text(self, value: UUID) -> str:
        """Return an id that all sales of an order share, made once."""
        text = self._texts.get(value.int)
        if text is None:
            text = self._texts[value.int] = str(value)
        return text

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


def day_stated(event: SalesDayStated, revision: int, traceparent: str | None) -> OutMessage:
    """Return the message of a day's statement; the topic is compacted, so it goes into the outbox."""
    said = msgspec.structs.replace(event, revision=revision)
    event_id = stable_id(
        "sales-day", said.tenant_id, said.location_id, said.business_date, revision, said.at.isoformat()
    )
    return _message(SALES_DAYS, said, event_id, said.at, traceparent)


def day_tombstone(tenant_id: UUID, location_id: str, day: date) -> OutMessage:
    """Return what ends the key of a day that no way has any more."""
    return OutMessage(SALES_DAYS, f"{tenant_id}:{location_id}:{day}".encode(), None)


def _message(topic: str, event: Event, event_id: UUID, at: datetime, traceparent: str | None) -> OutMessage:
    key, value, headers = encode(
        event, event_id=str(event_id), source=SOURCE, time=at, traceparent=traceparent
    )
    return OutMessage(topic, key, value, headers)
