"""JSON bodies of the internal API to and from their models."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from fastapi import Request, Response
from suppli_contracts.events.base import Part

from suppli_service_kit.problems import Problem

P = TypeVar("P", bound=Part)


async def read_body(request: Request, model: type[P]) -> P:
    """Return the request's body as `model`; an empty body is one with every default.

    Raises:
        Problem: 422 with the path of what is wrong.
    """
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=model)
    except msgspec.DecodeError as error:
        raise Problem(422, "invalid-request", "The request is not valid", str(error)) from error


def reply(body: Part, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")
