"""What other services tell: runs, due times, lost authorizations and mappings, kept as read copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.codec import decode
from suppli_contracts.errors import UnknownEvent
from suppli_contracts.events.base import Event
from suppli_contracts.events.days import SalesDayStated
from suppli_contracts.events.mapping import ItemUnmapped, MappingChanged, MappingState
from suppli_contracts.events.sync import NextSyncScheduled, ReauthRequired, RunState, SyncRunChanged
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.batches import BadMessage
from suppli_service_kit.kafka.messages import InMessage
from suppli_service_kit.logs import get_logger

from suppli_gateway.connections.domain import reauth_required
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.days import repository as days
from suppli_gateway.events.live import announce
from suppli_gateway.runs.domain import copies_of
from suppli_gateway.runs.repository import RunRepository, StatusRepository
from suppli_gateway.runs.views import live_run

log = get_logger(__name__)

_MESSAGE_LENGTH = 1_000


def events_in(messages: Sequence[InMessage]) -> list[Event]:
    """Return the events of a batch; types of a later release are left to it.

    Raises:
        ContractError: a message is not what it says; the consumer sets it aside.
    """
    events: list[Event] = []
    for message in messages:
        if message.value is None:
            continue
        try:
            events.append(decode(message.headers, message.value)[1])
        except UnknownEvent as error:
            log.info("event_not_known", event_type=error.event_type)
    return events


class SyncEvents:
    """Handler of `suppli.sync.events.v1`. All of a batch, or nothing; repeats change nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, messages: Sequence[InMessage]) -> None:
        """Keep what a batch tells."""
        events = events_in(messages)
        if not events:
            return
        async with self._database.transaction({event.tenant_id for event in events}) as transaction:
            await self._runs(transaction, [event for event in events if isinstance(event, SyncRunChanged)])
            for event in events:
                if isinstance(event, NextSyncScheduled):
                    await StatusRepository(transaction).put_next_due(
                        event.tenant_id,
                        event.connection_id,
                        revision=event.revision,
                        next_due_at=event.next_due_at,
                    )
                elif isinstance(event, ReauthRequired):
                    await self._reauth(transaction, event)

    async def _runs(self, transaction: AsyncConnection, events: Sequence[SyncRunChanged]) -> None:
        repository, status = RunRepository(transaction), StatusRepository(transaction)
        known = await repository.locked(sorted({event.run_id for event in events}))
        for copy in copies_of(events, known):
            change = await repository.put(copy)
            if change is not None:
                await announce(transaction, live_run(copy, change))
        for event in events:
            if event.coverage is not None:
                await status.put_coverage(
                    event.tenant_id, event.connection_id, at=event.at, coverage=_builtins(event.coverage)
                )
            if event.error is not None and event.state is RunState.FAILED:
                await status.add_error(_failure(event))

    async def _reauth(self, transaction: AsyncConnection, event: ReauthRequired) -> None:
        repository = ConnectionRepository(transaction, self._clock)
        before = await repository.find(event.connection_id, lock=True)
        if before is None:
            return
        after = reauth_required(
            before,
            reason=event.reason[:_MESSAGE_LENGTH],
            at=event.at,
            works_until=event.works_until,
            now=self._clock.now(),
        )
        if after == before:
            return
        await repository.save(before, after)
        await StatusRepository(transaction).add_error(
            {
                "connection_id": event.connection_id,
                "cause": f"reauth:{event.at.isoformat()}",
                "tenant_id": event.tenant_id,
                "at": event.at,
                "error_class": "auth",
                "message": event.reason[:_MESSAGE_LENGTH],
            }
        )


class SalesDays:
    """Handler of `suppli.sales.days.v1`: what is known of each business day, the newest word of each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, messages: Sequence[InMessage]) -> None:
        """Keep what a batch tells.

        Raises:
            BadMessage: the key of a tombstone names no day.
        """
        newest: dict[str, SalesDayStated | None] = {}
        for message in messages:
            if message.key is None:
                continue
            events = events_in([message])
            if message.value is None:
                newest[message.key.decode("utf-8", "replace")] = None
            elif events and isinstance(event := events[0], SalesDayStated):
                held = newest.get(event.topic_key())
                if held is None or held.revision <= event.revision:
                    newest[event.topic_key()] = event
        if not newest:
            return
        keyed = {key: _day_of(key) if event is None else None for key, event in newest.items()}
        tenants = {UUID(key.partition(":")[0]) for key in newest}
        async with self._database.transaction(tenants) as transaction:
            for key in sorted(newest):
                stated, gone = newest[key], keyed[key]
                if stated is not None:
                    await days.put(transaction, stated)
                elif gone is not None:
                    await days.remove(transaction, *gone)


def _day_of(key: str) -> tuple[UUID, str, date]:
    """Return the day that a key `<tenant>:<location>:<date>` names; a location's id may have colons."""
    tenant, _, rest = key.partition(":")
    location, _, day = rest.rpartition(":")
    try:
        return UUID(tenant), location, date.fromisoformat(day)
    except ValueError as error:
        raise BadMessage(f"{key[:80]!r} is not the key of a business day") from error


class MappingEvents:
    """Handler of `suppli.mapping.events.v1`: how many items wait for a mapping."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, messages: Sequence[InMessage]) -> None:
        """Keep what a batch tells."""
        rows: dict[Any, dict[str, Any]] = {}
        for event in events_in(messages):
            row = _item_state(event)
            if row is None:
                continue
            known = rows.get(row["item_id"])
            if known is None or known["revision"] < row["revision"]:
                rows[row["item_id"]] = row
        if not rows:
            return
        async with self._database.transaction({row["tenant_id"] for row in rows.values()}) as transaction:
            status = StatusRepository(transaction)
            for item_id in sorted(rows):
                await status.put_item(rows[item_id])


def _item_state(event: Event) -> dict[str, Any] | None:
    if isinstance(event, ItemUnmapped):
        # Said once, before anybody decided anything.
        state, revision = MappingState.UNMAPPED, -1
    elif isinstance(event, MappingChanged):
        state, revision = event.state, event.revision
    else:
        return None
    return {
        "item_id": event.item_id,
        "tenant_id": event.tenant_id,
        "connection_id": event.connection_id,
        "state": state.value,
        "revision": revision,
    }


def _failure(event: SyncRunChanged) -> dict[str, Any]:
    error = event.error
    return {
        "connection_id": event.connection_id,
        "cause": f"run:{event.run_id}:{event.attempt}",
        "tenant_id": event.tenant_id,
        "at": event.at,
        "error_class": error.error_class.value if error else "unknown",
        "message": error.message[:_MESSAGE_LENGTH] if error else "",
        "run_id": event.run_id,
    }


def _builtins(value: Any) -> Any:
    return msgspec.to_builtins(value)
