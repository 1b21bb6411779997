"""The internal HTTP API: files for the gateway, and what it asks of every connector."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_contracts.internal import SetAsideOrders
from suppli_contracts.uploads import UploadImport, UploadPlan, UploadRun
from suppli_service_kit.bodies import read_body, reply
from suppli_service_kit.internal_api import Caller, TokenProvider, internal_caller
from suppli_service_kit.logs import get_logger

from suppli_connector_upload.manifest import MANIFEST
from suppli_connector_upload.service import Uploads

log = get_logger(__name__)

FILE_NAME, REQUEST = "suppli-file-name", "idempotency-key"


def routes(uploads: Uploads, book: ConnectionBook, token: TokenProvider) -> APIRouter:
    """Return the routes under `/internal/v1`."""
    router = APIRouter(prefix="/internal/v1")
    authenticated = Depends(internal_caller(token))

    @router.get("/manifest", dependencies=[authenticated])
    async def manifest() -> Response:
        return reply(MANIFEST)

    @router.post("/uploads")
    async def receive(request: Request, caller: Caller = authenticated) -> Response:
        """Take a file as the body; its name is percent-encoded in `Suppli-File-Name`."""
        name = unquote(request.headers.get(FILE_NAME, ""))
        log.info("asked", what="upload", actor=caller.actor)
        upload = await uploads.receive(
            caller, request.stream(), name=name, request=request.headers.get(REQUEST)
        )
        return reply(upload, 201)

    @router.get("/uploads")
    async def page(
        before: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=201)] = 50,
        caller: Caller = authenticated,
    ) -> Response:
        return reply(await uploads.page(caller, before=before, most=limit))

    @router.get("/uploads/{upload_id}")
    async def show(upload_id: UUID, caller: Caller = authenticated) -> Response:
        return reply(await uploads.show(caller, upload_id))

    @router.put("/uploads/{upload_id}/plan")
    async def plan(upload_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        log.info("asked", what="plan", upload=str(upload_id), actor=caller.actor)
        return reply(await uploads.plan(caller, upload_id, await read_body(request, UploadPlan)))

    @router.post("/uploads/{upload_id}/import")
    async def begin_import(upload_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        log.info("asked", what="import", upload=str(upload_id), actor=caller.actor)
        return reply(await uploads.begin_import(caller, upload_id, await read_body(request, UploadImport)))

    @router.post("/uploads/{upload_id}/undo")
    async def begin_undo(upload_id: UUID, caller: Caller = authenticated) -> Response:
        log.info("asked", what="undo", upload=str(upload_id), actor=caller.actor)
        return reply(await uploads.begin_undo(caller, upload_id))

    @router.put("/uploads/{upload_id}/run")
    async def told_run(upload_id: UUID, request: Request, caller: Caller = authenticated) -> Response:
        run = await read_body(request, UploadRun)
        return reply(await uploads.told_run(caller, upload_id, run.run_id))

    @router.delete("/uploads/{upload_id}")
    async def discard(upload_id: UUID, caller: Caller = authenticated) -> Response:
        await uploads.discard(caller, upload_id)
        return Response(status_code=204)

    @router.get("/uploads/{upload_id}/errors")
    async def errors(upload_id: UUID, caller: Caller = authenticated) -> Response:
        return StreamingResponse(await uploads.errors(caller, upload_id), media_type="text/csv")

    @router.get("/connections/{connection_id}/set-aside")
    async def set_aside(connection_id: UUID, caller: Caller = authenticated) -> Response:
        return reply(SetAsideOrders(orders=await book.set_aside(caller.tenant_id, connection_id)))

    @router.post("/connections/{connection_id}/revoke", dependencies=[authenticated])
    async def revoke(connection_id: UUID) -> Response:
        """Answer that nothing is left to withdraw: a file needs no authorization."""
        return Response(status_code=202)

    return router
