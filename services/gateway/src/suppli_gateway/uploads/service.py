"""What people do with files: the upload service reads and keeps them, their till is a connection here."""

from __future__ import annotations

from collections.abc import AsyncIterable
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import sqlalchemy.exc
from suppli_contracts.codec import NAMESPACE
from suppli_contracts.events.connections import Way
from suppli_contracts.events.sync import RunKind
from suppli_contracts.internal import Run, RunRequest
from suppli_contracts.uploads import (
    Till,
    Upload,
    UploadImport,
    UploadPlan,
    UploadRun,
    UploadState,
    UploadZone,
)
from suppli_service_kit.ids import new_id
from suppli_service_kit.problems import Problem

from suppli_gateway import due
from suppli_gateway.auth.access import Access
from suppli_gateway.connections.changes import FieldError, Invalid
from suppli_gateway.connections.domain import (
    Connection,
    NotAllowed,
    filled_by_files,
    may_sync,
    new_connection,
)
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.connections.schemas import ConnectionDetails
from suppli_gateway.connections.service import require
from suppli_gateway.connections.views import connection_details
from suppli_gateway.context import Gateway
from suppli_gateway.locations.repository import existing_locations
from suppli_gateway.oauth.service import DAILY_ROUND
from suppli_gateway.oauth.service import FILES as PROVIDER
from suppli_gateway.refusals import invalid, not_allowed

ENVIRONMENT = "production"


async def receive(
    gateway: Gateway, access: Access, blocks: AsyncIterable[bytes], *, name: str, request: str | None
) -> Upload:
    """Pass a file on as it comes; raises `Problem` (413, 422, 503)."""
    return await gateway.services.uploads().receive(blocks, access.caller, name=name, request=request)


async def plan(
    gateway: Gateway, access: Access, upload_id: UUID, *, answers: dict[str, str], till: Till, adding: bool
) -> Upload:
    """Take what a person confirmed; the file's totals are made by it, against what the till holds.

    Raises:
        Problem: 404, 409, 422 with every answer that is wrong, 503.
    """
    uploads = gateway.services.uploads()
    await uploads.show(upload_id, access.caller)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        repository = ConnectionRepository(transaction, gateway.clock)
        errors = []
        if not await existing_locations(transaction, [till.suppli_location_id]):
            reason = "is not a Suppli location of this tenant"
            errors.append(FieldError("till.suppli_location_id", till.suppli_location_id, reason))
        if till.stands_for is not None:
            other = await repository.find(till.stands_for)
            if other is None or other.provider == PROVIDER:
                reason = "is not a connection of this tenant that files could stand for"
                errors.append(FieldError("till.stands_for", str(till.stands_for), reason))
        if errors:
            raise invalid(Invalid(errors))
        account = account_of(access.tenant_id, till)
        known = await repository.find_by_account(PROVIDER, ENVIRONMENT, account)
    asked = UploadPlan(
        answers=answers,
        till=till,
        connection_id=None if known is None else known.connection_id,
        adding=adding,
    )
    return await uploads.plan(upload_id, asked, access.caller)


async def begin_import(
    gateway: Gateway, access: Access, upload_id: UUID
) -> tuple[Upload, ConnectionDetails, Run]:
    """Make the till's connection, where there is none, and have a run import the file. Asked again, nothing
    doubles.

    Raises:
        Problem: 404, 409 it cannot be imported now, 503.
    """
    uploads = gateway.services.uploads()
    upload = await uploads.show(upload_id, access.caller)
    unread = upload.state in (UploadState.LOOKING, UploadState.ASKING, UploadState.REFUSED)
    if unread or upload.till is None or upload.zone is None:
        detail = "Confirm first how the file is read and whose sales they are, and wait for its totals."
        raise Problem(409, "upload-not-ready", "The file's state does not allow this", detail)
    await _shown_what_is_held(gateway, access, upload, upload.till)
    connection, details = await _till(gateway, access, upload.till, upload.zone)
    asked = UploadImport(connection_id=connection.connection_id)
    await uploads.begin_import(upload_id, asked, access.caller)
    return await _run(gateway, access, upload_id, connection, details)


async def _shown_what_is_held(gateway: Gateway, access: Access, upload: Upload, till: Till) -> None:
    """Make sure that who imports a file saw what the till holds of its days.

    Raises:
        Problem: 409, another file has made the till meanwhile; the totals are there now.
    """
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        repository = ConnectionRepository(transaction, gateway.clock)
        known = await repository.find_by_account(PROVIDER, ENVIRONMENT, account_of(access.tenant_id, till))
    if known is None or upload.connection_id == known.connection_id:
        return
    asked = UploadPlan(till=till, connection_id=known.connection_id, adding=upload.adding)
    await gateway.services.uploads().plan(upload.upload_id, asked, access.caller)
    detail = "Another file was imported for this till meanwhile: look at both files' totals, then import."
    raise Problem(409, "till-changed", "The till holds other sales than were shown", detail)


async def begin_undo(
    gateway: Gateway, access: Access, upload_id: UUID
) -> tuple[Upload, ConnectionDetails, Run]:
    """Have a run take an import back.

    Raises:
        Problem: 404, 409 there is nothing to take back or the till is paused, 503.
    """
    uploads = gateway.services.uploads()
    upload = await uploads.show(upload_id, access.caller)
    if upload.connection_id is None:
        detail = "The file was not imported: there is nothing to take back."
        raise Problem(409, "upload-not-undoable", "The file's state does not allow this", detail)
    connection = await require(gateway, access, upload.connection_id)
    try:
        may_sync(connection)
    except NotAllowed as error:
        raise not_allowed(error) from None
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        details = await connection_details(transaction, connection, gateway.outages)
    await uploads.begin_undo(upload_id, access.caller)
    return await _run(gateway, access, upload_id, connection, details)


async def _run(
    gateway: Gateway, access: Access, upload_id: UUID, connection: Connection, details: ConnectionDetails
) -> tuple[Upload, ConnectionDetails, Run]:
    request = RunRequest(kind=RunKind.MANUAL, settings_revision=connection.revision)
    run = await gateway.services.scheduler.start_run(connection.connection_id, request, access.caller)
    uploads = gateway.services.uploads()
    upload = await uploads.told_run(upload_id, UploadRun(run_id=run.run_id), access.caller)
    return upload, details, run


async def _till(
    gateway: Gateway, access: Access, till: Till, zone: UploadZone
) -> tuple[Connection, ConnectionDetails]:
    """Return the till's connection with what the file says of it."""
    account, now = account_of(access.tenant_id, till), gateway.clock.now()
    for last_try in (False, True):
        try:
            async with gateway.database.transaction([access.tenant_id]) as transaction:
                repository = ConnectionRepository(transaction, gateway.clock)
                stood_for = None if till.stands_for is None else await repository.find(till.stands_for)
                before = await repository.find_by_account(PROVIDER, ENVIRONMENT, account)
                fresh = before or new_connection(
                    connection_id=new_id(),
                    tenant_id=access.tenant_id,
                    provider=PROVIDER,
                    environment=ENVIRONMENT,
                    now=now,
                )
                after = filled_by_files(
                    fresh,
                    account_id=account,
                    name=_named(till, stood_for),
                    way=Way(stands_for=till.stands_for, only_compare=till.only_compare),
                    suppli_location_id=till.suppli_location_id,
                    location_id=zone.location_id,
                    timezone=zone.timezone,
                    day_cutoff=zone.day_cutoff,
                    currency=zone.currency,
                    first_day=stood_for.first_day
                    if stood_for is not None and stood_for.first_day is not None
                    else now.astimezone(ZoneInfo(zone.timezone)).date(),
                    now=now,
                )
                if before is None:
                    await repository.add(after)
                    await due.plan(
                        transaction, "tenant", access.tenant_id, access.tenant_id, now + DAILY_ROUND
                    )
                else:
                    after = await repository.save(before, after)
                return after, await connection_details(transaction, after, gateway.outages)
        except NotAllowed as error:
            raise not_allowed(error) from None
        except sqlalchemy.exc.IntegrityError:  # somebody made it meanwhile: it is found now
            if last_try:
                raise
    raise AssertionError("unreachable")


def account_of(tenant_id: UUID, till: Till) -> str:
    """Return what tells a till from others: its location, and what its files stand for or its name."""
    name = "" if till.stands_for is not None else (till.name or "").strip().lower()
    parts = (tenant_id, till.suppli_location_id, till.stands_for, till.only_compare, name)
    return f"files-{uuid5(NAMESPACE, chr(31).join(str(part) for part in parts))}"


def _named(till: Till, stood_for: Connection | None) -> str:
    if stood_for is not None:
        named = f"Files of {stood_for.account_name or stood_for.provider}"
    else:
        named = till.name or f"Files of {till.suppli_location_id}"
    return f"{named} (only to compare)" if till.only_compare else named
