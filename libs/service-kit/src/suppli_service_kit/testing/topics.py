"""Reading what came out on topics, again and again, without a new consumer each time."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

START_SECONDS = 20.0


class Tail:
    """Reads topics on from where it was, up to where they end now; belongs to no group."""

    def __init__(self, bootstrap_servers: str, *topics: str) -> None:
        """Prepare; nothing is connected before `start`."""
        self._consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=20,
        )

    async def start(self) -> None:
        """Connect, and stand where the topics end now; they must exist. Raises `TimeoutError`."""
        await self._consumer.start()
        async with asyncio.timeout(START_SECONDS):
            while not self._consumer.assignment():  # noqa: ASYNC110 - the client tells nobody
                await asyncio.sleep(0.02)
            for partition in self._consumer.assignment():
                await self._consumer.position(partition)

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def read_on(self) -> list[ConsumerRecord[Any, Any]]:
        """Return what has been written since the last time, in the order of each partition."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        found: list[ConsumerRecord[Any, Any]] = []
        while any([await self._consumer.position(part) < end for part, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                found += records
        return found
