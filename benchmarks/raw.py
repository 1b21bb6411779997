"""Raw sales written straight to Kafka, as a connector writes them, and what mapping makes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, islice
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from suppli_contracts.codec import decode_as, encode, stable_id
from suppli_contracts.events import SaleRecorded
from suppli_contracts.topics import SALES_PRODUCTS, SALES_RAW
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.settings import KafkaSettings

Positions = dict[TopicPartition, int]
_AT_ONCE = 2_000
_numbers = count(1)


def ends(servers: str, topic: str) -> Positions:
    """Return the end offset of each partition."""
    return asyncio.run(_ends(servers, topic))


def templates(servers: str, connection: str) -> list[SaleRecorded]:
    """Return the raw sales of a connection that are on Kafka."""
    return asyncio.run(_sales_of(servers, UUID(connection)))


def copies(of: list[SaleRecorded], number: int) -> Iterator[SaleRecorded]:
    """Yield so many orders that were never seen before, like the given ones in turn."""
    for sale in islice(cycle(of), number):
        unique = f"{next(_numbers):08}"
        yield msgspec.structs.replace(
            sale, order_id=f"{sale.order_id}-{unique}", content_hash=f"{sale.content_hash[:-8]}{unique}"
        )


def write(servers: str, sales: Iterable[SaleRecorded]) -> None:
    """Write sales to Kafka; returns when all are acknowledged."""
    asyncio.run(_write(servers, sales))


@dataclass(frozen=True)
class Said:
    """What mapping published: how many messages, their mean size (bytes, with headers), when the last was
    written (s since 1970)."""

    messages: int
    size: int
    last_at: float


def said(servers: str, start: Positions, tenant: UUID, *, quiet_seconds: float = 2.0) -> Said:
    """Wait until no more product sales come, and return what of a tenant came after `start`.

    Only offsets are asked for meanwhile, four times a second: reading would take from what is measured.
    """
    return asyncio.run(_said(servers, start, tenant, quiet_seconds))


async def _ends(servers: str, topic: str) -> Positions:
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers) as consumer:
        found: Positions = await consumer.end_offsets(consumer.assignment())
        return found


async def _sales_of(servers: str, connection_id: UUID) -> list[SaleRecorded]:
    found: list[SaleRecorded] = []
    async with AIOKafkaConsumer(
        SALES_RAW, bootstrap_servers=servers, auto_offset_reset="earliest"
    ) as consumer:
        last: Positions = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(part) < end for part, end in last.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [decode_as(SaleRecorded, record.value) for record in records]
    return [sale for sale in found if sale.connection_id == connection_id]


async def _write(servers: str, sales: Iterable[SaleRecorded]) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=servers))
    await producer.start()
    try:
        each = iter(sales)
        while some := [_message(sale) for sale in islice(each, _AT_ONCE)]:
            await producer.publish(some)
    finally:
        await producer.stop()


def _message(sale: SaleRecorded) -> OutMessage:
    event_id = stable_id(sale.connection_id, sale.order_id, sale.source_version, sale.content_hash)
    source = "suppli/connector-square"
    return OutMessage(SALES_RAW, *encode(sale, event_id=str(event_id), source=source, time=datetime.now(UTC)))


async def _said(servers: str, start: Positions, tenant: UUID, quiet_seconds: float) -> Said:
    its = ("ce_tenant", str(tenant).encode())
    async with AIOKafkaConsumer(SALES_PRODUCTS, bootstrap_servers=servers) as consumer:
        reached, since = start, time.monotonic()
        while reached == start or time.monotonic() - since < quiet_seconds:
            await asyncio.sleep(0.25)
            now = await consumer.end_offsets(list(start))
            if now != reached:
                reached, since = now, time.monotonic()
        for part, offset in start.items():
            consumer.seek(part, offset)
        messages, size, last = 0, 0, 0
        while any([await consumer.position(part) < end for part, end in reached.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if its in record.headers:
                        messages += 1
                        size += _size(record)
                        last = max(last, record.timestamp)
        return Said(messages, size // max(1, messages), last / 1000)


def _size(record: object) -> int:
    value: bytes = record.value  # type: ignore[attr-defined]
    headers: tuple[tuple[str, bytes], ...] = record.headers  # type: ignore[attr-defined]
    return len(value) + sum(len(name) + len(content) for name, content in headers)
