"""Reading product sales: the ten-line consumer of the contracts' README, and what the demo and tests need."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from suppli_contracts import codec
from suppli_contracts.events import ProductSaleRecorded
from suppli_contracts.topics import SALES_PRODUCTS

README = (Path(__file__).parent / "../../../../libs/contracts/README.md").resolve()
_MARK = "<!-- snippet: consume -->\n```python\n"


def snippet() -> str:
    """Return the consumer of product sales from the contracts' README."""
    _, found, rest = README.read_text(encoding="utf-8").partition(_MARK)
    if not found:
        raise RuntimeError(f"{README} has no consumer snippet")
    return rest.partition("```")[0]


async def product_sales(bootstrap_servers: str, connection: UUID) -> list[tuple[str, ProductSaleRecorded]]:
    """Return every product sale of a connection that is on Kafka now, with its event id, as written."""
    found: list[tuple[str, ProductSaleRecorded]] = []
    async for record in everything_on(bootstrap_servers, SALES_PRODUCTS):
        sale = codec.decode_as(ProductSaleRecorded, record.value)
        if sale.connection_id == connection:
            found.append((dict(record.headers)["ce_id"].decode(), sale))
    return found


async def everything_on(bootstrap_servers: str, *topics: str) -> AsyncIterator[ConsumerRecord]:
    """Yield every record that is on the topics now."""
    async with AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        left = await consumer.end_offsets(consumer.assignment())
        while left:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record
            left = {part: end for part, end in left.items() if await consumer.position(part) < end}


async def count_dead_letters(bootstrap_servers: str) -> int:
    """Return how many messages are on any dead-letter topic.

    Raises:
        LookupError: there is no dead-letter topic at all, so nothing could be counted.
    """
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        names = [name for name in await consumer.topics() if name.endswith(".dlq")]
    if not names:
        raise LookupError("no dead-letter topic exists")
    async with AIOKafkaConsumer(*names, bootstrap_servers=bootstrap_servers) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        return sum(ends.values())


class FirstSale:
    """Notes when the first product sale from now on arrives on Kafka."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._arrived = threading.Event()
        self._at = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(bootstrap_servers,), daemon=True)
        self._thread.start()
        self._ready.wait(30)

    def wait(self, seconds: float) -> float:
        """Return the monotonic instant of its arrival.

        Raises:
            TimeoutError: none arrived in time.
        """
        if not self._arrived.wait(seconds):
            raise TimeoutError(f"no product sale arrived in {seconds:.0f} s")
        return self._at

    def _watch(self, bootstrap_servers: str) -> None:
        asyncio.run(self._first(bootstrap_servers))

    async def _first(self, bootstrap_servers: str) -> None:
        async with AIOKafkaConsumer(SALES_PRODUCTS, bootstrap_servers=bootstrap_servers) as consumer:
            await consumer.seek_to_end()
            for partition in consumer.assignment():  # where "now" is, before anybody maps
                await consumer.position(partition)
            self._ready.set()
            await consumer.getone()
            self._at = time.monotonic()
            self._arrived.set()
