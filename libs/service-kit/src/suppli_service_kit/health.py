"""What a process says of itself: `/healthz` (restart me?), `/readyz` (send me requests?), `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from suppli_service_kit import metrics

CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, a short sentence when it works only partly; raises when it does not work."""


@dataclass(frozen=True, slots=True)
class _Registered:
    check: Check
    critical: bool


class Health:
    """The checks of a process."""

    def __init__(self) -> None:
        self._ready: dict[str, _Registered] = {}
        self._alive: dict[str, Check] = {}
        self.stopping = False

    def register(self, name: str, check: Check, *, critical: bool = False) -> None:
        """Add a check of readiness.

        Args:
            name: shown in `/readyz`.
            check: see `Check`; has two seconds.
            critical: without it the service cannot answer its own HTTP (its database): a failure is a 503.
                The others only show as degraded, with 200: the service still does what it can.
        """
        self._ready[name] = _Registered(check, critical)

    def register_liveness(self, name: str, check: Check) -> None:
        """Add a check whose failure only a restart mends, e.g. consumers that have stopped moving."""
        self._alive[name] = check

    async def readiness(self) -> tuple[int, dict[str, object]]:
        """Return (HTTP status, body) of `/readyz`."""
        names = list(self._ready)
        said = await asyncio.gather(*(_outcome(self._ready[name].check) for name in names))
        problems = {name: text for name, text in zip(names, said, strict=True) if text is not None}
        for name in names:
            metrics.CHECK_OK.labels(name).set(0 if name in problems else 1)
        down = self.stopping or any(self._ready[name].critical for name in problems)
        status = "stopping" if self.stopping else "unavailable" if down else "degraded" if problems else "ok"
        checks = {name: problems.get(name, "ok") for name in names}
        return (503 if down else 200), {"status": status, "checks": checks}

    async def liveness(self) -> tuple[int, dict[str, object]]:
        """Return (HTTP status, body) of `/healthz`; that it answers at all shows that the loop turns."""
        names = list(self._alive)
        said = await asyncio.gather(*(_outcome(self._alive[name]) for name in names))
        checks = {name: text or "ok" for name, text in zip(names, said, strict=True)}
        failed = any(text is not None for text in said)
        return (503 if failed else 200), {"status": "failed" if failed else "ok", "checks": checks}

    def router(self) -> APIRouter:
        """Return the routes `/healthz`, `/readyz` and `/metrics`, left out of the OpenAPI document."""
        router = APIRouter(include_in_schema=False)

        @router.get("/healthz")
        async def healthz() -> Response:
            status, body = await self.liveness()
            return JSONResponse(body, status)

        @router.get("/readyz")
        async def readyz() -> Response:
            status, body = await self.readiness()
            return JSONResponse(body, status)

        @router.get("/metrics")
        async def prometheus() -> Response:
            return Response(metrics.metrics_response(), media_type=metrics.CONTENT_TYPE)

        return router


async def _outcome(check: Check) -> str | None:
    """Return what a check says; a failure by its kind only: an error's text may hold an address."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:
        return f"failed: {type(error).__name__}"
