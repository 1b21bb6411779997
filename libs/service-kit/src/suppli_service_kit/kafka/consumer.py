"""Consumers: batches in, offsets committed only after the handler's effect is durable, nothing ever skipped.

Built on FastStream's batch subscriber with manual acknowledgement. Why the details are as they are:
- offsets are committed per partition: a plain commit after a rebalance silently commits nothing;
- a failing batch is sought back to before waiting, or the next commit would pass over it;
- a rebalance waits for the batch in work, so that partitions move with their work committed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber
from opentelemetry.trace import SpanKind

from suppli_service_kit import metrics, tracing
from suppli_service_kit.kafka.batches import BadMessage as BadMessage
from suppli_service_kit.kafka.batches import BatchHandler as BatchHandler
from suppli_service_kit.kafka.batches import Outcome, Streak, work_through
from suppli_service_kit.kafka.connection import broker_security, request_timeout_ms
from suppli_service_kit.kafka.dead_letters import dead_letter
from suppli_service_kit.kafka.lag import LagCollector
from suppli_service_kit.kafka.messages import InMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.logs import get_logger
from suppli_service_kit.settings import KafkaSettings
from suppli_service_kit.waiting import Backoff, wait_or_stop

log = get_logger(__name__)

COMMIT_SECONDS = 30.0  # aiokafka repeats a commit for ever while the broker is away
HANDLER_SECONDS = (
    120.0  # well below max_poll_interval: a hanging handler is cancelled and its batch comes again
)
MAX_POLL_INTERVAL_MS = 300_000
FETCH_BYTES = 1024 * 1024  # compressed, some thousand messages: a backlog must not fill the memory
STOP_SECONDS = 5.0  # how long a batch in work may finish when the process stops
STALLED_SECONDS = 300.0  # messages wait and no batch is even tried for so long: a stuck consumer

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"
Offsets: TypeAlias = "dict[TopicPartition, int]"
Runs: TypeAlias = "dict[TopicPartition, list[Record]]"


class _RawCodec:
    """FastStream's codec that decodes nothing: handlers read the raw records."""

    async def decode(self, message: Any) -> Any:
        return message.body

    async def decode_batch(self, message: Any) -> Any:
        return message.body

    async def encode(self, message: Any, serializer: Any = None) -> tuple[bytes, str]:
        raise NotImplementedError("consumers publish through Producer, never through the broker object")

    async def encode_batch(self, messages: Any, serializer: Any = None) -> list[tuple[bytes, str]]:
        raise NotImplementedError("consumers publish through Producer, never through the broker object")


class _DrainOnRevoke(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Lets the batch in work finish and commit before its partitions move to another member."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        async with self._subscription.lock:
            self._subscription.forget(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._subscription.turned_at = time.monotonic()
        log.info("partitions_assigned", group=self._subscription.group, count=len(set(assigned)))


@dataclass(eq=False)
class Subscription:
    """One group's reading of its topics, and how far it is.

    Attributes:
        done: per partition, the offset up to which everything is durable and committed.
        turned_at: monotonic instant (s) at which a batch was last done or tried.
    """

    topics: tuple[str, ...]
    group: str
    handler: BatchHandler
    max_records: int
    batch_timeout_ms: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    backoff: Backoff = field(default_factory=Backoff)
    streak: Streak = field(default_factory=Streak)
    done: Offsets = field(default_factory=dict)
    turned_at: float = field(default_factory=time.monotonic)
    subscriber: BatchSubscriber | None = None

    def assigned(self) -> set[TopicPartition]:
        """Return the partitions that this process reads now."""
        consumer = None if self.subscriber is None else self.subscriber.consumer
        return set() if consumer is None else set(consumer.assignment())

    def lag(self) -> dict[TopicPartition, int]:
        """Return per assigned partition how many messages are not yet done; unknown ones are left out."""
        consumer = None if self.subscriber is None else self.subscriber.consumer
        if consumer is None:
            return {}
        lags: dict[TopicPartition, int] = {}
        for partition in consumer.assignment():
            end = consumer.highwater(partition)
            if end is not None:
                lags[partition] = max(0, end - self.done.get(partition, end))
        return lags

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Drop what is known of partitions that another member takes."""
        for partition in partitions:
            self.done.pop(partition, None)

    def is_stalled(self) -> bool:
        """Return whether messages wait and no batch was even tried for `STALLED_SECONDS`."""
        return time.monotonic() - self.turned_at > STALLED_SECONDS and any(self.lag().values())


class Consumers:
    """All subscriptions of a process.

    A batch that fails on its data is halved until the bad message stands alone; it goes, acknowledged, to
    `<topic>.<group>.dlq` before the offset is committed, and the rest goes through. Any other failure is
    taken as transient: the batch is sought back to and tried again, with growing waits, for ever. More than
    50 bad messages in a row are taken for a fault of the code, and wait like a transient failure.
    """

    def __init__(
        self, settings: KafkaSettings, *, service: str, instance_id: str | None, producer: Producer
    ) -> None:
        """Prepare; nothing is connected before `start`.

        Args:
            settings: how to reach the brokers.
            service: names this client towards the brokers.
            instance_id: the process's lasting name: a restart then takes no rebalance; None = dynamic member.
            producer: publishes dead letters; owned by the caller.
        """
        self._settings = settings
        self._service = service
        self._instance_id = instance_id
        self._producer = producer
        self._broker: KafkaBroker | None = None
        self._stop = asyncio.Event()
        self.subscriptions: list[Subscription] = []
        self._lag = LagCollector(self.subscriptions)

    def subscribe(
        self,
        topics: str | Sequence[str],
        *,
        group: str,
        handler: BatchHandler,
        max_records: int = 500,
        batch_timeout_ms: int = 20,
    ) -> None:
        """Read `topics` as `group`, from the earliest message on, and hand batches to `handler`.

        Args:
            topics: one or several; they must exist when the consumers start.
            group: the consumer group, one for each (service, purpose); a group is subscribed once.
            handler: durable and idempotent; it opens its own database transaction.
            max_records: most messages of a batch.
            batch_timeout_ms: how long a look waits for messages, and how long after an empty one the next is
                begun: twice as long costs half as much while nothing comes, and so much latency.

        Raises:
            ValueError: the group is already subscribed here.
        """
        if any(group == known.group for known in self.subscriptions):
            raise ValueError(f"group {group} is already subscribed")
        names = (topics,) if isinstance(topics, str) else tuple(topics)
        self.subscriptions.append(Subscription(names, group, handler, max_records, batch_timeout_ms))

    async def start(self) -> None:
        """Connect and join all groups; returns when each has its assignment.

        Raises:
            aiokafka.errors.KafkaError: the brokers cannot be reached or a topic is missing.
        """
        self._stop.clear()
        broker = self._new_broker()
        for subscription in self.subscriptions:
            self._attach(broker, subscription)
        self._broker = broker
        try:
            await broker.start()
        except BaseException:
            await self._close()
            raise
        self._lag.register()

    async def run(self, stop: asyncio.Event) -> None:
        """Start, waiting for brokers that are away, read until `stop`, then stop gracefully."""
        backoff = Backoff(base=0.5, cap=15)
        while self.subscriptions and not stop.is_set():
            starting = asyncio.ensure_future(self.start())
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():
                starting.cancel()
            try:
                await starting
            except asyncio.CancelledError:
                break
            except (KafkaError, OSError) as error:
                log.warning("consumers_not_started", error=type(error).__name__, reason=str(error))
                await wait_or_stop(stop, backoff.next())
            else:
                await stop.wait()
        await self.stop()

    async def stop(self) -> None:
        """Let each batch in work finish and commit, for up to five seconds; leave the brokers."""
        self._stop.set()
        self._lag.unregister()
        await self._close()

    def problems(self) -> list[str]:
        """Return what is wrong with the reading now, one sentence each; empty = all well."""
        if self._broker is None and self.subscriptions:
            return ["not connected"]
        found = []
        for each in self.subscriptions:
            if not each.assigned() and each.subscriber is None:
                found.append(f"{each.group}: not joined")
            elif each.backoff.failures:
                found.append(f"{each.group}: the same batch failed {each.backoff.failures} times")
        return found

    def stalled(self) -> list[str]:
        """Return the groups with messages waiting and no progress for minutes: restart such a process."""
        return [each.group for each in self.subscriptions if each.is_stalled()]

    def _new_broker(self) -> KafkaBroker:
        return KafkaBroker(
            self._settings.bootstrap_servers.split(","),
            client_id=f"{self._service}-{self._instance_id or 'dynamic'}",
            security=broker_security(self._settings),
            request_timeout_ms=request_timeout_ms(self._settings),
            allow_auto_create_topics=False,
            graceful_timeout=STOP_SECONDS,
            codec=_RawCodec(),
            logger=_framework_logger(),
            log_level=logging.DEBUG,
        )

    def _attach(self, broker: KafkaBroker, subscription: Subscription) -> None:
        async def parse(records: tuple[Record, ...]) -> KafkaMessage:
            # Other people's header values may be null or no UTF-8: FastStream's own parser fails on those.
            consumer: Any = subscriber.consumer
            return KafkaMessage(body=b"", raw_message=records, headers={}, consumer=consumer)

        async def on_batch(_: Any, message: KafkaMessage) -> None:
            await self._on_batch(subscription, message.raw_message)

        subscriber = broker.subscriber(
            *subscription.topics,
            batch=True,
            group_id=subscription.group,
            group_instance_id=self._instance_id,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_records=subscription.max_records,
            batch_timeout_ms=subscription.batch_timeout_ms,
            fetch_max_bytes=FETCH_BYTES,
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, self._settings.session_timeout_ms // 3),
            rebalance_timeout_ms=self._settings.rebalance_timeout_ms,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            listener=_DrainOnRevoke(subscription),
            parser=parse,
        )
        subscriber(on_batch)
        subscription.subscriber = subscriber

    async def _on_batch(self, subscription: Subscription, records: tuple[Record, ...]) -> None:
        started = time.monotonic()
        async with subscription.lock:
            failure = await self._settle(subscription, records)
        subscription.turned_at = time.monotonic()  # a batch that is tried again is no stuck consumer
        if failure is None:
            subscription.backoff.reset()
            metrics.BATCH_SECONDS.labels(subscription.group).observe(time.monotonic() - started)
            return
        seconds = subscription.backoff.next()
        metrics.CONSUMER_RETRIES.labels(subscription.group, type(failure).__name__).inc()
        log.warning(
            "batch_put_back",
            group=subscription.group,
            failures=subscription.backoff.failures,
            retry_in_seconds=round(seconds, 2),
            exc_info=failure,
        )
        await wait_or_stop(self._stop, seconds)

    async def _settle(self, subscription: Subscription, records: tuple[Record, ...]) -> BaseException | None:
        """Work through a batch under the lock; commit what is done, seek back to what is not; return why."""
        by_partition = runs(records)
        for partition, part in by_partition.items():
            subscription.done.setdefault(partition, part[0].offset)
        messages = [in_message(record) for record in records]
        links = (message.headers["traceparent"] for message in messages if "traceparent" in message.headers)
        with tracing.span(
            "consume batch",
            links=links,
            kind=SpanKind.CONSUMER,
            group=subscription.group,
            messages=len(records),
        ):
            outcome = await work_through(messages, _bounded(subscription.handler), subscription.streak)
            ends, starts = frontier(by_partition, outcome)
            failure = outcome.transient
            try:
                await self._set_aside(subscription, records, outcome, ends)
            except Exception as error:
                # Without its dead letters nothing of the batch may be committed.
                starts = {partition: part[0].offset for partition, part in by_partition.items()}
                ends, failure = {}, error
        consumer = None if subscription.subscriber is None else subscription.subscriber.consumer
        if consumer is None:
            return failure
        for partition, offset in starts.items():
            with suppress(IllegalStateError):  # the partition has moved: its new reader starts at the commit
                consumer.seek(partition, offset)
        if ends:
            await self._commit(subscription, consumer, ends)
            _count(subscription, by_partition, ends)
        return failure

    async def _set_aside(
        self, subscription: Subscription, records: Sequence[Record], outcome: Outcome, ends: Offsets
    ) -> None:
        aside = [
            (message, error)
            for message, error in outcome.bad
            if message.offset < ends.get(TopicPartition(message.topic, message.partition), 0)
        ]
        if not aside:
            return
        raw = {(record.topic, record.partition, record.offset): record.headers for record in records}
        instance = self._instance_id or self._service
        await self._producer.deliver(
            [
                dead_letter(
                    message,
                    raw[message.topic, message.partition, message.offset],
                    error,
                    group=subscription.group,
                    instance=instance,
                )
                for message, error in aside
            ]
        )
        for message, error in aside:
            metrics.DEAD_LETTERS.labels(message.topic, subscription.group).inc()
            log.warning(
                "message_set_aside",
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                group=subscription.group,
                error=type(error).__name__,
            )

    async def _commit(self, subscription: Subscription, consumer: Any, ends: Offsets) -> None:
        mine = consumer.assignment()
        kept = {partition: offset for partition, offset in ends.items() if partition in mine}
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                if kept:
                    await consumer.commit(kept)
            if len(kept) < len(ends):
                metrics.LOST_COMMITS.labels(subscription.group).inc()
        except (TimeoutError, KafkaError) as error:  # CommitFailedError, IllegalStateError among them
            # The effect is durable; its messages come again and are taken as repeats.
            metrics.LOST_COMMITS.labels(subscription.group).inc()
            log.warning("offsets_not_committed", group=subscription.group, error=type(error).__name__)
        subscription.done |= ends

    async def _close(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            await _stop_within(broker, STOP_SECONDS + 2)
        for subscription in self.subscriptions:
            subscription.subscriber = None
            subscription.done.clear()


def _framework_logger() -> logging.Logger:
    """Return a logger for FastStream: its errors matter, its word on every message and start does not."""
    logger = logging.getLogger("suppli_service_kit.faststream")
    logger.setLevel(logging.ERROR)
    return logger


async def _stop_within(broker: KafkaBroker, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await broker.stop()
    except TimeoutError:
        log.warning("consumers_stop_timed_out", seconds=seconds)


def in_message(record: Record) -> InMessage:
    """Return a record with its headers decoded, whatever bytes they hold."""
    try:
        headers = {name: value.decode() for name, value in record.headers}
    except (AttributeError, UnicodeDecodeError):  # null or no UTF-8: rare, so the common case pays nothing
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return InMessage(
        record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp
    )


def runs(records: Sequence[Record]) -> Runs:
    """Return the records of a batch by partition, in order."""
    found: Runs = {}
    for (topic, partition), part in groupby(records, key=attrgetter("topic", "partition")):
        found.setdefault(TopicPartition(topic, partition), []).extend(part)
    return found


def frontier(by_partition: Runs, outcome: Outcome) -> tuple[Offsets, Offsets]:
    """Return (what to commit, where to go on) per partition: all before the first unsettled is done."""
    if outcome.transient is None:
        return {partition: records[-1].offset + 1 for partition, records in by_partition.items()}, {}
    ends: Offsets = {}
    starts: Offsets = {}
    for partition, records in by_partition.items():
        for record in records:
            if (record.topic, record.partition, record.offset) not in outcome.settled:
                starts[partition] = record.offset
                break
            ends[partition] = record.offset + 1
    return ends, starts


def _bounded(handler: BatchHandler) -> BatchHandler:
    async def within_time(messages: Sequence[InMessage]) -> None:
        async with asyncio.timeout(HANDLER_SECONDS):
            await handler(messages)

    return within_time


def _count(subscription: Subscription, by_partition: Runs, ends: Offsets) -> None:
    for partition, end in ends.items():
        done = sum(record.offset < end for record in by_partition[partition])
        metrics.CONSUMED.labels(partition.topic, subscription.group).inc(done)
