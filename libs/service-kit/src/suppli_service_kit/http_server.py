"""Serving an app inside the process's own loop, with requests as spans; signals stay the process's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Receive, Scope, Send

from suppli_service_kit import tracing

GRACE_SECONDS = 4  # how long open requests may finish when the process stops
_UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
# The framework's own spans carry the query of every request, and a provider's redirect brings its code there.
OWN_TRACES_ONLY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
}
"""`FastAPI(telemetry=...)` of every app that we serve: `TraceRequests` records the requests."""


class TraceRequests:
    """ASGI middleware: each request is a span; a caller's trace is continued only where callers are ours."""

    def __init__(self, app: ASGIApp, *, trusted: bool) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within its span."""
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        parent = None
        if self._trusted:
            given = dict(scope["headers"]).get(b"traceparent")
            parent = None if given is None else given.decode("latin-1")
        with tracing.span(scope["method"], parent, kind=SpanKind.SERVER) as span:
            await self._app(scope, receive, send)
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                span.update_name(f"{scope['method']} {route}")


class HttpServer(uvicorn.Server):
    """One app on one port; stopped by `should_exit`, never by a signal of its own."""

    def __init__(self, app: FastAPI, host: str, port: int, *, trusted: bool) -> None:
        """Listen at once.

        Raises:
            OSError: the address is taken or not ours.
        """
        self.listening = socket.create_server((host, port), backlog=2_048)
        super().__init__(
            uvicorn.Config(
                TraceRequests(app, trusted=trusted),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=30,
            )
        )

    @property
    def port(self) -> int:
        """The port that it listens on, also where 0 was asked for."""
        return int(self.listening.getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield

    async def run_until_exit(self) -> None:
        """Serve until `should_exit`."""
        try:
            await self.serve(sockets=[self.listening])
        finally:
            self.listening.close()
