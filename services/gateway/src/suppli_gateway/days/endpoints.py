"""`/v1/locations/{location_id}/days`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from suppli_contracts.events.days import SalesDayStated

from suppli_gateway.auth.access import Viewer
from suppli_gateway.connections.changes import FieldError, Invalid
from suppli_gateway.context import InGateway
from suppli_gateway.days import repository
from suppli_gateway.days.schemas import KnownDayPage
from suppli_gateway.documentation import problems
from suppli_gateway.locations.repository import existing_locations
from suppli_gateway.refusals import invalid, no_such

router = APIRouter(prefix="/v1/locations", tags=["catalog"])

_SHOWN = timedelta(days=34)
_MOST = timedelta(days=400)


@router.get("/{location_id}/days", responses=problems(404, 422))
async def location_days(
    location_id: Annotated[str, Path(min_length=1, max_length=200)],
    access: Viewer,
    gateway: InGateway,
    from_: Annotated[date | None, Query(alias="from", description="First business date.")] = None,
    to: Annotated[date | None, Query(description="Last business date; left out = today.")] = None,
) -> KnownDayPage:
    """Show what is known of a location's business days, by each way its sales come, with their totals."""
    last = to or gateway.clock.now().date() + timedelta(days=1)
    first = from_ or last - _SHOWN
    if not timedelta() <= last - first <= _MOST:
        raise invalid(Invalid([FieldError("from", first.isoformat(), "to..from must be 1 to 400 days")]))
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        if not await existing_locations(transaction, [location_id]):
            raise no_such("location", location_id)
        found = await repository.of_location(transaction, location_id, first, last)
    return KnownDayPage.model_validate({"items": [_shown(event) for event in found]})


def _shown(event: SalesDayStated) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(event)
    return said
