"""The public API as one application; also made without any server, for its document."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from suppli_service_kit.http_server import OWN_TRACES_ONLY
from suppli_service_kit.settings import Environment

from suppli_gateway.connections.endpoints import router as connections
from suppli_gateway.context import Gateway
from suppli_gateway.days.endpoints import router as days
from suppli_gateway.documentation import ProblemView
from suppli_gateway.events.endpoints import router as events
from suppli_gateway.items.endpoints import router as items
from suppli_gateway.locations.endpoints import router as locations
from suppli_gateway.middleware import BodyLimit, PublicEdge
from suppli_gateway.oauth.endpoints import router as oauth
from suppli_gateway.products.endpoints import IMPORT_PATH
from suppli_gateway.products.endpoints import router as products
from suppli_gateway.runs.endpoints import router as runs
from suppli_gateway.runs.schemas import RUN_EXAMPLE
from suppli_gateway.service_keys.endpoints import router as service_keys
from suppli_gateway.uploads.endpoints import UPLOADS_PATH, arriving
from suppli_gateway.uploads.endpoints import router as uploads

VERSION = "1.0.0"
DESCRIPTION = """\
Connect a point of sale, choose what is imported, follow its syncs and say which product each item is.

Every call but the provider's redirect carries a bearer token of the platform's identity provider, or a
service key; its role decides what it may do (viewer < operator < admin). Errors are problems (RFC 9457) with
a stable `type`.
Lists go on by `next_cursor`. A POST with an `Idempotency-Key` may be sent again: the first answer comes
back for 24 hours.
"""


def create_api(gateway: Gateway | None) -> FastAPI:
    """Return the application. Without `gateway` it only describes itself."""
    production = gateway is None or gateway.settings.environment is Environment.PRODUCTION
    app = FastAPI(
        title="Suppli Integrations",
        version=VERSION,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None if production else "/v1/docs",
        redoc_url=None,
        separate_input_output_schemas=False,
        telemetry=OWN_TRACES_ONLY,
    )
    for router in (
        connections,
        oauth,
        runs,
        arriving,
        uploads,
        items,
        products,
        locations,
        days,
        events,
        service_keys,
    ):
        app.include_router(router)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    if gateway is not None:
        settings = gateway.settings
        app.state.gateway = gateway
        app.add_middleware(
            BodyLimit,
            most=settings.max_body_bytes,
            by_path={IMPORT_PATH: settings.max_import_bytes, UPLOADS_PATH: settings.max_upload_bytes},
        )
        app.add_middleware(PublicEdge, production=production)
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with our problems in place of the framework's validation errors."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
        for operations in document["paths"].values():
            for method, operation in operations.items():
                _finish(method, operation)
        app.openapi_schema = document
    return app.openapi_schema


STREAM_EXAMPLE = f"event: run\ndata: {json.dumps(RUN_EXAMPLE)}\nid: 4711\n\n"
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "At most 200 characters of your choice: sent again with it, nothing is done twice.",
    "schema": {"type": "string", "maxLength": 200},
    "example": "5b0c1a52-7d39-4c7e-9f0e-6f0d3f1f2a11",
}


def _finish(method: str, operation: dict[str, Any]) -> None:
    invalid = operation["responses"].get("422", {})
    if "HTTPValidationError" in str(invalid):
        operation["responses"]["422"] = {
            "description": "The request is not valid; `errors` names every field",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    stream = operation["responses"].get("200", {}).get("content", {}).get("text/event-stream")
    if stream is not None:
        # The framework describes streams as OpenAPI 3.2 does; this document is 3.1.
        stream.clear()
        stream.update(schema={"type": "string"}, example=STREAM_EXAMPLE)
    if method == "post":
        operation.setdefault("parameters", []).append(_KEY)
