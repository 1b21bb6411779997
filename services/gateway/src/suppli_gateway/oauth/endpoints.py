"""`/v1/oauth/callback`: where providers send people back, and the cookie that ties them to their browser."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from suppli_service_kit.settings import Environment

from suppli_gateway.connections.schemas import ConnectedView
from suppli_gateway.context import Gateway, InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.oauth import service
from suppli_gateway.oauth.states import Ticket, cookie_name

router = APIRouter(prefix="/v1/oauth", tags=["connections"])

COOKIE_PATH = "/v1/oauth"


def set_session_cookie(response: Response, gateway: Gateway, ticket: Ticket) -> None:
    """Give the browser its half of the ticket; scripts cannot read it, other sites cannot send it by POST."""
    response.set_cookie(
        ticket.cookie,
        ticket.session,
        max_age=gateway.settings.state_seconds,
        path=COOKIE_PATH,
        secure=gateway.settings.environment is Environment.PRODUCTION,
        httponly=True,
        samesite="lax",
    )


@router.get("/callback", responses=problems(400, 409, 410, 502, 503))
async def callback(
    request: Request,
    response: Response,
    gateway: InGateway,
    state: Annotated[str, Query(max_length=2_000, description="As given to the provider.")] = "",
    code: Annotated[
        str | None, Query(max_length=8_000, description="The provider's authorization code.")
    ] = None,
    error: Annotated[str | None, Query(max_length=2_000, description="Why the provider gives none.")] = None,
) -> ConnectedView:
    """Complete an authorization. Needs no token: `state` and the browser's cookie belong together.

    An account that was connected before goes on as its earlier connection: `revived` says so.
    """
    name = cookie_name(state)
    done = await service.complete(
        gateway,
        state=state,
        session=request.cookies.get(name),
        code=code,
        error=error,
        redirected=request.query_params,
    )
    response.delete_cookie(name, path=COOKIE_PATH, httponly=True, samesite="lax")
    return ConnectedView(connection=done.details, revived=done.revived)
