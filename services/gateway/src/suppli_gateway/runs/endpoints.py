"""`/v1/runs` and what a connection's runs have led to."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from suppli_gateway.auth.access import Operator, Viewer
from suppli_gateway.connections.service import require
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.idempotency import IdempotentRoute
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.refusals import no_such
from suppli_gateway.runs.repository import RunRepository, StatusRepository
from suppli_gateway.runs.schemas import CoverageInterval, CoverageView, RequestedRun, RunPage, RunView
from suppli_gateway.runs.views import requested_run, run_view

router = APIRouter(prefix="/v1", tags=["runs"], route_class=IdempotentRoute)


@router.get("/runs/{run_id}", responses=problems(404))
async def get_run(run_id: UUID, access: Viewer, gateway: InGateway) -> RunView:
    """Show a run."""
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        run = await RunRepository(transaction).find(run_id)
    if run is None:
        raise no_such("run", run_id)
    return run_view(run)


@router.post("/runs/{run_id}/cancel", status_code=202, responses=problems(404, 409, 503))
async def cancel_run(run_id: UUID, access: Operator, gateway: InGateway) -> RequestedRun:
    """Stop a run: at once where it is queued, else at its next page. What it has imported stays."""
    return requested_run(await gateway.services.scheduler.cancel_run(run_id, access.caller))


@router.get("/connections/{connection_id}/runs", responses=problems(400, 404))
async def list_runs(
    connection_id: UUID, access: Viewer, gateway: InGateway, limit: Limit = 50, cursor: Cursor = None
) -> RunPage:
    """List a connection's runs, newest first."""
    await require(gateway, access, connection_id)
    before = decode_cursor(cursor, "runs", UUID)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await RunRepository(transaction).page(connection_id, before=before, limit=limit + 1)
    shown = found[:limit]
    last = shown[-1].run_id if shown else None
    return RunPage(
        items=[run_view(run) for run in shown], next_cursor=next_cursor("runs", last, more=len(found) > limit)
    )


@router.get("/connections/{connection_id}/coverage", responses=problems(404))
async def coverage(connection_id: UUID, access: Viewer, gateway: InGateway) -> CoverageView:
    """Show which times of modification are imported without gaps, as of the last run that ended."""
    await require(gateway, access, connection_id)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        status = (await StatusRepository(transaction).statuses([connection_id])).get(connection_id)
    return CoverageView(
        connection_id=connection_id,
        as_of=status.coverage_at if status else None,
        intervals=[
            CoverageInterval.model_validate(interval) for interval in (status.coverage if status else [])
        ],
    )
