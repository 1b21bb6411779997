"""What endpoints work with: made once by `app.py`, reached through the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database

if TYPE_CHECKING:
    from suppli_gateway.auth.tokens import TokenReader
    from suppli_gateway.due import DueWork
    from suppli_gateway.events.hub import Hub
    from suppli_gateway.outages import Outages
    from suppli_gateway.services import Services
    from suppli_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that endpoints use.

    Attributes:
        services: the other services' internal APIs.
        hub: passes live events on to open streams of this process.
        due: work that background jobs do for any tenant.
        outages: which other parts are away.
    """

    settings: Settings
    database: Database
    clock: Clock
    tokens: TokenReader
    services: Services
    hub: Hub
    due: DueWork
    outages: Outages


def gateway_of(request: Request) -> Gateway:
    """Return the parts that this request may use."""
    gateway: Gateway = request.app.state.gateway
    return gateway


InGateway = Annotated[Gateway, Depends(gateway_of)]
