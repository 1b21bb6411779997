"""Internal HTTP API: sync now, cancel, when next."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from suppli_contracts.events.base import Part
from suppli_contracts.events.sync import RunKind
from suppli_contracts.internal import Run as RunAnswer
from suppli_contracts.internal import RunRequest
from suppli_service_kit.bodies import read_body, reply
from suppli_service_kit.database import Database
from suppli_service_kit.internal_api import Caller, TokenProvider, internal_caller
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem

from suppli_sync_scheduler.domain.runs import Run
from suppli_sync_scheduler.scheduler import NotKnown, Refused, Scheduler

log = get_logger(__name__)

ASKED_FOR = frozenset({RunKind.MANUAL, RunKind.BACKFILL, RunKind.REPUBLISH})


class NextDue(Part, frozen=True, kw_only=True, omit_defaults=False):
    """When a connection is due next by itself, None = not."""

    next_due_at: datetime | None


def routes(database: Database, scheduler: Scheduler, token: TokenProvider) -> APIRouter:
    """Return the routes under `/internal/v1`."""
    router = APIRouter(prefix="/internal/v1")
    authenticated = Depends(internal_caller(token))

    @router.post("/connections/{connection_id}/runs")
    async def request_run(connection_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        asked = await read_body(request, RunRequest)
        if asked.kind not in ASKED_FOR:
            raise Problem(
                422,
                "invalid-request",
                "The request is not valid",
                f"kind {asked.kind.value!r} starts by itself",
            )
        if problem := _republish_problem(asked):
            raise Problem(422, "invalid-request", "The request is not valid", f"$.republish: {problem}")
        try:
            async with database.transaction([caller.tenant_id]) as connection:
                requested = await scheduler.request(connection, connection_id, caller.tenant_id, asked)
        except NotKnown:
            raise _unknown_connection(asked) from None
        except Refused as refused:
            raise Problem(409, refused.slug, refused.title, refused.detail) from None
        log.info("run_requested", run_id=str(requested.run.run_id), actor=caller.actor, kind=asked.kind.value)
        return reply(_answer(requested.run, promoted=requested.promoted), 201 if requested.created else 200)

    @router.post("/runs/{run_id}/cancel")
    async def cancel_run(run_id: UUID, caller: Caller = authenticated) -> Response:
        try:
            async with database.transaction([caller.tenant_id]) as connection:
                run = await scheduler.cancel(connection, run_id, caller.tenant_id)
        except NotKnown:
            raise Problem(404, "run-not-found", "There is no such run", f"No run {run_id}") from None
        log.info("run_cancel_requested", run_id=str(run_id), actor=caller.actor, state=run.state.value)
        return reply(_answer(run))

    @router.get("/connections/{connection_id}/schedule")
    async def next_due(connection_id: UUID, caller: Caller = authenticated) -> Response:
        try:
            async with database.transaction([caller.tenant_id]) as connection:
                return reply(NextDue(next_due_at=await scheduler.next_due_at(connection, connection_id)))
        except NotKnown:
            raise _not_found(connection_id) from None

    def _unknown_connection(asked: RunRequest) -> Problem:
        if asked.settings_revision == 0:
            return Problem(404, "connection-not-found", "There is no such connection")
        return Problem(
            409,
            "connection-not-known-yet",
            "The connection's settings have not arrived yet",
            "They are on their way; ask again in a second",
            headers={"Retry-After": "1"},
        )

    return router


def _republish_problem(asked: RunRequest) -> str | None:
    if asked.kind is RunKind.REPUBLISH:
        return "is needed" if asked.republish is None else asked.republish.problem()
    return None if asked.republish is None else f"is not for kind {asked.kind.value!r}"


def _not_found(connection_id: UUID) -> Problem:
    return Problem(
        404, "connection-not-found", "There is no such connection", f"No connection {connection_id}"
    )


def _answer(run: Run, *, promoted: bool = False) -> RunAnswer:
    return RunAnswer(
        run_id=run.run_id,
        connection_id=run.connection_id,
        kind=run.kind,
        state=run.state,
        attempt=run.attempt,
        requested_at=run.requested_at,
        follow_up=run.follow_up,
        promoted=promoted,
    )
