"""The producer: `publish` returns when every message is acknowledged by all in-sync replicas, or raises."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder

from suppli_service_kit import metrics
from suppli_service_kit.kafka.connection import client_options
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.logs import get_logger
from suppli_service_kit.settings import KafkaSettings

log = get_logger(__name__)

STOP_SECONDS = (
    2.0  # how long a stopping producer may flush; an unacknowledged message is its caller's to send again
)
MAX_MESSAGE_BYTES = 950_000  # Kafka's own limit is 1 MiB a batch, with headers and framing

Wave: TypeAlias = "dict[tuple[str, int], BatchBuilder]"


class PublishFailed(Exception):
    """Not every message was acknowledged: none, some or all may be in Kafka. Send all of them again."""


class MessageTooLarge(Exception):
    """A message does not fit; sending it again will not help."""


def check_sizes(messages: Sequence[OutMessage]) -> None:
    """Raise `MessageTooLarge` when a message is larger than `MAX_MESSAGE_BYTES`."""
    for message in messages:
        size = len(message.key or b"") + len(message.value or b"")
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(
                f"a message to {message.topic} has {size} bytes, at most {MAX_MESSAGE_BYTES} fit"
            )


def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition of a key: CRC-32 modulo their number, as librdkafka's `consistent` does it.

    Every producer of ours goes by it, so that a key stays on its partition. Kafka's Java client takes murmur2
    instead, which aiokafka computes in Python: 12 to 18 us for keys like ours. No key: any partition.
    """
    return random.randrange(partitions) if key is None else crc32(key) % partitions  # noqa: S311


class Producer:
    """One idempotent producer (`acks=all`, zstd); replaced by a new one after any failure.

    Replacing matters: after an outage a producer may refuse a partition for good (OutOfOrderSequenceNumber),
    and one whose caller stopped waiting would still deliver later what the caller sends again.
    Messages of one key stay in the order in which they were handed over; several tasks may publish at once.
    A key's partition is its CRC-32 modulo the topic's partitions (`partition_of`), whoever of us writes it.
    """

    def __init__(self, settings: KafkaSettings, *, client_id: str = "suppli") -> None:
        self._settings = settings
        self._client_id = client_id
        self._client: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._stopped = False

    async def start(self) -> None:
        """Connect. Brokers that cannot be reached are no error here: the next publish connects.

        Raises:
            MissingSetting: the password's file cannot be read.
        """
        self._stopped = False
        try:
            await self._connected()
        except (KafkaError, OSError) as error:
            log.warning("kafka_producer_not_connected", error=type(error).__name__)

    async def stop(self) -> None:
        """Close, within about two seconds, also when the brokers are gone."""
        self._stopped = True
        async with self._lock:
            client, self._client = self._client, None
            if client is not None:
                await _close(client)

    async def ping(self) -> None:
        """Ask a broker for an answer, connecting where that was lost.

        Raises:
            KafkaError, OSError: no broker can be reached.
        """
        client = await self._connected()
        if not await client.client.force_metadata_update():
            raise KafkaConnectionError("no broker answers")

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float = 30) -> None:
        """Publish `messages` and return when every one of them is acknowledged.

        Args:
            messages: in the order that their keys shall keep.
            timeout: seconds for all of it, connecting included.

        Raises:
            MessageTooLarge: one is larger than `MAX_MESSAGE_BYTES`; nothing was sent.
            PublishFailed: some were not acknowledged; send all again (readers take repeats).
        """
        check_sizes(messages)
        await self.deliver(messages, timeout=timeout)

    async def deliver(self, messages: Sequence[OutMessage], *, timeout: float = 30) -> None:
        """Publish whatever the size: for dead letters, which were in Kafka before. Raises `PublishFailed`."""
        if not messages:
            return
        client: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(timeout):
                client = await self._connected()
                await _send_all(client, messages)
        except (KafkaError, OSError, TimeoutError) as error:
            metrics.PUBLISH_FAILURES.labels(type(error).__name__).inc()
            await self._discard(client)
            raise PublishFailed(
                f"{len(messages)} messages were not all acknowledged: {type(error).__name__}"
            ) from error
        for topic, count in Counter(message.topic for message in messages).items():
            metrics.PUBLISHED.labels(topic).inc(count)

    async def _connected(self) -> AIOKafkaProducer:
        if self._client is not None:
            return self._client
        async with self._lock:
            if self._stopped:
                raise KafkaError("the producer is stopped")
            if self._client is None:
                client = AIOKafkaProducer(**self._options())
                try:
                    await client.start()
                except BaseException:
                    await _close(client)
                    raise
                self._client = client
            return self._client

    async def _discard(self, client: AIOKafkaProducer | None) -> None:
        """Drop a client that failed; only the first of several failed callers finds it still in place."""
        if client is None or self._client is not client:
            return
        self._client = None
        metrics.PRODUCER_RESTARTS.inc()
        await _close(client, flush=False)

    def _options(self) -> dict[str, Any]:
        return client_options(self._settings) | {
            "client_id": self._client_id,
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": "zstd",
            "max_batch_size": 262_144,
            "linger_ms": 5,
            "max_request_size": 1_148_576,
            "request_timeout_ms": 20_000,
        }


async def _send_all(client: AIOKafkaProducer, messages: Sequence[OutMessage]) -> None:
    """Hand over everything, then wait for every acknowledgement; raise the first failure when all settled."""
    failure: BaseException | None = None
    acknowledgements: list[asyncio.Future[Any]] = []
    try:
        for wave in await _batches(client, messages):
            # A partition's next batch is taken once the one before it is on its way: they keep their order.
            for (topic, partition), batch in wave.items():
                sent = await client.send_batch(batch, topic, partition=partition)
                acknowledgements.append(sent)
        for acknowledgement in acknowledgements:
            try:
                await acknowledgement
            except KafkaError as error:
                failure = failure or error
    finally:
        for acknowledgement in acknowledgements:
            acknowledgement.add_done_callback(_retrieve)
    if failure is not None:
        raise failure


async def _batches(client: AIOKafkaProducer, messages: Sequence[OutMessage]) -> list[Wave]:
    """Return the messages as closed batches: the first of each partition, the second of each, and so on.

    Whole batches instead of `send`, which costs a coroutine, a future and a look at the metadata for each
    message: several times what putting the message into its batch does.
    """
    partitions = {
        topic: len(await client.partitions_for(topic)) for topic in {each.topic for each in messages}
    }
    now = int(time.time() * 1000)
    waves: list[Wave] = []
    filling: dict[tuple[str, int], tuple[BatchBuilder, int]] = {}
    for each in messages:
        place = each.topic, partition_of(each.key, partitions[each.topic])
        values = {"timestamp": now, "key": each.key, "value": each.value, "headers": list(each.headers)}
        batch, number = filling.get(place, (None, -1))
        if batch is None or batch.append(**values) is None:  # full
            batch, number = client.create_batch(), number + 1
            batch.append(**values)  # an empty one takes a message of any size
            filling[place] = batch, number
            if number == len(waves):
                waves.append({})
            waves[number][place] = batch
    for wave in waves:
        for batch in wave.values():
            batch.close()
    return waves


def _retrieve(acknowledgement: asyncio.Future[Any]) -> None:
    """Look at an outcome nobody waits for any more; asyncio reports those that are never looked at."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


async def _close(client: AIOKafkaProducer, *, flush: bool = True) -> None:
    """Close within about `STOP_SECONDS`: by itself a producer flushes for as long as the brokers are away."""
    closing = asyncio.ensure_future(client.stop())
    done, _ = await asyncio.wait({closing}, timeout=STOP_SECONDS if flush else 0.05)
    if not done:
        # No public way to give up: end the sender, the connections and what still waits to be sent.
        client._message_accumulator.fail_all(ProducerClosed())
        if client._sender is not None and client._sender.sender_task is not None:
            client._sender.sender_task.cancel()
        await asyncio.wait({closing, asyncio.ensure_future(client.client.close())}, timeout=1)
    if not closing.done():
        closing.cancel()
    elif not closing.cancelled() and (error := closing.exception()) is not None:
        log.warning("kafka_producer_close_failed", error=type(error).__name__)
