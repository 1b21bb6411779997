"""How far the groups are behind that bulk work must not hold up (port `Queue`)."""

from __future__ import annotations

import asyncio
import time

from aiokafka.errors import KafkaError
from suppli_contracts.topics import Topic
from suppli_service_kit.kafka.offsets import TopicOffsets
from suppli_service_kit.logs import get_logger
from suppli_service_kit.settings import KafkaSettings

log = get_logger(__name__)

FRESH_SECONDS = 0.2  # a page takes a tenth of a second: an older answer lets several too many pass
ASK_SECONDS = 5.0
UNKNOWN = 1 << 40
"""Said while Kafka does not tell: bulk work waits then."""


class KafkaQueue:
    """Asks Kafka for the lag of a topic's `yields_to` groups, at most every `FRESH_SECONDS` for all runs."""

    def __init__(self, settings: KafkaSettings, topic: Topic) -> None:
        self._topic = topic
        self._offsets = TopicOffsets(settings, topic.name)
        self._lock = asyncio.Lock()
        self._asked_at = 0.0
        self._behind = 0

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
        await self._offsets.close()

    async def _ask(self) -> int:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                ends = await self._offsets.ends()
                lags = []
                for group in self._topic.yields_to:
                    read = await self._offsets.committed(group)
                    lags.append(sum(max(0, end - read[part]) for part, end in ends.items()))
                return max(lags)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("lag_not_known", error=type(error).__name__)
            await self.close()
            return UNKNOWN
