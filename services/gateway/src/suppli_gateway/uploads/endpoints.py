"""`/v1/uploads`: sales from files."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from suppli_contracts.internal import Run
from suppli_contracts.uploads import Upload

from suppli_gateway.auth.access import Operator, Viewer
from suppli_gateway.connections.schemas import ConnectionDetails
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.idempotency import HEADER, IdempotentRoute
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.runs.views import requested_run
from suppli_gateway.uploads import service
from suppli_gateway.uploads.schemas import ImportView, PlanBody, UploadPageView, UploadView

UPLOADS_PATH = "/v1/uploads"
arriving = APIRouter(prefix=UPLOADS_PATH, tags=["uploads"])
router = APIRouter(prefix=UPLOADS_PATH, tags=["uploads"], route_class=IdempotentRoute)

_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"},
                "example": "Date,Time,Item,Qty,Gross Sales\n2026-03-02,08:14:09,Latte,1,$4.50\n",
            }
        },
    }
}


@arriving.post("", status_code=201, responses=problems(409, 413, 422, 503), openapi_extra=_FILE)
async def upload_file(
    request: Request,
    access: Operator,
    gateway: InGateway,
    file_name: Annotated[
        str, Query(max_length=500, description="As the computer calls it; shown only.")
    ] = "",
    key: Annotated[str | None, Header(alias=HEADER, include_in_schema=False, max_length=200)] = None,
) -> UploadView:
    """Upload a file of sales (CSV, TSV or Excel) as the body. Nothing is imported.

    The answer comes at once; while `state` is `looking`, ask again. Then its `questions` are to be confirmed.
    """
    upload = await service.receive(gateway, access, request.stream(), name=file_name, request=key)
    return UploadView.of(upload)


@router.get("", responses=problems(400, 503))
async def list_uploads(
    access: Viewer, gateway: InGateway, limit: Limit = 50, cursor: Cursor = None
) -> UploadPageView:
    """List files, newest first."""
    before = decode_cursor(cursor, "uploads", UUID)
    found = await gateway.services.uploads().page(access.caller, before=before, limit=limit + 1)
    shown = found.uploads[:limit]
    last = shown[-1].upload_id if shown else None
    return UploadPageView(
        items=[UploadView.of(each) for each in shown],
        next_cursor=next_cursor("uploads", last, more=len(found.uploads) > limit),
    )


@router.get("/{upload_id}", responses=problems(404, 503))
async def get_upload(upload_id: UUID, access: Viewer, gateway: InGateway) -> UploadView:
    """Show a file: what it seems to be, what it means by the answers given, and what became of it."""
    return UploadView.of(await gateway.services.uploads().show(upload_id, access.caller))


@router.put("/{upload_id}/plan", responses=problems(404, 409, 422, 503))
async def plan_upload(upload_id: UUID, body: PlanBody, access: Operator, gateway: InGateway) -> UploadView:
    """Confirm how a file is read and whose sales they are. Nothing is imported.

    Its totals are made anew: while `state` is `looking`, ask again. `days` then shows them beside what the
    till holds.
    """
    upload = await service.plan(
        gateway, access, upload_id, answers=body.answers, till=body.till.till(), adding=body.adding
    )
    return UploadView.of(upload)


@router.post("/{upload_id}/import", status_code=202, responses=problems(404, 409, 422, 503))
async def import_upload(upload_id: UUID, access: Operator, gateway: InGateway) -> ImportView:
    """Import a file that is `ready`. Its run shows the progress and can be cancelled as any other."""
    return _view(*await service.begin_import(gateway, access, upload_id))


@router.post("/{upload_id}/undo", status_code=202, responses=problems(404, 409, 503))
async def undo_upload(upload_id: UUID, access: Operator, gateway: InGateway) -> ImportView:
    """Take an import back: its orders become what the file before said of their days, or end at zero."""
    return _view(*await service.begin_undo(gateway, access, upload_id))


@router.delete("/{upload_id}", status_code=204, responses=problems(404, 409, 503))
async def discard_upload(upload_id: UUID, access: Operator, gateway: InGateway) -> Response:
    """Forget a file that was not imported."""
    await gateway.services.uploads().discard(upload_id, access.caller)
    return Response(status_code=204)


_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows that were left out, as CSV that a spreadsheet may open",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "line,column,value,reason\n118,Qty,two,is not a number\n",
            }
        },
    }
}


@router.get("/{upload_id}/errors", response_class=Response, responses={**problems(404, 503), **_CSV})
async def upload_errors(upload_id: UUID, access: Viewer, gateway: InGateway) -> Response:
    """Download the rows that an import left out, each with the reason."""
    text = await gateway.services.uploads().errors(upload_id, access.caller)
    name = f'attachment; filename="errors-{upload_id}.csv"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": name})


def _view(upload: Upload, connection: ConnectionDetails, run: Run) -> ImportView:
    return ImportView(upload=UploadView.of(upload), connection=connection, run=requested_run(run))
