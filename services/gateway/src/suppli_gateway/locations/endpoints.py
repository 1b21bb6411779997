"""`/v1/locations`: Suppli's own locations, to which a provider's are tied."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from suppli_gateway import due
from suppli_gateway.auth.access import Admin, Viewer
from suppli_gateway.connections.changes import FieldError, Invalid, zone_problem
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.locations import repository
from suppli_gateway.oauth.service import DAILY_ROUND
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.refusals import invalid

router = APIRouter(prefix="/v1/locations", tags=["catalog"])

_BODY: Any = {"name": "Pike Street", "timezone": "America/Los_Angeles", "restock_unknown": False}
_EXAMPLE: Any = {"location_id": "pike-street", **_BODY, "revision": 1}


class LocationIn(BaseModel):
    """A Suppli location."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_BODY]})

    name: str = Field(min_length=1, max_length=200)
    timezone: str | None = Field(None, description="IANA name.")
    restock_unknown: bool = Field(
        False,
        description="Whether a return that does not say so goes back on the shelf (restaurant no, shop yes).",
    )


class LocationOut(BaseModel):
    """A Suppli location as it now stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    location_id: str
    name: str
    timezone: str | None = None
    restock_unknown: bool
    revision: int


class LocationPage(BaseModel):
    """Suppli locations by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[LocationOut]
    next_cursor: str | None = None


@router.put("/{location_id}", responses=problems(422))
async def put_location(
    location_id: Annotated[str, Path(min_length=1, max_length=200)],
    body: LocationIn,
    access: Admin,
    gateway: InGateway,
) -> LocationOut:
    """Create or change a location; unchanged, its revision stays."""
    if body.timezone is not None and (problem := zone_problem(body.timezone)):
        raise invalid(Invalid([FieldError("timezone", body.timezone, problem)]))
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        location, is_new = await repository.put(
            transaction,
            tenant_id=access.tenant_id,
            location_id=location_id,
            name=body.name,
            timezone=body.timezone,
            restock_unknown=body.restock_unknown,
            clock=gateway.clock,
        )
        if is_new:
            at = gateway.clock.now() + DAILY_ROUND
            await due.plan(transaction, "tenant", access.tenant_id, access.tenant_id, at)
    return _out(location)


@router.get("", responses=problems(400))
async def list_locations(
    access: Viewer, gateway: InGateway, limit: Limit = 50, cursor: Cursor = None
) -> LocationPage:
    """List the tenant's locations."""
    after = decode_cursor(cursor, "locations", str)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await repository.page(transaction, after=after, limit=limit + 1)
    shown = found[:limit]
    last = shown[-1].location_id if shown else None
    return LocationPage(
        items=[_out(location) for location in shown],
        next_cursor=next_cursor("locations", last, more=len(found) > limit),
    )


def _out(location: repository.SuppliLocation) -> LocationOut:
    return LocationOut.model_validate({name: getattr(location, name) for name in LocationOut.model_fields})
