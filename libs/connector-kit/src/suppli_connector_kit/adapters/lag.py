"""How far the groups are behind that bulk work must not hold up (port `Queue`)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from suppli_contracts.topics import Topic
from suppli_service_kit.kafka.connection import client_options
from suppli_service_kit.logs import get_logger
from suppli_service_kit.settings import KafkaSettings

log = get_logger(__name__)

FRESH_SECONDS = 0.2  # a page takes a tenth of a second: an older answer lets several too many pass
FIRSTS_SECONDS = 60.0  # how often it is asked what retention has removed
ASK_SECONDS = 5.0
UNKNOWN = 1 << 40
"""Said while Kafka does not tell: bulk work waits then."""


class KafkaQueue:
    """Asks Kafka for the lag of a topic's `yields_to` groups, at most every `FRESH_SECONDS` for all runs."""

    def __init__(self, settings: KafkaSettings, topic: Topic) -> None:
        self._settings, self._topic = settings, topic
        self._lock = asyncio.Lock()
        self._asked_at = 0.0
        self._behind = 0
        self._clients: tuple[Any, Any] | None = None
        self._firsts: dict[TopicPartition, int] = {}
        self._firsts_at = float("-inf")

    async def behind(self) -> int:
        """Return how many records the slowest group has not read yet."""
        if not self._topic.yields_to:
            return 0
        async with self._lock:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._behind = await self._ask()
                self._asked_at = time.monotonic()
            return self._behind

    async def close(self) -> None:
        """Leave Kafka."""
        clients, self._clients = self._clients, None
        if clients is not None:
            admin, consumer = clients
            await asyncio.gather(admin.close(), consumer.stop(), return_exceptions=True)

    async def _ask(self) -> int:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                admin, consumer = await self._connected()
                firsts = await self._beginnings(admin, consumer)
                parts = list(firsts)
                ends = await consumer.end_offsets(parts)
                behind = [
                    _lag(await admin.list_consumer_group_offsets(group, partitions=parts), firsts, ends)
                    for group in self._topic.yields_to
                ]
                return max(behind)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("lag_not_known", error=type(error).__name__)
            await self.close()
            return UNKNOWN

    async def _beginnings(self, admin: Any, consumer: Any) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still has: it moves seldom."""
        if time.monotonic() - self._firsts_at > FIRSTS_SECONDS:
            numbers = await _partitions(admin, self._topic.name)
            parts = [TopicPartition(self._topic.name, number) for number in numbers]
            self._firsts = await consumer.beginning_offsets(parts)
            self._firsts_at = time.monotonic()
        return self._firsts

    async def _connected(self) -> tuple[Any, Any]:
        if self._clients is None:
            options = client_options(self._settings)
            admin = AIOKafkaAdminClient(**options)
            consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
            self._clients = (admin, consumer)
            await admin.start()
            await consumer.start()
        return self._clients


async def _partitions(admin: Any, topic: str) -> list[int]:
    [described] = await admin.describe_topics([topic])
    return [part["partition"] for part in described["partitions"]]


def _lag(committed: dict[Any, Any], firsts: dict[Any, int], ends: dict[Any, int]) -> int:
    """Return the records not read; what retention removed is nobody's backlog."""
    behind = 0
    for part, end in ends.items():
        at = committed[part].offset if part in committed else -1
        behind += max(0, end - max(at, firsts[part]))
    return behind
