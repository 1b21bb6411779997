"""Work beside the requests: revoking, discarding, the daily statement of current values, and tidying up."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState
from suppli_service_kit import metrics
from suppli_service_kit.internal_api import Caller
from suppli_service_kit.logs import get_logger
from suppli_service_kit.outbox import enqueue
from suppli_service_kit.problems import Problem
from suppli_service_kit.waiting import Backoff, full_jitter, wait_or_stop

from suppli_gateway import tables
from suppli_gateway.connections import repository as connections
from suppli_gateway.connections.domain import superseded
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.context import Gateway
from suppli_gateway.due import Due
from suppli_gateway.idempotency import KEPT
from suppli_gateway.locations import repository as locations
from suppli_gateway.outgoing import connection_message, connection_tombstone
from suppli_gateway.products import repository as products

log = get_logger(__name__)

ACTOR = "gateway"
TURN_SECONDS = 1.0
DAY = timedelta(days=1)
TOMBSTONE_AFTER = timedelta(days=30)
# A person who never came back from the provider.
FORGOTTEN_AFTER = timedelta(days=7)
RUNS_KEPT = timedelta(days=400)
CHUNK = 500
RETRY_CAP_SECONDS = 1_800.0

DONE = metrics.counter("suppli_gateway_background_total", "Pieces of background work.", ["kind", "outcome"])


class Background:
    """Claims due work and does it; several processes share it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what fails comes again."""
        backoff = Backoff(base=0.5, cap=15)
        while not stop.is_set():
            try:
                worked = await self.turn()
                backoff.reset()
            except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.TimeoutError) as error:
                log.warning("background_waits_for_database", error=type(error).__name__)
                await wait_or_stop(stop, backoff.next())
                continue
            if not worked:
                await wait_or_stop(stop, TURN_SECONDS)

    async def turn(self) -> int:
        """Do what is due now; return how much that was."""
        gateway = self._gateway
        claimed = await gateway.due.claim(gateway.clock.now())
        for work in claimed:
            await self._do(work)
        return len(claimed)

    async def _do(self, work: Due) -> None:
        gateway = self._gateway
        try:
            if work.kind == "tenant":
                await state_again(gateway, work.tenant_id)
                await gateway.due.postpone(work, at=gateway.clock.now() + DAY, failed=False)
            elif work.kind == "revoke":
                await self._revoke(work)
                await gateway.due.done("revoke", work.id)
            else:
                await self._discard(work)
                await gateway.due.done("discard", work.id)
        except Problem as problem:
            wait = full_jitter(work.failures + 1, base=5.0, cap=RETRY_CAP_SECONDS)
            at = gateway.clock.now() + timedelta(seconds=wait)
            await gateway.due.postpone(work, at=at, failed=True)
            DONE.labels(work.kind, "failed").inc()
            log.warning("background_work_postponed", kind=work.kind, id=str(work.id), problem=problem.type)
        else:
            DONE.labels(work.kind, "done").inc()

    async def _revoke(self, work: Due) -> None:
        """Withdraw the authorization of a connection that is still disconnected."""
        async with self._gateway.database.transaction([work.tenant_id]) as transaction:
            query = sa.select(tables.connections.c.provider, tables.connections.c.state).where(
                tables.connections.c.connection_id == work.id
            )
            row = (await transaction.execute(query)).one_or_none()
        if row is None or row.state != ConnectionState.DISCONNECTED.value:
            return
        connector = self._gateway.services.connectors.get(row.provider)
        if connector is None:
            raise Problem(503, "unknown-provider", "The provider's connector is not configured")
        await connector.revoke(work.id, Caller(work.tenant_id, ACTOR))

    async def _discard(self, work: Due) -> None:
        """Have a secret destroyed that belongs to no connection."""
        async with self._gateway.database.transaction([work.tenant_id]) as transaction:
            states = tables.oauth_states
            query = sa.select(states.c.provider).where(states.c.exchange_id == work.id)
            provider = (await transaction.execute(query)).scalars().first()
        connector = None if provider is None else self._gateway.services.connectors.get(provider)
        if connector is None:
            return
        try:
            await connector.discard(work.id, Caller(work.tenant_id, ACTOR))
        except Problem as problem:
            if problem.status not in (404, 405):
                raise
            # A connector of an earlier release, or one that never kept a secret of that id.
            log.warning("nothing_to_discard", id=str(work.id), provider=provider)


async def state_again(gateway: Gateway, tenant_id: UUID) -> None:
    """Say a tenant's current values again, write tombstones, and remove what is old.

    Values are read under their locks: a change waits, and is said after. So the last value of a key on its
    topic is always the one that stands.
    """
    now = gateway.clock.now()
    await _tidy(gateway, tenant_id, now)
    last: UUID | None = None
    while True:
        async with gateway.database.transaction([tenant_id]) as transaction:
            found = await connections.lock_all(transaction, after=last, limit=CHUNK)
            old = [
                each
                for each in found
                if each.deleted_at is not None and each.deleted_at + TOMBSTONE_AFTER <= now
            ]
            gone = {each.connection_id for each in old}
            messages = [
                connection_tombstone(each.connection_id)
                if each.connection_id in gone
                else connection_message(each, gateway.clock)
                for each in found
            ]
            await enqueue(transaction, messages)
            await _remove(transaction, gone)
        if len(found) < CHUNK:
            break
        last = found[-1].connection_id
    await _state_catalog(gateway, tenant_id, products)
    await _state_catalog(gateway, tenant_id, locations)


async def _state_catalog(gateway: Gateway, tenant_id: UUID, catalog: Any) -> None:
    last: str | None = None
    while True:
        async with gateway.database.transaction([tenant_id]) as transaction:
            found = await catalog.lock_all(transaction, after=last, limit=CHUNK)
            await enqueue(transaction, [each.message(gateway.clock) for each in found])
        if len(found) < CHUNK:
            return
        last = getattr(found[-1], "product_id", None) or found[-1].location_id


async def _remove(transaction: AsyncConnection, gone: set[UUID]) -> None:
    if not gone:
        return
    for table in (
        tables.connections,
        tables.connection_status,
        tables.connection_errors,
        tables.runs,
        tables.item_states,
        tables.oauth_states,
    ):
        await transaction.execute(sa.delete(table).where(table.c.connection_id.in_(gone)))


async def _tidy(gateway: Gateway, tenant_id: UUID, now: datetime) -> None:
    async with gateway.database.transaction([tenant_id]) as transaction:
        keys, states, runs = tables.idempotency_keys, tables.oauth_states, tables.runs
        dead = tables.service_keys.c
        await transaction.execute(
            sa.delete(tables.service_keys).where(
                sa.or_(dead.revoked_at < now - RUNS_KEPT, dead.expires_at < now - RUNS_KEPT)
            )
        )
        await transaction.execute(sa.delete(keys).where(keys.c.created_at < now - KEPT))
        await transaction.execute(sa.delete(states).where(states.c.expires_at < now - FORGOTTEN_AFTER))
        await transaction.execute(sa.delete(runs).where(runs.c.updated_at < now - RUNS_KEPT))
        repository = ConnectionRepository(transaction, gateway.clock)
        pending = await repository.page(after=None, limit=CHUNK, state=ConnectionState.PENDING.value)
        for connection in pending:
            if connection.created_at < now - FORGOTTEN_AFTER:
                before = await repository.find(connection.connection_id, lock=True)
                if before is not None and before.state is ConnectionState.PENDING:
                    await repository.save(before, superseded(before, now))
