"""Publishing straight from memory after the commit; the outbox row is the safety net.

Only for topics whose readers go by versions: their order is not promised. A compacted topic is written by the
relay alone, in the order of the outbox.

A row written here is held for this process: the relay leaves it alone for `HOLD_SECONDS`, in which its
messages are published and it is deleted. Whatever happens in between (a kill, Kafka or the database away),
the relay finds the row afterwards. Published by both is harmless: the bytes are the same, and readers take
repeats.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.topics import REGISTRY, Cleanup

from suppli_service_kit import metrics
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer, PublishFailed
from suppli_service_kit.logs import get_logger
from suppli_service_kit.outbox import PUBLISH_BYTES, PUBLISH_SECONDS, enqueue, pack

log = get_logger(__name__)

HOLD_SECONDS = 5.0
LATEST_SECONDS = HOLD_SECONDS / 2  # what has waited longer is the relay's: publishing takes time too
MEMORY_BYTES = 4_000_000  # once so much waits for Kafka, more is left to the relay
PAUSE_SECONDS = 1.0  # after a failure: what comes meanwhile is left to the relay

_INSERT = """
    insert into outbox (message_count, messages, held_until)
    values (%s, %b, clock_timestamp() + make_interval(secs => %s)) returning id
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Messages and the held rows that they are in; without rows the relay has them already.

    Attributes:
        rows: ids in the outbox.
        size: bytes of the messages.
        written_at: monotonic instant (s).
    """

    messages: Sequence[OutMessage]
    rows: Sequence[int]
    size: int
    written_at: float


class DirectPublisher:
    """Publishes parcels in the background: `write` one in the transaction, `send` it after the commit."""

    def __init__(self, relay: Database, producer: Producer) -> None:
        """Prepare.

        Args:
            relay: with the relay's role, which deletes rows.
            producer: with acknowledgements awaited; owned by the caller.
        """
        self._relay = relay
        self._producer = producer
        self._waiting: deque[Parcel] = deque()
        self._bytes = 0
        self._running = False
        self._paused_until = 0.0
        self._woken = asyncio.Event()

    async def write(self, connection: AsyncConnection, messages: Sequence[OutMessage]) -> Parcel | None:
        """Write messages into the outbox, within the transaction that changes the state they speak of.

        Raises:
            ValueError: one is for a compacted topic.
            MessageTooLarge: one does not fit into Kafka.
        """
        _check_topics(messages)
        now = time.monotonic()
        if not messages or not self._takes(now):
            await enqueue(connection, messages)
            metrics.DIRECT.labels("relay").inc(len(messages))
            return None
        packed = pack(messages)
        rows = []
        for row in packed:
            result = await connection.exec_driver_sql(_INSERT, (row.count, row.packed, HOLD_SECONDS))
            rows.append(int(result.scalar_one()))
        return Parcel(messages, rows, sum(row.size for row in packed), now)

    def send(self, parcel: Parcel | None) -> None:
        """Publish a parcel soon; call it when its transaction is committed, never before."""
        if parcel is None:
            return
        self._waiting.append(parcel)
        self._bytes += parcel.size
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, then what still waits."""
        self._running = True
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        try:
            while not stop.is_set() or self._waiting:
                await self._woken.wait()
                self._woken.clear()
                while self._waiting:
                    await self._publish(self._next())
        finally:
            self._running = False
            stopping.cancel()

    def _takes(self, now: float) -> bool:
        return self._running and now >= self._paused_until and self._bytes < MEMORY_BYTES

    def _next(self) -> list[Parcel]:
        """Take what waits, as much as one publish takes."""
        taken: list[Parcel] = []
        size = 0
        while self._waiting and size < PUBLISH_BYTES:
            parcel = self._waiting.popleft()
            taken.append(parcel)
            size += parcel.size
        return taken

    async def _publish(self, parcels: Sequence[Parcel]) -> None:
        """Publish parcels and delete their rows; what fails or comes too late is left to the relay."""
        now = time.monotonic()
        fresh = [each for each in parcels if now - each.written_at <= LATEST_SECONDS]
        messages = [message for parcel in fresh for message in parcel.messages]
        try:
            if fresh and now >= self._paused_until:
                await self._producer.publish(messages, timeout=PUBLISH_SECONDS)
                async with self._relay.transaction() as connection:
                    rows = [row for parcel in fresh for row in parcel.rows]
                    await connection.exec_driver_sql("delete from outbox where id = any(%s)", (rows,))
                metrics.DIRECT.labels("published").inc(len(messages))
        except (PublishFailed, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("direct_publishing_left_to_the_relay", error=type(error).__name__, rows=len(fresh))
        finally:
            self._bytes -= sum(parcel.size for parcel in parcels)


def _check_topics(messages: Sequence[OutMessage]) -> None:
    for topic in {message.topic for message in messages}:
        known = REGISTRY.get(topic)
        if known is not None and known.cleanup is Cleanup.COMPACT:
            raise ValueError(f"{topic} is compacted: only the relay writes it, in order")
