"""What serves a provider: its API beside the control API, and a server that can cut a connection."""

import asyncio
import socket
import struct
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from suppli_sandbox.control import Control, control_api

_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends a reset instead of an end


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, remembering each client's transport so that a fault can cut it."""

    transports: ClassVar[dict[tuple[str, int], Any]] = {}

    def connection_made(self, transport: Any) -> None:
        """Remember the transport."""
        super().connection_made(transport)
        if self.client is not None:
            self.transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        super().connection_lost(exc)
        if self.client is not None:
            self.transports.pop(self.client, None)


async def cut_connection(scope: Scope) -> None:
    """Reset the TCP connection that a request came by."""
    transport = CuttableProtocol.transports.get(tuple(scope["client"]))
    if transport is None:
        raise RuntimeError("this server cannot cut connections: start it by `python -m suppli_sandbox`")
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    transport.abort()
    await asyncio.sleep(0)  # lets the server learn that the connection is gone


def create_app(provider: ASGIApp, control: Control, *, control_token: str | None = None) -> ASGIApp:
    """Return the ASGI application: `/_control/*` for tests, everything else is the provider."""
    guarded = control_api(control, control_token)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path", "").startswith("/_control/"):
            await guarded(scope, receive, send)
        elif scope["type"] == "http":
            await provider(scope, receive, send)

    return app


def create_server(app: ASGIApp) -> uvicorn.Server:
    """Return the HTTP server, quiet and without client time-outs that would cut idle connections early."""
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=60,
        date_header=False,  # answers carry the provider's own clock, which may be moved
    )
    return uvicorn.Server(config)
