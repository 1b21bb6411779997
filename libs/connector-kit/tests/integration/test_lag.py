"""How far readers are behind, asked of real Kafka."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from suppli_connector_kit.adapters.lag import KafkaQueue
from suppli_contracts.topics import SALES_RAW, registry
from suppli_embedded.kafka import KafkaServer
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.settings import KafkaSettings


async def said(queue: KafkaQueue, behind: int) -> None:
    """Wait until the queue says so."""
    async with asyncio.timeout(30):
        while await queue.behind() != behind:  # noqa: ASYNC110 - a look at a condition, with a deadline
            await asyncio.sleep(0.1)


async def test_the_lag_of_the_groups_that_bulk_work_yields_to(
    kafka: KafkaServer, kafka_topics: Callable[..., str]
) -> None:
    """A backfill would wait for ever, or never."""
    name = kafka_topics("lag", partitions=2)
    topic = dataclasses.replace(registry(("memory",))[SALES_RAW], name=name, yields_to=(f"{name}.g",))
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    producer = Producer(settings)
    queue = KafkaQueue(settings, topic)
    try:
        await said(queue, 0)  # a young broker has no coordinator yet; until then it is not known
        await producer.publish([OutMessage(name, str(n).encode(), b"x") for n in range(10)])
        await said(queue, 10)  # a group that never read is behind by everything
        reader = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers, group_id=f"{name}.g", enable_auto_commit=False
        )
        await reader.start()
        parts = [TopicPartition(name, part) for part in range(2)]
        reader.assign(parts)
        ends = await reader.end_offsets(parts)
        await reader.commit({parts[0]: OffsetAndMetadata(ends[parts[0]], "")})
        await reader.stop()
        await said(queue, ends[parts[1]])
    finally:
        await queue.close()
        await producer.stop()
