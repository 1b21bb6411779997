"""`/v1/connections`."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response

from suppli_gateway.auth.access import Admin, Operator, Viewer
from suppli_gateway.connections import service
from suppli_gateway.connections.domain import paused, resumed
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.connections.schemas import (
    AuthorizeView,
    ConnectionDetails,
    ConnectionPage,
    CreatedConnection,
    Credentials,
    DayPage,
    DisconnectBody,
    NewConnection,
    PreviewView,
    ScopeView,
    SetAsidePage,
    SettingsBody,
    StartBody,
    StartedView,
)
from suppli_gateway.connections.views import connection_details, connection_views, day_fields
from suppli_gateway.context import InGateway
from suppli_gateway.days.repository import ways_of
from suppli_gateway.documentation import problems
from suppli_gateway.idempotency import IdempotentRoute
from suppli_gateway.oauth import service as oauth
from suppli_gateway.oauth import typed
from suppli_gateway.oauth.endpoints import set_session_cookie
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.refusals import no_such
from suppli_gateway.runs.schemas import RepublishBody, RequestedRun
from suppli_gateway.runs.views import requested_run

router = APIRouter(prefix="/v1/connections", tags=["connections"], route_class=IdempotentRoute)


@router.post("", status_code=201, responses=problems(400, 409, 422, 503))
async def create_connection(
    body: NewConnection, response: Response, access: Admin, gateway: InGateway
) -> CreatedConnection:
    """Begin to connect a provider's account: send the person's browser to `authorize_url`.

    The answer sets a cookie that binds the provider's redirect to this browser. With `credentials`, where the
    provider takes them, the account is connected at once.
    """
    if body.credentials is not None:
        done = await typed.connect(
            gateway, access, provider=body.provider, environment=body.environment, credentials=body.typed
        )
        return CreatedConnection(connection=done.details, authorize_url=None, scopes=[], revived=done.revived)
    begun = await oauth.connect(gateway, access, provider=body.provider, environment=body.environment)
    set_session_cookie(response, gateway, begun.ticket)
    return CreatedConnection(
        connection=begun.details, authorize_url=begun.answer.authorize_url, scopes=_scopes(begun)
    )


def _scopes(begun: oauth.Begun) -> list[ScopeView]:
    return [ScopeView(name=scope.name, reason=scope.reason) for scope in begun.answer.scopes]


@router.get("", responses=problems(400))
async def list_connections(
    access: Viewer, gateway: InGateway, limit: Limit = 50, cursor: Cursor = None
) -> ConnectionPage:
    """List the tenant's connections, oldest first."""
    after = decode_cursor(cursor, "connections", UUID)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await ConnectionRepository(transaction, gateway.clock).page(after=after, limit=limit + 1)
        shown = found[:limit]
        views = await connection_views(transaction, shown, gateway.outages)
    last = shown[-1].connection_id if shown else None
    return ConnectionPage(items=views, next_cursor=next_cursor("connections", last, more=len(found) > limit))


@router.get("/{connection_id}", responses=problems(404))
async def get_connection(connection_id: UUID, access: Viewer, gateway: InGateway) -> ConnectionDetails:
    """Show a connection with its locations, its last run and its newest errors."""
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await ConnectionRepository(transaction, gateway.clock).find(connection_id)
        if found is None:
            raise no_such("connection", connection_id)
        return await connection_details(transaction, found, gateway.outages)


@router.patch("/{connection_id}", responses=problems(404, 409, 422))
async def change_settings(
    connection_id: UUID, body: SettingsBody, access: Admin, gateway: InGateway
) -> ConnectionDetails:
    """Change schedule, start date, locations and way: all that is given, or nothing and every error."""
    return await service.patch(
        gateway,
        access,
        connection_id,
        schedule=body.schedule.schedule() if body.schedule else None,
        start_date=body.start_date,
        locations=[location.change() for location in body.locations],
        way=body.way.way() if body.way else None,
    )


@router.get("/{connection_id}/preview", responses=problems(404, 409, 503))
async def preview(
    connection_id: UUID,
    access: Operator,
    gateway: InGateway,
    days: Annotated[int, Query(ge=1, le=14, description="How many days back.")] = 3,
) -> PreviewView:
    """Show the last days' sales as they will be understood. Nothing is imported."""
    connection = await service.require(gateway, access, connection_id)
    connector = gateway.services.connector(connection.provider)
    answer = await connector.preview(connection_id, days, access.caller)
    return PreviewView.model_validate(msgspec.to_builtins(answer))


@router.post("/{connection_id}/start", status_code=202, responses=problems(404, 409, 422, 503))
async def start(connection_id: UUID, body: StartBody, access: Admin, gateway: InGateway) -> StartedView:
    """Confirm start date and schedule, and import the past.

    Every chosen location must be tied to a Suppli location and have its zone and day cut-off confirmed.
    """
    schedule = body.schedule.schedule() if body.schedule else None
    details, run = await service.start(
        gateway, access, connection_id, start_date=body.start_date, schedule=schedule
    )
    return StartedView(connection=details, run=requested_run(run))


@router.post("/{connection_id}/sync", status_code=202, responses=problems(404, 409, 503))
async def sync_now(connection_id: UUID, access: Operator, gateway: InGateway) -> RequestedRun:
    """Sync now, ahead of scheduled runs. While one is in progress, a follow-up is booked and returned."""
    return requested_run(await service.sync(gateway, access, connection_id))


@router.post("/{connection_id}/republish", status_code=202, responses=problems(404, 409, 422, 503))
async def republish(
    connection_id: UUID, body: RepublishBody, access: Operator, gateway: InGateway
) -> RequestedRun:
    """Publish orders again although they have not changed: for a consumer that lost them.

    A run of kind `republish`, shown among the runs. It does all that a sync does, too; while another one
    waits or is in progress it joins or follows that one.
    """
    return requested_run(await service.republish(gateway, access, connection_id, body.republish()))


@router.post("/{connection_id}/pause", responses=problems(404, 409))
async def pause(connection_id: UUID, access: Operator, gateway: InGateway) -> ConnectionDetails:
    """Sync nothing until it is resumed."""
    _, details = await service.change(
        gateway, access, connection_id, lambda connection: paused(connection, gateway.clock.now())
    )
    return details


@router.post("/{connection_id}/resume", responses=problems(404, 409))
async def resume(connection_id: UUID, access: Operator, gateway: InGateway) -> ConnectionDetails:
    """Sync again as scheduled."""
    _, details = await service.change(
        gateway, access, connection_id, lambda connection: resumed(connection, gateway.clock.now())
    )
    return details


@router.post("/{connection_id}/disconnect", responses=problems(404))
async def disconnect(
    connection_id: UUID, access: Admin, gateway: InGateway, body: DisconnectBody | None = None
) -> ConnectionDetails:
    """Withdraw the authorization and stop; the imported data is kept, or erased everywhere with `erase`.

    Connecting the same account again revives a connection whose data was kept.
    """
    erase = body.erase if body else False
    return await service.disconnect(gateway, access, connection_id, erase=erase)


@router.post("/{connection_id}/reauthorize", responses=problems(404, 409, 422, 503))
async def reauthorize(
    connection_id: UUID,
    response: Response,
    access: Admin,
    gateway: InGateway,
    body: Credentials | None = None,
) -> AuthorizeView:
    """Authorize the same account again: send the browser to `authorize_url`, or type `credentials`."""
    if body is not None and body.credentials is not None:
        await typed.reauthorize(gateway, access, connection_id, credentials=body.typed)
        return AuthorizeView(authorize_url=None, scopes=[])
    begun = await oauth.reauthorize(gateway, access, connection_id)
    set_session_cookie(response, gateway, begun.ticket)
    return AuthorizeView(authorize_url=begun.answer.authorize_url, scopes=_scopes(begun))


@router.get("/{connection_id}/set-aside", responses=problems(404, 503))
async def set_aside(connection_id: UUID, access: Viewer, gateway: InGateway) -> SetAsidePage:
    """List orders that could not be understood, with the reason."""
    connection = await service.require(gateway, access, connection_id)
    connector = gateway.services.connector(connection.provider)
    answer = await connector.set_aside(connection_id, access.caller)
    return SetAsidePage.model_validate({"items": [msgspec.structs.asdict(order) for order in answer.orders]})


@router.get("/{connection_id}/days", responses=problems(404, 422, 503))
async def days(
    connection_id: UUID,
    access: Viewer,
    gateway: InGateway,
    from_: Annotated[date | None, Query(alias="from", description="First business date.")] = None,
    to: Annotated[date | None, Query(description="Last business date.")] = None,
) -> DayPage:
    """Show where each business day's money went (sold, parked, ignored, adjustments) and its state."""
    await service.require(gateway, access, connection_id)
    asked = {"from": from_, "to": to}
    params = {name: value.isoformat() for name, value in asked.items() if value is not None}
    answer = await gateway.services.mapping.days(connection_id, params, access.caller)
    dates = [day.business_date for day in answer.days]
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        known = await ways_of(transaction, connection_id, min(dates), max(dates)) if dates else {}
    return DayPage.model_validate(
        {"items": [day_fields(day, known.get((day.location_id, day.business_date))) for day in answer.days]}
    )
