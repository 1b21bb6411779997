"""The internal API: items and their mappings, days, the snapshot, and what is behind an entry."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from suppli_contracts.events.mapping import MappingState
from suppli_contracts.internal import DayTotalsPage, Item, ItemPage, MapRequest, Snapshot
from suppli_service_kit.bodies import read_body, reply
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.internal_api import Caller
from suppli_service_kit.problems import Problem

from suppli_mapping.adapters import reading
from suppli_mapping.adapters.cursors import BadCursor
from suppli_mapping.adapters.items import all_products
from suppli_mapping.deciding import Changed, NoSuchItem, NotValid, decide
from suppli_mapping.domain.suggest import Suggester

_NO_ITEM = "There is no such item"
_MOST_DAYS = 400


def mapping_api(
    database: Database,
    clock: Clock,
    caller: Callable[[Request], Awaitable[Caller]],
    *,
    wake: Callable[[], None],
) -> APIRouter:
    """Return the routes under `/internal/v1`; `wake` is called when lines are to be said again."""
    router = APIRouter(prefix="/internal/v1")
    Asking = Annotated[Caller, Depends(caller)]  # noqa: N806 - a type

    @router.get("/items")
    async def items(
        who: Asking,
        connection_id: UUID | None = None,
        state: MappingState | None = None,
        search: Annotated[str | None, Query(max_length=200)] = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        async with database.transaction([who.tenant_id]) as connection:
            try:
                found, following = await reading.list_items(
                    connection,
                    connection_id=connection_id,
                    state=state,
                    search=search,
                    cursor=cursor,
                    limit=limit,
                )
            except BadCursor as error:
                raise _bad_cursor(error) from error
            products = await all_products(connection) if any(_waits(item) for item in found) else {}
        suggester = Suggester(products.get(who.tenant_id, []))
        return reply(
            ItemPage(items=tuple(_with_suggestions(item, suggester) for item in found), next_cursor=following)
        )

    async def the_item(tenant_id: UUID, item_id: UUID) -> Item:
        async with database.transaction([tenant_id]) as connection:
            found = await reading.get_item(connection, item_id)
            if found is None:
                raise Problem(404, "item-not-found", _NO_ITEM)
            if not _waits(found):
                return found
            products = await all_products(connection)
        return _with_suggestions(found, Suggester(products.get(tenant_id, [])))

    @router.get("/items/{item_id}")
    async def item(who: Asking, item_id: UUID) -> Response:
        return reply(await the_item(who.tenant_id, item_id))

    @router.put("/items/{item_id}/mapping")
    async def map_item(who: Asking, item_id: UUID, request: Request) -> Response:
        wanted = await read_body(request, MapRequest)
        try:
            async with database.transaction([who.tenant_id]) as connection:
                await decide(connection, who.tenant_id, item_id, wanted, actor=who.actor, now=clock.now())
        except NoSuchItem as error:
            raise Problem(404, "item-not-found", _NO_ITEM) from error
        except Changed as error:
            raise Problem(
                409,
                "mapping-changed",
                "Somebody else changed this mapping",
                f"The mapping is at revision {error.revision} now: look at it and decide again",
                extra={"revision": error.revision},
            ) from error
        except NotValid as error:
            faults = [{"in": "body", **msgspec.to_builtins(problem)} for problem in error.problems]
            raise Problem(
                422, "invalid-mapping", "The mapping is not valid", str(error), extra={"errors": faults}
            ) from error
        wake()
        return reply(await the_item(who.tenant_id, item_id))

    @router.get("/connections/{connection_id}/days")
    async def days(
        who: Asking,
        connection_id: UUID,
        first: Annotated[date, Query(alias="from")],
        last: Annotated[date, Query(alias="to")],
    ) -> Response:
        if not 0 <= (last - first).days < _MOST_DAYS:
            raise Problem(
                422, "invalid-request", "The request is not valid", f"from..to must be 1 to {_MOST_DAYS} days"
            )
        async with database.transaction([who.tenant_id]) as connection:
            found = await reading.day_totals(connection, connection_id, first, last)
        return reply(DayTotalsPage(days=tuple(found)))

    @router.get("/snapshot")
    async def snapshot(
        who: Asking, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=5_000)] = 1_000
    ) -> Response:
        async with database.transaction([who.tenant_id]) as connection:
            try:
                entries, following = await reading.snapshot(connection, cursor=cursor, limit=limit)
            except BadCursor as error:
                raise _bad_cursor(error) from error
        return reply(Snapshot(entries=tuple(entries), next_cursor=following))

    @router.get("/entries/{entry_key}")
    async def entry(who: Asking, entry_key: UUID) -> Response:
        async with database.transaction([who.tenant_id]) as connection:
            found = await reading.explanation(connection, entry_key)
        if found is None:
            raise Problem(404, "entry-not-found", "There is no such entry")
        return Response(found, media_type="application/json")

    return router


def _waits(item: Item) -> bool:
    return item.state is MappingState.UNMAPPED


def _with_suggestions(item: Item, suggester: Suggester) -> Item:
    if not _waits(item):
        return item
    found = suggester.suggest(
        sku=item.sku, barcode=item.barcode, name=item.name, variation_name=item.variation_name
    )
    return msgspec.structs.replace(item, suggestions=found)


def _bad_cursor(error: BadCursor) -> Problem:
    return Problem(422, "invalid-cursor", "The cursor is not valid", str(error))
