"""What people do with connections: checks by the domain, one transaction each, calls to others outside of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import Schedule, Way
from suppli_contracts.events.sync import Republish, RunKind
from suppli_contracts.internal import Run, RunRequest
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem

from suppli_gateway import due
from suppli_gateway.auth.access import Access
from suppli_gateway.connections.changes import (
    FieldError,
    Invalid,
    LocationChange,
    changed_locations,
    schedule_errors,
    with_settings,
)
from suppli_gateway.connections.domain import Connection, NotAllowed, disconnected, may_sync, started
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.connections.schemas import ConnectionDetails
from suppli_gateway.connections.views import connection_details
from suppli_gateway.connections.ways import OtherWay, way_errors
from suppli_gateway.context import Gateway
from suppli_gateway.locations.repository import existing_locations
from suppli_gateway.refusals import invalid, no_such, not_allowed
from suppli_gateway.runs.republishing import republish_errors

log = get_logger(__name__)

# The request itself revokes at once; the background takes over where that failed.
REVOKE_AFTER = timedelta(seconds=10)

Transition = Callable[[Connection], Connection]


async def require(gateway: Gateway, access: Access, connection_id: UUID) -> Connection:
    """Return the tenant's connection.

    Raises:
        Problem: 404.
    """
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await ConnectionRepository(transaction, gateway.clock).find(connection_id)
    if found is None:
        raise no_such("connection", connection_id)
    return found


async def change(
    gateway: Gateway, access: Access, connection_id: UUID, transition: Transition
) -> tuple[Connection, ConnectionDetails]:
    """Apply a transition to a locked connection, say it, and return it with its details.

    Raises:
        Problem: 404, or the domain's refusal.
    """
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        repository = ConnectionRepository(transaction, gateway.clock)
        before = await repository.find(connection_id, lock=True)
        if before is None:
            raise no_such("connection", connection_id)
        try:
            after = await repository.save(before, transition(before))
        except NotAllowed as error:
            raise not_allowed(error) from None
        except Invalid as error:
            raise invalid(error) from None
        return after, await connection_details(transaction, after, gateway.outages)


async def patch(
    gateway: Gateway,
    access: Access,
    connection_id: UUID,
    *,
    schedule: Schedule | None,
    start_date: date | None,
    locations: Sequence[LocationChange],
    way: Way | None = None,
) -> ConnectionDetails:
    """Change settings: all of them, or none and every error."""
    ties = {change.suppli_location_id for change in locations if change.suppli_location_id is not None}
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        known = await existing_locations(transaction, ties)
        other = await _other_way(gateway, transaction, connection_id, way)

    def transition(connection: Connection) -> Connection:
        errors = schedule_errors(schedule) if schedule is not None else []
        errors += _start_errors(gateway, start_date)
        try:
            changed = changed_locations(connection.locations, locations, suppli_locations=known)
        except Invalid as error:
            raise Invalid([*errors, *error.errors]) from None
        if way is not None:
            errors += way_errors(connection_id, way, changed, other)
        if errors:
            raise Invalid(errors)
        return with_settings(
            connection,
            schedule=schedule,
            start_date=start_date,
            locations=changed,
            way=way,
            now=gateway.clock.now(),
        )

    _, details = await change(gateway, access, connection_id, transition)
    return details


async def _other_way(
    gateway: Gateway, transaction: AsyncConnection, connection_id: UUID, way: Way | None
) -> OtherWay:
    if way is None or way.stands_for is None:
        return OtherWay(None, stood_for=False)
    repository = ConnectionRepository(transaction, gateway.clock)
    return OtherWay(
        await repository.find(way.stands_for), stood_for=await repository.is_stood_for(connection_id)
    )


def _start_errors(gateway: Gateway, start_date: date | None) -> list[FieldError]:
    if start_date is None:
        return []
    # A day ahead of UTC there are zones whose today is our tomorrow.
    latest = gateway.clock.now().date() + timedelta(days=1)
    if start_date > latest:
        return [FieldError("start_date", start_date.isoformat(), "lies in the future")]
    if start_date.year < 2000:
        return [FieldError("start_date", start_date.isoformat(), "lies before the year 2000")]
    return []


async def start(
    gateway: Gateway,
    access: Access,
    connection_id: UUID,
    *,
    start_date: date | None,
    schedule: Schedule | None,
) -> tuple[ConnectionDetails, Run]:
    """Confirm the import and ask for the run that fetches the past. Asked again, nothing doubles."""

    def transition(connection: Connection) -> Connection:
        begins = start_date or connection.start_date
        errors = _start_errors(gateway, start_date)
        errors += schedule_errors(schedule) if schedule is not None else []
        if begins is None:
            errors.append(FieldError("start_date", None, "is needed: no start date was drafted before"))
        if errors or begins is None:
            raise Invalid(errors)
        return started(
            connection, start_date=begins, schedule=schedule or connection.schedule, now=gateway.clock.now()
        )

    connection, details = await change(gateway, access, connection_id, transition)
    request = RunRequest(kind=RunKind.BACKFILL, settings_revision=connection.revision)
    run = await gateway.services.scheduler.start_run(connection_id, request, access.caller)
    return details, run


async def sync(gateway: Gateway, access: Access, connection_id: UUID) -> Run:
    """Ask for a sync now."""
    connection = await require(gateway, access, connection_id)
    return await _ask_for_run(gateway, access, connection, RunKind.MANUAL)


async def republish(gateway: Gateway, access: Access, connection_id: UUID, wanted: Republish) -> Run:
    """Ask for a run that publishes again what has not changed."""
    connection = await require(gateway, access, connection_id)
    if errors := republish_errors(wanted, now=gateway.clock.now()):
        raise invalid(Invalid(errors))
    return await _ask_for_run(gateway, access, connection, RunKind.REPUBLISH, wanted)


async def _ask_for_run(
    gateway: Gateway,
    access: Access,
    connection: Connection,
    kind: RunKind,
    republish: Republish | None = None,
) -> Run:
    try:
        may_sync(connection)
    except NotAllowed as error:
        raise not_allowed(error) from None
    request = RunRequest(kind=kind, settings_revision=connection.revision, republish=republish)
    return await gateway.services.scheduler.start_run(connection.connection_id, request, access.caller)


async def disconnect(
    gateway: Gateway, access: Access, connection_id: UUID, *, erase: bool
) -> ConnectionDetails:
    """Disconnect at once; the authorization is revoked at once too, or by the background when that fails."""
    now = gateway.clock.now()
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        repository = ConnectionRepository(transaction, gateway.clock)
        before = await repository.find(connection_id, lock=True)
        if before is None:
            raise no_such("connection", connection_id)
        after = await repository.save(before, disconnected(before, erase=erase, now=now))
        revoke = after.account_id is not None and after != before
        if revoke:
            await due.plan(transaction, "revoke", connection_id, access.tenant_id, now + REVOKE_AFTER)
        details = await connection_details(transaction, after, gateway.outages)
    if revoke:
        await _revoke_now(gateway, access, after)
    return details


async def _revoke_now(gateway: Gateway, access: Access, connection: Connection) -> None:
    connector = gateway.services.connectors.get(connection.provider)
    if connector is None:
        return
    try:
        await connector.revoke(connection.connection_id, access.caller)
    except Problem as problem:
        log.warning("revoke_postponed", connection_id=str(connection.connection_id), problem=problem.type)
        return
    await gateway.due.done("revoke", connection.connection_id)
