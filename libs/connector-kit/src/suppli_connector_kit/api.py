"""The connector's internal HTTP API, the same for every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from suppli_contracts.internal import AdoptRequest, AuthorizeRequest, ExchangeRequest, SetAsideOrders
from suppli_service_kit.bodies import read_body, reply
from suppli_service_kit.clock import Clock
from suppli_service_kit.internal_api import Caller, TokenProvider, internal_caller
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem

from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.connecting import Connecting
from suppli_connector_kit.errors import (
    AuthError,
    CodeRefused,
    MissingScope,
    NetworkError,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from suppli_connector_kit.gates import somebody_waits
from suppli_connector_kit.previewing import Previewer
from suppli_connector_kit.protocol import Connector
from suppli_connector_kit.tokens.keeper import AccountKey

log = get_logger(__name__)

RETRY_SECONDS = 5
MOST_DAYS = 14


def routes(
    connector: Connector[Any],
    connecting: Connecting,
    book: ConnectionBook,
    token: TokenProvider,
    *,
    clock: Clock,
) -> APIRouter:
    """Return the routes under `/internal/v1`."""
    router = APIRouter(prefix="/internal/v1")
    authenticated = Depends(internal_caller(token))

    @router.get("/manifest", dependencies=[authenticated])
    async def manifest() -> Response:
        return reply(connector.manifest)

    @router.post("/connections/{connection_id}/authorize")
    async def authorize(connection_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        async with _said(caller, "authorize", connection_id):
            return reply(await connecting.authorize(await read_body(request, AuthorizeRequest)))

    @router.post("/connections/{connection_id}/exchange")
    async def exchange(connection_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        async with _said(caller, "exchange", connection_id):
            asked = await read_body(request, ExchangeRequest)
            return reply(await connecting.exchange(_key(caller, connection_id), asked))

    @router.post("/connections/{connection_id}/adopt")
    async def adopt(connection_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        async with _said(caller, "adopt", connection_id):
            asked = await read_body(request, AdoptRequest)
            return reply(await connecting.adopt(_key(caller, connection_id), asked))

    @router.post("/connections/{connection_id}/test")
    async def test(connection_id: UUID, caller: Caller = authenticated) -> Response:
        async with _said(caller, "test", connection_id):
            return reply(await connecting.test(_key(caller, connection_id)))

    @router.get("/connections/{connection_id}/preview")
    async def preview(
        connection_id: UUID,
        days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 3,
        caller: Caller = authenticated,
    ) -> Response:
        async with _said(caller, "preview", connection_id):
            session = await connecting.session(_key(caller, connection_id))
            known = await book.connection(caller.tenant_id, connection_id)
            return reply(await Previewer(connector, clock).preview(session, days, known))

    @router.get("/connections/{connection_id}/set-aside")
    async def set_aside(connection_id: UUID, caller: Caller = authenticated) -> Response:
        await connecting.known(_key(caller, connection_id))
        return reply(SetAsideOrders(orders=await book.set_aside(caller.tenant_id, connection_id)))

    @router.post("/connections/{connection_id}/revoke")
    async def revoke(connection_id: UUID, caller: Caller = authenticated) -> Response:
        async with _said(caller, "revoke", connection_id):
            await connecting.revoke(_key(caller, connection_id))
        return Response(status_code=202)

    @router.post("/connections/{connection_id}/discard")
    async def discard(connection_id: UUID, caller: Caller = authenticated) -> Response:
        async with _said(caller, "discard", connection_id):
            await connecting.discard(_key(caller, connection_id))
        return Response(status_code=204)

    return router


def problem_of(error: ProviderError) -> Problem:
    """Return what a provider's failure means for a person who waits."""
    wait = max(1, round(error.retry_after_s or RETRY_SECONDS))
    if isinstance(error, CodeRefused):
        return Problem(422, "code-invalid", "The authorization is no longer valid", error.message)
    if isinstance(error, MissingScope):
        return Problem(409, "missing-scope", "A permission is missing", error.message)
    if isinstance(error, AuthError):
        return Problem(409, "reauth-required", "The account must be authorized again", error.message)
    if isinstance(error, NetworkError | ProviderUnavailable | RateLimited):
        return Problem(
            503,
            "provider-unavailable",
            "The provider does not answer",
            error.message,
            headers={"Retry-After": str(wait)},
        )
    if isinstance(error, ProviderRefused):
        return Problem(502, "provider-denied", "The provider refused our request", error.message)
    return Problem(500, "connector-failed", "The connector could not do that", error.message)


@asynccontextmanager
async def _said(caller: Caller, what: str, connection_id: UUID) -> AsyncIterator[None]:
    """Log who asked for what, and turn a provider's failure into a problem."""
    log.info("asked", what=what, connection=str(connection_id), actor=caller.actor)
    try:
        with somebody_waits():
            yield
    except ProviderError as error:
        raise problem_of(error) from error


def _key(caller: Caller, connection_id: UUID) -> AccountKey:
    return AccountKey(caller.tenant_id, connection_id)
