"""What Kafka consumers promise, on a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from suppli_contracts.dead_letters import HEADERS, OPTIONAL, PREFIX
from suppli_service_kit import metrics
from suppli_service_kit.kafka import batches
from suppli_service_kit.kafka.consumer import BadMessage, Consumers
from suppli_service_kit.kafka.dead_letters import dead_letter_topic, replay
from suppli_service_kit.kafka.messages import InMessage, OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.settings import KafkaSettings

DEADLINE = 30.0
Group = str


async def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait for a condition; fail with a time-out when it does not come."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110 - a look at a condition, with a deadline
            await asyncio.sleep(0.02)


@pytest.fixture
def settings(kafka: Any) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, session_timeout_ms=6_000, rebalance_timeout_ms=6_000
    )


@pytest.fixture
async def producer(settings: KafkaSettings) -> AsyncIterator[Producer]:
    producer = Producer(settings)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def group() -> Group:
    return f"group-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic(kafka: Any, kafka_topics: Callable[..., str], group: Group) -> str:
    name = kafka_topics("kit", partitions=3)
    kafka.ensure_topics([NewTopic(dead_letter_topic(name, group), num_partitions=1, replication_factor=1)])
    return name


@asynccontextmanager
async def reading(
    settings: KafkaSettings,
    producer: Producer,
    topic: str,
    group: Group,
    handler: batches.BatchHandler,
    instance: str | None = None,
    **options: Any,
) -> AsyncIterator[Consumers]:
    consumers = Consumers(settings, service="kit", instance_id=instance, producer=producer)
    consumers.subscribe(topic, group=group, handler=handler, **options)
    await consumers.start()
    try:
        yield consumers
    finally:
        await consumers.stop()


def numbered(topic: str, count: int, first: int = 0) -> list[OutMessage]:
    return [
        OutMessage(topic, str(n % 7).encode(), str(n).encode(), (("n", str(n).encode()),))
        for n in range(first, first + count)
    ]


async def committed(settings: KafkaSettings, topic: str, group: Group, partitions: int = 3) -> int:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        offsets = [await consumer.committed(TopicPartition(topic, n)) for n in range(partitions)]
        return sum(offset or 0 for offset in offsets)
    finally:
        await consumer.stop()


async def everything_in(settings: KafkaSettings, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    records: list[Any] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while len(records) < count:
                for found in (await consumer.getmany(timeout_ms=300)).values():
                    records += found
        for found in (await consumer.getmany(timeout_ms=500)).values():  # more than there should be?
            records += found
    finally:
        await consumer.stop()
    return records


class Sink:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    async def __call__(self, messages: Sequence[InMessage]) -> None:
        self.seen += [int(message.value or b"-1") for message in messages]


async def test_every_message_arrives_once_in_key_order_and_is_committed(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """Otherwise sales would be lost, doubled, or an older state of an order would win."""
    sink = Sink()
    await producer.publish(numbered(topic, 2_000))
    async with reading(settings, producer, topic, group, sink):
        await until(lambda: len(sink.seen) >= 2_000)
    assert sorted(sink.seen) == list(range(2_000))
    for key in range(7):
        of_key = [n for n in sink.seen if n % 7 == key]
        assert of_key == sorted(of_key)
    assert await committed(settings, topic, group) == 2_000


async def test_offsets_are_not_committed_before_the_effect(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """A process killed inside its handler must get the batch again, or its effect never happens."""
    entered, forever = asyncio.Event(), asyncio.Event()

    async def hangs(messages: Sequence[InMessage]) -> None:
        entered.set()
        await forever.wait()

    await producer.publish(numbered(topic, 10))
    consumers = Consumers(settings, service="kit", instance_id=None, producer=producer)
    consumers.subscribe(topic, group=group, handler=hangs)
    await consumers.start()
    await asyncio.wait_for(entered.wait(), DEADLINE)
    assert await committed(settings, topic, group) == 0
    started = asyncio.get_running_loop().time()
    await consumers.stop()
    assert asyncio.get_running_loop().time() - started < 9
    assert await committed(settings, topic, group) == 0
    sink = Sink()
    async with reading(settings, producer, topic, group, sink):
        await until(lambda: len(sink.seen) >= 10)
    assert sorted(sink.seen) == list(range(10))


async def test_transient_failure_is_tried_again_and_skips_nothing(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """A database that is away for a moment must cost time, never a message, and nothing becomes a dead
    letter.
    """
    sink, failures = Sink(), 0

    async def fails_at_first(messages: Sequence[InMessage]) -> None:
        nonlocal failures
        if failures < 4:
            failures += 1
            raise ConnectionError("the database is away")
        await sink(messages)

    await producer.publish(numbered(topic, 300))
    async with reading(settings, producer, topic, group, fails_at_first, max_records=50):
        await until(lambda: len(sink.seen) >= 300)
    assert sorted(sink.seen) == list(range(300))
    assert failures == 4
    assert await committed(settings, topic, group) == 300


async def test_bad_messages_stand_alone_in_the_dead_letter_topic(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """One poisoned message must neither stop the others nor vanish without its reason."""
    sink = Sink()
    bad = {b"17", b"18", b"250"}

    async def strict(messages: Sequence[InMessage]) -> None:
        for message in messages:
            if message.value in bad:
                raise msgspec.ValidationError("Expected `int`, got `str` - at `$.lines[0]`")
        await sink(messages)

    await producer.publish(numbered(topic, 400))
    async with reading(settings, producer, topic, group, strict, instance="pod-1"):
        await until(lambda: len(sink.seen) >= 397)
    assert sorted(sink.seen) == [n for n in range(400) if str(n).encode() not in bad]
    letters = await everything_in(settings, dead_letter_topic(topic, group), 3)
    assert {letter.value for letter in letters} == bad
    assert len(letters) == 3
    headers = dict(letters[0].headers)
    assert headers["n"] == letters[0].value, "the original headers stay"
    assert headers[PREFIX + "topic"] == topic.encode()
    assert headers[PREFIX + "connector.name"] == group.encode()
    assert headers[PREFIX + "task.id"] == b"pod-1"
    assert headers[PREFIX + "exception.class.name"] == b"msgspec.ValidationError"
    told = {name.removeprefix(PREFIX) for name in headers if name.startswith(PREFIX)}
    assert set(HEADERS) - OPTIONAL <= told <= set(HEADERS), "as the AsyncAPI document says"
    assert await committed(settings, topic, group) == 400


async def test_a_named_bad_message_costs_one_more_call_only(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """A handler that knows the culprit saves the halving: throughput holds while bad data comes in."""
    sink, calls = Sink(), 0

    async def precise(messages: Sequence[InMessage]) -> None:
        nonlocal calls
        calls += 1
        for message in messages:
            if message.value == b"5":
                raise BadMessage("no such unit", message, "$.unit")
        await sink(messages)

    await producer.publish([OutMessage(topic, b"same", str(n).encode()) for n in range(100)])
    async with reading(settings, producer, topic, group, precise):
        await until(lambda: len(sink.seen) >= 99)
    assert sink.seen == [n for n in range(100) if n != 5], "in order, without the bad one"
    [letter] = await everything_in(settings, dead_letter_topic(topic, group), 1)
    assert dict(letter.headers)[PREFIX + "field"] == b"$.unit"
    assert calls <= 4


async def test_a_broken_handler_does_not_empty_the_topic_into_dead_letters(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """When a release misreads everything, its input must wait for the fix instead of being set aside."""
    broken = True
    sink = Sink()

    async def misreads(messages: Sequence[InMessage]) -> None:
        if broken:
            raise BadMessage("cannot read", messages[0])
        await sink(messages)

    await producer.publish([OutMessage(topic, b"k", str(n).encode()) for n in range(200)])
    async with reading(settings, producer, topic, group, misreads) as consumers:
        await until(lambda: bool(consumers.problems()))
        broken = False
        await until(lambda: len(sink.seen) >= 150)
    assert len(await everything_in(settings, dead_letter_topic(topic, group), 50)) == 50
    assert sink.seen == list(range(50, 200))


async def test_strange_headers_and_tombstones_are_read(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """A null or non-UTF-8 header of another team's message must not lose the batch it is in."""
    seen: list[InMessage] = []

    async def keep(messages: Sequence[InMessage]) -> None:
        seen.extend(messages)

    raw = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await raw.start()
    await raw.send_and_wait(topic, None, b"gone", headers=[("a", None), ("b", b"\xff\xfe")])
    await raw.send_and_wait(topic, b"", b"empty")
    await raw.stop()
    async with reading(settings, producer, topic, group, keep):
        await until(lambda: len(seen) >= 2)
    by_key = {message.key: message for message in seen}
    assert by_key[b"gone"].value is None
    assert by_key[b"gone"].headers["a"] == ""
    assert by_key[b"empty"].value == b""


async def test_a_second_member_takes_over_without_repeats(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """Scaling out while a batch is in work must not make it happen twice."""
    seen: list[int] = []

    async def slow(messages: Sequence[InMessage]) -> None:
        await asyncio.sleep(0.3)
        seen.extend(int(message.value or b"") for message in messages)

    await producer.publish(numbered(topic, 600))
    async with reading(settings, producer, topic, group, slow, max_records=40) as first:
        await until(lambda: len(seen) >= 40)
        async with reading(settings, producer, topic, group, slow, max_records=40) as second:
            assert second.subscriptions[0].assigned()
            assert len(first.subscriptions[0].assigned() | second.subscriptions[0].assigned()) == 3
            await until(lambda: len(set(seen)) >= 600)
    assert sorted(seen) == list(range(600))
    assert await committed(settings, topic, group) == 600


async def test_a_static_member_is_back_at_once(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """A restarted pod must go on in a second, not after the session time-out."""
    sink = Sink()
    async with reading(settings, producer, topic, group, sink, instance="pod-0"):
        await producer.publish(numbered(topic, 10))
        await until(lambda: len(sink.seen) == 10)
    started = asyncio.get_running_loop().time()
    async with reading(settings, producer, topic, group, sink, instance="pod-0") as again:
        assert len(again.subscriptions[0].assigned()) == 3
        assert asyncio.get_running_loop().time() - started < 3
        await producer.publish(numbered(topic, 10, first=10))
        await until(lambda: len(sink.seen) == 20)
    assert sorted(sink.seen) == list(range(20))


async def test_lag_is_shown_and_falls_to_zero(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """Operators scale by lag: it must be there while messages wait, and gone when they are done."""
    gate, sink = asyncio.Event(), Sink()

    async def gated(messages: Sequence[InMessage]) -> None:
        await gate.wait()
        await sink(messages)

    def shown() -> float:
        lines = metrics.metrics_response().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith(metrics.LAG_NAME) and group in line
        )

    await producer.publish(numbered(topic, 50))
    async with reading(settings, producer, topic, group, gated):
        await until(lambda: shown() > 0)
        gate.set()
        await until(lambda: len(sink.seen) == 50 and shown() == 0)


async def test_replay_feeds_dead_letters_to_the_handler_again(
    settings: KafkaSettings, producer: Producer, topic: str, group: Group
) -> None:
    """After a fix, what was set aside must count after all, once, and only for the group that refused it."""
    mended = False
    sink = Sink()

    async def strict(messages: Sequence[InMessage]) -> None:
        for message in messages:
            if not mended and message.value in (b"3", b"4"):
                raise BadMessage("not yet understood", message)
        await sink(messages)

    await producer.publish(numbered(topic, 10))
    async with reading(settings, producer, topic, group, strict):
        await until(lambda: len(sink.seen) >= 8)
    refused = await replay(settings, topic, group, strict)
    assert (refused.replayed, refused.still_bad) == (0, 2)
    mended = True
    report = await replay(settings, topic, group, strict)
    assert (report.replayed, report.still_bad) == (2, 0)
    assert sorted(sink.seen) == list(range(10))
    again = await replay(settings, topic, group, strict)
    assert (again.replayed, again.still_bad) == (0, 0)


async def test_run_waits_for_brokers_that_are_away(settings: KafkaSettings, producer: Producer) -> None:
    """A service must come up, and stop in time, while Kafka is down."""
    from suppli_embedded.files import free_ports

    [port] = free_ports(1)
    away = settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{port}"})
    consumers = Consumers(away, service="kit", instance_id=None, producer=producer)
    consumers.subscribe("anything", group="any", handler=Sink())
    stop = asyncio.Event()
    running = asyncio.create_task(consumers.run(stop))
    await until(lambda: consumers.problems() == ["not connected"])
    stop.set()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(running, 9)
