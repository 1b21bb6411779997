"""Passes live events on to the open streams of this process; each replica hears all of them from
PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import msgspec
import psycopg
from suppli_service_kit import metrics
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import ServiceUnavailable
from suppli_service_kit.waiting import Backoff, wait_or_stop

from suppli_gateway.events.live import CHANNEL, KEY_REVOKED, LiveEvent

log = get_logger(__name__)

QUEUE_EVENTS = 200
_TURN_SECONDS = 0.5
_DECODER = msgspec.json.Decoder(LiveEvent)

STREAMS = metrics.gauge("suppli_gateway_live_streams", "Live event streams open in this process.")
DROPPED = metrics.counter(
    "suppli_gateway_live_streams_dropped_total", "Live event streams ended because their reader was too slow."
)


class Subscription:
    """One open stream's queue."""

    def __init__(self, tenant_id: UUID, connection_id: UUID | None, key_id: UUID | None) -> None:
        self._tenant_id, self._connection_id, self._key_id = tenant_id, connection_id, key_id
        self._queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue(QUEUE_EVENTS)
        self._ended = False

    def wants(self, event: LiveEvent) -> bool:
        """Whether the event is for this stream: never another tenant's."""
        if event.tenant_id != self._tenant_id or event.event == KEY_REVOKED:
            return False
        return self._connection_id is None or event.connection_id == self._connection_id

    def ended_by(self, event: LiveEvent) -> bool:
        """Whether the event takes this stream's key away."""
        key = event.data.get("key_id") if event.event == KEY_REVOKED else None
        return key is not None and event.tenant_id == self._tenant_id and key == str(self._key_id)

    def push(self, event: LiveEvent) -> None:
        """Queue an event; a reader that does not keep up is ended, and catches up when it comes again."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            DROPPED.inc()
            self.end()

    def end(self) -> None:
        """End the stream, at once where it waits."""
        self._ended = True
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def events(self, seconds: float) -> AsyncIterator[LiveEvent]:
        """Yield events until the end, or for at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._ended:
                    event = await self._queue.get()
                    if event is None:
                        return
                    yield event


class Hub:
    """Listens to PostgreSQL and serves the streams."""

    def __init__(self, url: str, *, max_streams: int) -> None:
        """Prepare; connects in `run`.

        Args:
            url: database URL as libpq reads it.
            max_streams: most streams of this process.
        """
        self._url, self._max_streams = url, max_streams
        self._subscriptions: set[Subscription] = set()
        self._closing = False
        self.listening = asyncio.Event()

    @contextmanager
    def subscribe(
        self, tenant_id: UUID, connection_id: UUID | None = None, key_id: UUID | None = None
    ) -> Iterator[Subscription]:
        """Return a stream of a tenant's events, of one connection where given; it ends with its service key.

        Raises:
            ServiceUnavailable: the process is stopping or serves as many streams as it may.
        """
        self.check_room()
        subscription = Subscription(tenant_id, connection_id, key_id)
        self._subscriptions.add(subscription)
        STREAMS.set(len(self._subscriptions))
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            STREAMS.set(len(self._subscriptions))

    def check_room(self) -> None:
        """Raise `ServiceUnavailable` where no further stream may begin here."""
        if self._closing or len(self._subscriptions) >= self._max_streams:
            raise ServiceUnavailable("Live progress")

    def deliver(self, event: LiveEvent) -> None:
        """Queue an event for the streams that want it."""
        for subscription in tuple(self._subscriptions):
            if subscription.ended_by(event):
                subscription.end()
            elif subscription.wants(event):
                subscription.push(event)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, then end all streams. Streams are ended too when notifications may have been
        missed.
        """
        backoff = Backoff(base=0.2, cap=5)
        try:
            while not stop.is_set():
                try:
                    await self._listen(stop, backoff)
                except (psycopg.Error, OSError) as error:
                    log.warning("live_listener_lost", error=type(error).__name__)
                    self._end_all()
                    await wait_or_stop(stop, backoff.next())
                finally:
                    self.listening.clear()
        finally:
            self._closing = True
            self._end_all()

    async def check(self) -> str | None:
        """Say what is wrong, for the readiness page."""
        return None if self.listening.is_set() else "not listening; streams start late"

    async def _listen(self, stop: asyncio.Event, backoff: Backoff) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, application_name="gateway-live"
        ) as connection:
            await connection.execute(f"listen {CHANNEL}")
            self.listening.set()
            backoff.reset()
            while not stop.is_set():
                async for notification in connection.notifies(timeout=_TURN_SECONDS):
                    self._on_payload(notification.payload)
                    if stop.is_set():
                        return
                await connection.execute("select 1")  # a server that is gone is noticed

    def _on_payload(self, payload: str) -> None:
        try:
            event = _DECODER.decode(payload)
        except msgspec.MsgspecError:
            # A replica of another release may say more than this one knows.
            log.warning("live_event_not_understood")
            return
        self.deliver(event)

    def _end_all(self) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.end()
