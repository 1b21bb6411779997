"""Batches of Kafka messages to the scheduler's work."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.errors import InsufficientPrivilege
from sqlalchemy.exc import ProgrammingError
from suppli_contracts.codec import decode_as
from suppli_contracts.errors import UnknownEvent
from suppli_contracts.events import ConnectionChanged, NextSyncScheduled, ReauthRequired, SyncRunChanged
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.consumer import BadMessage
from suppli_service_kit.kafka.messages import InMessage

from suppli_sync_scheduler.domain.schedule import BadSchedule, check
from suppli_sync_scheduler.scheduler import Scheduler
from suppli_sync_scheduler.speech import SOURCE


class Handlers:
    """Reads connections and what connectors say of runs."""

    def __init__(self, database: Database, scheduler: Scheduler, providers: frozenset[str]) -> None:
        self._database = database
        self._scheduler = scheduler
        self._providers = providers

    async def on_connections(self, messages: Sequence[InMessage]) -> None:
        """Take over connections with their schedules; a tombstone has nothing more to say.

        Raises:
            BadMessage: a provider without a command topic, a schedule that names no time, or a foreign id.
        """
        events = [self._connection(message) for message in messages if message.value is not None]
        if not events:
            return
        try:
            async with self._database.transaction({event.tenant_id for event in events}) as connection:
                await self._scheduler.connections_changed(connection, events)
        except ProgrammingError as error:
            if isinstance(error.orig, InsufficientPrivilege):  # row security: the id is another tenant's
                raise BadMessage("a connection of another tenant has this id", field="$.tenant_id") from error
            raise

    async def on_sync_events(self, messages: Sequence[InMessage]) -> None:
        """Take in what connectors say of runs; what this service said itself is passed over."""
        events = [event for message in messages if (event := _sync_event(message)) is not None]
        if not events:
            return
        async with self._database.transaction({event.tenant_id for event in events}) as connection:
            await self._scheduler.runs_changed(connection, events)

    def _connection(self, message: InMessage) -> ConnectionChanged:
        _expect_tenant(message, event := decode_as(ConnectionChanged, message.value))
        if event.provider not in self._providers:
            raise BadMessage(
                f"no connector for provider {event.provider!r} is deployed", message, "$.provider"
            )
        try:
            check(event.schedule)
        except BadSchedule as error:
            raise BadMessage(str(error), message, f"$.schedule.{error.field}") from error
        return event


def _sync_event(message: InMessage) -> SyncRunChanged | ReauthRequired | None:
    envelope = message.envelope
    if envelope.source == SOURCE or envelope.type == NextSyncScheduled.event_type:
        return None
    event: SyncRunChanged | ReauthRequired
    if envelope.type == SyncRunChanged.event_type:
        event = decode_as(SyncRunChanged, message.value)
    elif envelope.type == ReauthRequired.event_type:
        event = decode_as(ReauthRequired, message.value)
    else:
        raise UnknownEvent(envelope.type)
    _expect_tenant(message, event)
    return event


def _expect_tenant(message: InMessage, event: ConnectionChanged | SyncRunChanged | ReauthRequired) -> None:
    if message.envelope.tenant != event.tenant_id:
        raise BadMessage("ce_tenant and the body name different tenants", message, "$.tenant_id")
