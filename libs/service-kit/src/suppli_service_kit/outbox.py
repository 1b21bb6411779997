"""The transactional outbox: messages written with the state they belong to, published after it, in order.

A row holds one batch of encoded messages, packed, so that a resend is byte-identical. Rows are deleted after
every message in them is acknowledged; a crash in between publishes them again. A row may be held for the
process that wrote it (`direct`): the relay leaves it alone until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import cramjam
import msgspec
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_service_kit import metrics
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer, PublishFailed, check_sizes
from suppli_service_kit.logs import get_logger
from suppli_service_kit.schema import OUTBOX_CHANNEL
from suppli_service_kit.urls import libpq_url
from suppli_service_kit.waiting import Backoff, wait_or_stop

log = get_logger(__name__)

LOCK_ID = crc32(b"suppli outbox relay")
ROW_MESSAGES = 1_000  # a batch larger than this becomes several rows
ROW_BYTES = 1_000_000
PAGE_ROWS = 32
PAGE_BYTES = 4_000_000  # packed, held in memory at once, at most
PUBLISH_BYTES = 2_000_000  # unpacked, handed to Kafka at once: a row more than that at most
POLL_SECONDS = 0.5
STANDBY_SECONDS = 1.0  # how often a relay that is not the active one asks again
PUBLISH_SECONDS = 15.0  # less than the server takes to notice that a relay is gone (below)
MEASURE_SECONDS = 2.0

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[OutMessage])
_PACKED = b"\x28\xb5\x2f\xfd"  # how Zstandard's frames begin (RFC 8878, 3.1.1); no list in msgpack does
_LEVEL = 1  # messages of one batch are much alike: a tenth of their size at once

_INSERT = sa.text("insert into outbox (message_count, messages) values (:count, :messages)")
_NOTIFY = sa.text(f"select pg_notify('{OUTBOX_CHANNEL}', '')")
# All unsent rows, lowest id first: never "greater than the last id", as a slow transaction commits a low id
# late.
_PAGE = f"""
    select id, messages from (
        select id, messages, sum(octet_length(messages)) over (order by id) - octet_length(messages) as before
        from (select id, messages from outbox {{ours}} order by id limit {PAGE_ROWS}) as head
    ) as page where before < {PAGE_BYTES} order by id
"""
_NOT_HELD = "where held_until is null or held_until <= clock_timestamp()"
_BACKLOG = """
    select coalesce(sum(message_count), 0), coalesce(extract(epoch from now() - min(created_at)), 0)
    from outbox
"""
# A relay whose machine vanishes or that is frozen loses its lock after some 25 s, longer than a publish may
# take. (A frozen process's kernel still answers keepalives: the server ends a session that asks nothing.)
_SESSION = (
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    " -c idle_session_timeout=25s"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row to be: how many messages, how large they are (bytes), and those packed."""

    count: int
    size: int
    packed: bytes


async def enqueue(connection: AsyncConnection, messages: Sequence[OutMessage]) -> None:
    """Write messages into the outbox, within the transaction that changes the state they speak of.

    Messages of one key keep their order where writers of that key wait for each other (a row lock, say).

    Raises:
        MessageTooLarge: one does not fit into Kafka.
    """
    if not messages:
        return
    rows = [{"count": row.count, "messages": row.packed} for row in pack(messages)]
    await connection.execute(_INSERT, rows)
    # Once a transaction: a notification takes a lock of the whole server at commit.
    await connection.execute(_NOTIFY)


def pack(messages: Sequence[OutMessage]) -> list[Row]:
    """Return the rows for messages; raises `MessageTooLarge`."""
    check_sizes(messages)
    return [
        Row(len(part), size, bytes(cramjam.zstd.compress(_ENCODER.encode(part), _LEVEL)))
        for part, size in _parts(messages)
    ]


def unpack(packed: bytes) -> list[OutMessage]:
    """Return the messages of a row, also of one that was written before rows were packed."""
    if packed.startswith(_PACKED):
        packed = bytes(cramjam.zstd.decompress(packed))
    return _DECODER.decode(packed)


def size_of(message: OutMessage) -> int:
    """Return how many bytes a message brings to Kafka, framing left out."""
    size = len(message.key or b"") + len(message.value or b"")
    for name, value in message.headers:
        size += len(name) + len(value)
    return size


def _parts(messages: Sequence[OutMessage]) -> Iterator[tuple[Sequence[OutMessage], int]]:
    """Yield the messages in as few parts as a row may hold, each with its size."""
    first = size = 0
    for index, message in enumerate(messages):
        length = size_of(message)
        if index > first and (index - first >= ROW_MESSAGES or size + length > ROW_BYTES):
            yield messages[first:index], size
            first, size = index, 0
        size += length
    if messages:
        yield messages[first:], size


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the outbox: number of messages, and the age of the oldest (seconds)."""

    messages: int
    oldest_seconds: float


async def backlog(connection: AsyncConnection) -> Backlog:
    """Return what waits; needs a role that may read the outbox, such as the relay's."""
    count, age = (await connection.execute(sa.text(_BACKLOG))).one()
    return Backlog(int(count), float(age))


class OutboxRelay:
    """Publishes the outbox of one database; of several relays one is active, held by an advisory lock.

    Lock, reading, deleting and LISTEN share one connection of the relay's own: when it is lost, so is the
    lock, and nothing more is deleted or read before it is taken again.
    """

    def __init__(
        self,
        url: str,
        producer: Producer,
        *,
        may_be_held: bool = False,
        connect: Callable[..., Awaitable[psycopg.AsyncConnection[Any]]] = psycopg.AsyncConnection.connect,
    ) -> None:
        """Prepare; nothing is connected before `run`.

        Args:
            url: database URL of the relay's role.
            producer: with acknowledgements awaited; owned by the caller.
            may_be_held: whether rows may be held for the process that wrote them (`schema.outbox_holding`).
            connect: opens the relay's connection.
        """
        self._url = libpq_url(url)
        self._page = _PAGE.format(ours=_NOT_HELD if may_be_held else "")
        self._connect = connect
        self._producer = producer
        self._measured_at = 0.0
        self.active = False
        self.last = Backlog(0, 0.0)
        self.backoff = Backoff(base=0.2, cap=15)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; every failure is waited out and tried again."""
        while not stop.is_set():
            try:
                await self._turn(stop)
            except (psycopg.Error, PublishFailed, OSError) as error:
                metrics.OUTBOX_FAILURES.labels(type(error).__name__).inc()
                seconds = self.backoff.next()
                log.warning(
                    "outbox_relay_failed", error=type(error).__name__, retry_in_seconds=round(seconds, 2)
                )
                await wait_or_stop(stop, seconds)

    async def _turn(self, stop: asyncio.Event) -> None:
        """Relay over one connection; active no longer than it lasts."""
        try:
            await self._session(stop)
        finally:
            self._set_active(active=False)

    async def _session(self, stop: asyncio.Event) -> None:
        async with await self._connect(
            self._url, autocommit=True, connect_timeout=5, application_name="outbox-relay", options=_SESSION
        ) as connection:
            while not await self._take_lock(connection):
                if await wait_or_stop(stop, STANDBY_SECONDS):
                    return
            await connection.execute(f"listen {OUTBOX_CHANNEL}")
            self._set_active(active=True)
            while not stop.is_set():
                if await self._relay_page(connection) == 0:
                    await self._measure(connection)
                    await _woken(connection, stop)

    @staticmethod
    async def _take_lock(connection: psycopg.AsyncConnection) -> bool:
        row = await (await connection.execute("select pg_try_advisory_lock(%s)", (LOCK_ID,))).fetchone()
        return bool(row and row[0])

    async def _relay_page(self, connection: psycopg.AsyncConnection) -> int:
        """Publish the rows at the head, delete them; return how many there were."""
        rows = await (await connection.execute(self._page, binary=True)).fetchall()
        for ids, messages in _groups(rows):
            await self._producer.publish(messages, timeout=PUBLISH_SECONDS)
            await connection.execute("delete from outbox where id = any(%s)", (ids,))
        self.backoff.reset()
        if rows:
            await self._measure(connection)
        return len(rows)

    async def _measure(self, connection: psycopg.AsyncConnection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._measured_at < MEASURE_SECONDS:
            return
        self._measured_at = now
        row = await (await connection.execute(_BACKLOG)).fetchone()
        if row is not None:
            self.last = Backlog(int(row[0]), float(row[1]))
            metrics.OUTBOX_MESSAGES.set(self.last.messages)
            metrics.OUTBOX_AGE.set(self.last.oldest_seconds)

    def _set_active(self, *, active: bool) -> None:
        self.active = active
        metrics.OUTBOX_ACTIVE.set(int(active))


def _groups(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[list[int], list[OutMessage]]]:
    """Yield the rows as ids and messages, unpacked only as far as one publish takes them."""
    ids: list[int] = []
    messages: list[OutMessage] = []
    size = 0
    for number, packed in rows:
        unpacked = unpack(packed)
        ids.append(number)
        messages += unpacked
        size += sum(map(size_of, unpacked))
        if size >= PUBLISH_BYTES:
            yield ids, messages
            ids, messages, size = [], [], 0
    if ids:
        yield ids, messages


async def _woken(connection: psycopg.AsyncConnection, stop: asyncio.Event) -> None:
    """Wait for a notification, the poll's turn or the stop."""
    if not stop.is_set():
        async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            return
