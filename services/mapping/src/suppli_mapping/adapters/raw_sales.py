"""How far the ledger is with the raw sales, asked of Kafka (port `RawSales`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from suppli_service_kit.kafka.offsets import TopicOffsets
from suppli_service_kit.settings import KafkaSettings

ASK_SECONDS = 5.0


class KafkaRawSales:
    """Compares where the topic ends with what the ledger's group has committed, after its transactions."""

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        self._offsets, self._group = TopicOffsets(settings, topic), group

    async def ends(self) -> dict[int, int]:
        """Return where each partition ends now."""
        return _numbers(await self._asked(self._offsets.ends()))

    async def read(self) -> dict[int, int]:
        """Return up to where the ledger has each partition."""
        return _numbers(await self._asked(self._offsets.committed(self._group)))

    async def close(self) -> None:
        """Leave Kafka."""
        await self._offsets.close()

    async def _asked(self, question: Any) -> Mapping[TopicPartition, int]:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer: Mapping[TopicPartition, int] = await question
        except (KafkaError, OSError):
            await self.close()  # connected anew by the next question
            raise
        return answer


def _numbers(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {part.partition: offset for part, offset in offsets.items()}
