"""`/v1/items`: asked of the mapping service, which owns them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from suppli_contracts.internal import Item

from suppli_gateway.auth.access import Operator, Viewer
from suppli_gateway.connections.service import require
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.items.schemas import ItemPageView, ItemView, MappingBody
from suppli_gateway.paging import Cursor, Limit, decode_cursor, encode_cursor

router = APIRouter(prefix="/v1/items", tags=["items"])


@router.get("", responses=problems(400, 404, 503))
async def list_items(
    access: Viewer,
    gateway: InGateway,
    connection_id: Annotated[UUID | None, Query(description="Only this connection's.")] = None,
    state: Annotated[
        Literal["unmapped", "mapped", "ignored"] | None, Query(description="Only in this state.")
    ] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of name, SKU or barcode.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ItemPageView:
    """List external items with their sales; unmapped ones with suggestions."""
    if connection_id is not None:
        await require(gateway, access, connection_id)
    asked: dict[str, Any] = {
        "connection_id": connection_id,
        "state": state,
        "search": search,
        "cursor": decode_cursor(cursor, "items", str),
        "limit": limit,
    }
    params = {name: str(value) for name, value in asked.items() if value is not None}
    page = await gateway.services.mapping.items(access.caller, params)
    following = None if page.next_cursor is None else encode_cursor("items", page.next_cursor)
    return ItemPageView(items=[_view(item) for item in page.items], next_cursor=following)


@router.get("/{item_id}", responses=problems(404, 503))
async def get_item(item_id: UUID, access: Viewer, gateway: InGateway) -> ItemView:
    """Show an external item."""
    return _view(await gateway.services.mapping.item(item_id, access.caller))


@router.put("/{item_id}/mapping", responses=problems(404, 409, 422, 503))
async def map_item(item_id: UUID, body: MappingBody, access: Operator, gateway: InGateway) -> ItemView:
    """Say what an item is. Its parked lines are released, or its past is restated from `from_date` on."""
    return _view(await gateway.services.mapping.map_item(item_id, body.request(), access.caller))


def _view(item: Item) -> ItemView:
    fields = msgspec.structs.asdict(item)
    for name in ("targets", "suggestions"):
        fields[name] = [msgspec.structs.asdict(part) for part in fields[name]]
    return ItemView.model_validate(fields)
