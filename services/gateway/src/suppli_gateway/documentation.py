"""What the OpenAPI document says of problems, shared by all routes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from suppli_service_kit.problems import MEDIA_TYPE, TYPE_BASE


class ProblemView(BaseModel):
    """An error (RFC 9457). `type` is stable: decide by it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": TYPE_BASE + "connection-not-found",
                    "title": "There is no such connection",
                    "status": 404,
                    "detail": "There is no connection 01980a4d-2b3c-7d11-8c0a-6a5f1e2d3c4b.",
                }
            ]
        },
    )

    type: str = Field(description="Stable URI of the kind of problem.")
    title: str = Field(description="What kind of problem it is.")
    status: int
    detail: str | None = Field(None, description="What is wrong this time and what to do.")


_MEANINGS = {
    400: "The request cannot be read, or the tenant is not clear",
    401: "The caller is not known",
    403: "The caller may not do this",
    404: "There is none of that id for this tenant",
    409: "The state does not allow this",
    410: "It is too late",
    413: "The body is too large",
    415: "The body's media type is not taken",
    422: "The request is not valid; `errors` names every field",
    502: "The provider refused",
    503: "A part of the system is not available; try again after `Retry-After` seconds",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these problems, beside those of every route."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({401, 403, *statuses})
    }
