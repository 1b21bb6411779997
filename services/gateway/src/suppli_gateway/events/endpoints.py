"""`/v1/events`: live progress of a tenant's runs, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from suppli_gateway.auth.access import Access, Viewer
from suppli_gateway.connections.service import require
from suppli_gateway.context import Gateway, InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.events.hub import Subscription
from suppli_gateway.events.live import LiveEvent
from suppli_gateway.runs.repository import RunRepository
from suppli_gateway.runs.views import live_run

router = APIRouter(prefix="/v1", tags=["events"])

# Numbers of changes are taken before commits, so a lower one may be committed later: look back a little
# further.
# Repeats do no harm, as every event says the run as it then stood.
OVERLAP = 100
CATCH_UP = 500
RETRY_MS = 2_000
LONGEST_SECONDS = 3_600.0

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last `id` seen: what changed since is sent first."),
]


class Stream:
    """An authorised stream: what was missed first, then what happens."""

    def __init__(
        self, gateway: Gateway, access: Access, connection_id: UUID | None, since: int | None
    ) -> None:
        self._gateway, self._access, self._connection_id, self._since = gateway, access, connection_id, since

    async def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        """Yield events until the token ends, the process stops or the reader goes."""
        access, gateway = self._access, self._gateway
        with gateway.hub.subscribe(access.tenant_id, self._connection_id, access.key_id) as subscription:
            yield ServerSentEvent(comment="connected", retry=RETRY_MS)
            for event in await self._missed():
                yield _sent(event)
            async for event in self._live(subscription):
                yield _sent(event)

    def _live(self, subscription: Subscription) -> AsyncIterator[LiveEvent]:
        left = (self._access.expires_at - self._gateway.clock.now()).total_seconds()
        return subscription.events(min(max(left, 0.0), LONGEST_SECONDS))

    async def _missed(self) -> list[LiveEvent]:
        async with self._gateway.database.transaction([self._access.tenant_id]) as transaction:
            repository = RunRepository(transaction)
            runs = await repository.active_now(connection_id=self._connection_id, limit=CATCH_UP)
            if self._since is not None:
                runs += await repository.changed_since(
                    self._since - OVERLAP, connection_id=self._connection_id, limit=CATCH_UP
                )
        unique = {run.run_id: run for run in runs}
        return [live_run(run, run.change) for run in sorted(unique.values(), key=lambda run: run.change)]


def _sent(event: LiveEvent) -> ServerSentEvent:
    return ServerSentEvent(event=event.event, data=event.data, id=event.event_id)


def _since(last_event_id: str | None) -> int | None:
    """Return the number of the last change seen; what is none of ours is as if nothing was seen."""
    if last_event_id is None or not last_event_id.isascii() or not last_event_id.isdigit():
        return None
    number = int(last_event_id[:19])
    return number if number < 2**62 else None


async def tenant_stream(access: Viewer, gateway: InGateway, last_event_id: LastEventId = None) -> Stream:
    """Dependency: a stream of all of the tenant's connections, refused before it begins where it must be."""
    gateway.hub.check_room()
    return Stream(gateway, access, None, _since(last_event_id))


async def connection_stream(
    connection_id: UUID, access: Viewer, gateway: InGateway, last_event_id: LastEventId = None
) -> Stream:
    """Dependency: a stream of one connection."""
    await require(gateway, access, connection_id)
    gateway.hub.check_room()
    return Stream(gateway, access, connection_id, _since(last_event_id))


@router.get("/events", response_class=EventSourceResponse, responses=problems(503))
async def tenant_events(stream: Annotated[Stream, Depends(tenant_stream)]) -> AsyncIterator[ServerSentEvent]:
    """Follow the tenant's runs live.

    `event: run` carries a run as it now stands, `event: connection` says that a connection changed. Runs in
    progress come first; with `Last-Event-ID` also those that changed since. The stream ends with the
    token or service key, for a key after five minutes at most: come again.
    """
    async for event in stream:
        yield event


@router.get(
    "/connections/{connection_id}/events", response_class=EventSourceResponse, responses=problems(404, 503)
)
async def connection_events(
    stream: Annotated[Stream, Depends(connection_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Follow one connection's runs live, as `/v1/events` does for all."""
    async for event in stream:
        yield event
