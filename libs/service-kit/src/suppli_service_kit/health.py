"""What a process says of itself: `/healthz` (restart me?), `/readyz` (send me requests?), `/metrics`.

What others answer for (broker, Vault, provider) is looked at beside the requests: a server that hangs must
not make `/readyz` late, or the platform would take a process away that can do its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from suppli_service_kit import metrics
from suppli_service_kit.logs import get_logger
from suppli_service_kit.waiting import wait_or_stop

log = get_logger(__name__)

CHECK_SECONDS = 2.0
EVERY_SECONDS = 5.0
AGAIN_SECONDS = 2.0  # what is wrong is looked at more often, so that its end is soon known

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, a short sentence when it works only partly; raises when it does not work."""


@dataclass(frozen=True, slots=True)
class _Registered:
    check: Check
    critical: bool
    every: float


class Health:
    """The checks of a process."""

    def __init__(self) -> None:
        self._ready: dict[str, _Registered] = {}
        self._alive: dict[str, Check] = {}
        self._seen: dict[str, str | None] = {}
        self._watched: frozenset[str] = frozenset()
        self.stopping = False

    def register(
        self, name: str, check: Check, *, critical: bool = False, every: float = EVERY_SECONDS
    ) -> None:
        """Add a check of readiness.

        Args:
            name: shown in `/readyz`.
            check: see `Check`; has two seconds.
            critical: without it the service cannot answer its own HTTP (its database): a failure is a 503.
                The others only show as degraded, with 200: the service still does what it can.
            every: seconds between two looks; what is wrong is looked at every 2 s, or as rarely as this.
        """
        self._ready[name] = _Registered(check, critical, every)

    def register_liveness(self, name: str, check: Check) -> None:
        """Add a check whose failure only a restart mends, e.g. consumers that have stopped moving."""
        self._alive[name] = check

    def problem(self, name: str) -> str | None:
        """Return what was wrong with `name` at the last look, None when nothing was or nobody looked yet."""
        return self._seen.get(name)

    async def watch(self, stop: asyncio.Event) -> None:
        """Look at everything again and again until `stop`; `/readyz` then tells what was seen."""
        self._watched = frozenset(self._ready)
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._watched:
                    group.create_task(self._watch(name, stop), name=f"check {name}")
        finally:
            self._watched = frozenset()

    async def _watch(self, name: str, stop: asyncio.Event) -> None:
        every = self._ready[name].every
        while not stop.is_set():
            problem = await self._look(name)
            await wait_or_stop(stop, every if problem is None else min(every, AGAIN_SECONDS))

    async def _look(self, name: str) -> str | None:
        """Ask one check, and note what it says: in `/metrics`, and in the log where that is news."""
        problem = await _outcome(self._ready[name].check)
        before = self._seen.get(name)
        self._seen[name] = problem
        metrics.CHECK_OK.labels(name).set(0 if problem else 1)
        if problem is not None and before is None:
            log.warning("check_failed", check=name, problem=problem)
        elif problem is None and before is not None:
            log.info("check_ok_again", check=name)
        return problem

    async def readiness(self) -> tuple[int, dict[str, object]]:
        """Return (HTTP status, body) of `/readyz`: what is critical is asked now, the rest as last seen."""
        names = list(self._ready)
        fresh = [name for name in names if self._asked_now(name)]
        await asyncio.gather(*map(self._look, fresh))
        problems = {name: text for name in names if (text := self._seen[name]) is not None}
        down = self.stopping or any(self._ready[name].critical for name in problems)
        status = "stopping" if self.stopping else "unavailable" if down else "degraded" if problems else "ok"
        checks = {name: problems.get(name, "ok") for name in names}
        return (503 if down else 200), {"status": status, "checks": checks}

    def _asked_now(self, name: str) -> bool:
        return self._ready[name].critical or name not in self._watched or name not in self._seen

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
