"""Dead letters: bad messages set aside with the reason, and fed to the mended handler again."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from suppli_contracts.dead_letters import PREFIX, replay_group

from suppli_service_kit.kafka.batches import BadMessage, BatchHandler, Streak, work_through
from suppli_service_kit.kafka.connection import client_options
from suppli_service_kit.kafka.messages import Header, InMessage, OutMessage
from suppli_service_kit.redaction import redact_text
from suppli_service_kit.settings import KafkaSettings

MAX_TRACE_BYTES = 4_096


def dead_letter_topic(topic: str, group: str) -> str:
    """Return where `group` sets aside what it cannot use of `topic`."""
    return f"{topic}.{group}.dlq"


def dead_letter(
    message: InMessage,
    raw_headers: Sequence[tuple[str, bytes]],
    error: BaseException,
    *,
    group: str,
    instance: str,
) -> OutMessage:
    """Return the dead letter of a message: its key, value and headers untouched, and what is wrong with it.

    The reason holds the exception's text without secrets, cut to 1 KB; the trace has file names and
    lines, no data.
    """
    stage = "decode" if _is_about_form(error) else "handle"
    field = getattr(error, "field", None)
    frames = "".join(traceback.format_tb(error.__traceback__))[-MAX_TRACE_BYTES:]
    said: list[tuple[str, str]] = [
        ("topic", message.topic),
        ("partition", str(message.partition)),
        ("offset", str(message.offset)),
        ("connector.name", group),
        ("task.id", instance),
        ("stage", stage),
        ("class.name", group),
        ("exception.class.name", f"{type(error).__module__}.{type(error).__qualname__}"),
        ("exception.message", redact_text(_reason(error))[:1_024]),
        ("exception.stacktrace", redact_text(frames)),
    ]
    if field:
        said.append(("field", str(field)))
    errors: tuple[Header, ...] = tuple((PREFIX + name, text.encode()) for name, text in said)
    return OutMessage(
        topic=dead_letter_topic(message.topic, group),
        key=message.key,
        value=message.value,
        headers=(*raw_headers, *errors),
    )


def _reason(error: BaseException) -> str:
    """Return the text of an error; of a database's only its first line, as the rest repeats the data."""
    origin = getattr(error, "orig", None) or error
    diagnostic = getattr(origin, "diag", None)
    return str(getattr(diagnostic, "message_primary", None) or origin)


def _is_about_form(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("msgspec", "suppli_contracts")


@dataclass
class ReplayReport:
    """What a replay did.

    Attributes:
        replayed: dead letters that went through now.
        still_bad: those that were refused again; they stay in the dead letter topic and are offered again
            next time.
    """

    replayed: int = 0
    still_bad: int = 0


async def replay(
    settings: KafkaSettings, topic: str, group: str, handler: BatchHandler, *, max_records: int = 500
) -> ReplayReport:
    """Feed the dead letters of (`topic`, `group`) to the group's handler, up to those there are now.

    Where it has got to is kept as offsets of the group `<group>.replay`; it stops before the first letter
    that is refused again, per partition, but tries those behind it too: handlers are idempotent.

    Raises:
        Exception: whatever the handler raises that is not about the data; nothing is marked as replayed then.
        aiokafka.errors.KafkaError: the brokers cannot be reached, or there is no such topic.
    """
    report = ReplayReport()
    consumer = AIOKafkaConsumer(
        group_id=replay_group(group),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **client_options(settings),
    )
    await consumer.start()
    try:
        source = dead_letter_topic(topic, group)
        partitions = [TopicPartition(source, number) for number in await _partitions(consumer, source)]
        consumer.assign(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            await _replay_partition(consumer, partition, end, handler, max_records, report)
    finally:
        await consumer.stop()
    return report


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.force_metadata_update()
    found = await consumer._client.fetch_all_metadata()
    numbers = found.partitions_for_topic(topic)
    if not numbers:
        raise LookupError(f"there is no topic {topic}")
    return sorted(numbers)


async def _replay_partition(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    end: int,
    handler: BatchHandler,
    max_records: int,
    report: ReplayReport,
) -> None:
    keep_from: int | None = None
    while (position := await consumer.position(partition)) < end:
        batch = await consumer.getmany(partition, timeout_ms=1_000, max_records=max_records)
        records = [record for record in batch.get(partition, []) if record.offset < end]
        letters = [_as_it_was(record) for record in records]
        # No streak here: an operator asked for exactly these messages, bad ones included.
        outcome = await work_through(letters, handler, Streak(limit=len(letters) + 1))
        if outcome.transient is not None:
            raise outcome.transient
        bad = {id(message) for message, _ in outcome.bad}
        for record, letter in zip(records, letters, strict=True):
            if id(letter) in bad and keep_from is None:
                keep_from = record.offset
        report.still_bad += len(bad)
        report.replayed += len(letters) - len(bad)
        position = await consumer.position(partition)
        await consumer.commit({partition: keep_from if keep_from is not None else min(position, end)})


def _as_it_was(record: ConsumerRecord[bytes, bytes]) -> InMessage:
    """Return the message that a dead letter was, at the place where it was."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return InMessage(
        topic=headers.get(PREFIX + "topic", record.topic),
        partition=_number(headers.get(PREFIX + "partition"), record.partition),
        offset=_number(headers.get(PREFIX + "offset"), record.offset),
        key=record.key,
        value=record.value,
        headers={name: value for name, value in headers.items() if not name.startswith(PREFIX)},
        timestamp_ms=record.timestamp,
    )


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise


__all__ = ["BadMessage", "ReplayReport", "dead_letter", "dead_letter_topic", "replay"]
