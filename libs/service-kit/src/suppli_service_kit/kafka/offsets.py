"""What Kafka knows of a topic: where its partitions begin and end, and how far groups have read."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from suppli_service_kit.kafka.connection import client_options
from suppli_service_kit.settings import KafkaSettings

FIRSTS_SECONDS = 60.0  # how often it is asked what retention has removed


class TopicOffsets:
    """Asks Kafka about one topic; connected by the first question, again after `close`."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._clients: tuple[Any, Any] | None = None
        self._firsts: dict[TopicPartition, int] = {}
        self._firsts_at = float("-inf")

    async def firsts(self) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still has, as of the last minute: it moves seldom.

        Raises:
            aiokafka.errors.KafkaError, OSError: Kafka does not tell.
        """
        if time.monotonic() - self._firsts_at > FIRSTS_SECONDS:
            admin, consumer = await self._connected()
            [described] = await admin.describe_topics([self._topic])
            parts = [TopicPartition(self._topic, part["partition"]) for part in described["partitions"]]
            self._firsts = await consumer.beginning_offsets(parts)
            self._firsts_at = time.monotonic()
        return self._firsts

    async def ends(self) -> dict[TopicPartition, int]:
        """Return the offset that each partition's next record gets; raises like `firsts`."""
        _, consumer = await self._connected()
        ends: dict[TopicPartition, int] = await consumer.end_offsets(list(await self.firsts()))
        return ends

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return up to where a group has read each partition (exclusive); raises like `firsts`.

        What retention removed unread counts as read.
        """
        admin, _ = await self._connected()
        firsts = await self.firsts()
        known = await admin.list_consumer_group_offsets(group, partitions=list(firsts))
        return {
            part: max(known[part].offset if part in known else -1, first) for part, first in firsts.items()
        }

    async def close(self) -> None:
        """Leave Kafka."""
        clients, self._clients = self._clients, None
        if clients is not None:
            admin, consumer = clients
            await asyncio.gather(admin.close(), consumer.stop(), return_exceptions=True)

    async def _connected(self) -> tuple[Any, Any]:
        if self._clients is None:
            options = client_options(self._settings)
            admin = AIOKafkaAdminClient(**options)
            consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
            self._clients = (admin, consumer)
            await admin.start()
            await consumer.start()
        return self._clients
