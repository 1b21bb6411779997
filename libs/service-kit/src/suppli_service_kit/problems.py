"""Errors of our HTTP APIs as RFC 9457 problems, with stable types and nothing of our inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import sqlalchemy.exc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from suppli_service_kit.logs import get_logger
from suppli_service_kit.redaction import redact_text
from suppli_service_kit.vault import VaultUnavailable

log = get_logger(__name__)

TYPE_BASE = "https://suppli.dev/problems/"
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5


class Problem(Exception):
    """An answer other than success.

    Attributes:
        status: HTTP status code.
        type: the problem's stable slug, e.g. `connection-not-found`; a client decides by it.
        title: the same short sentence for every problem of this type.
        detail: what is wrong this time and what to do; shown to people, never a secret.
        extra: further members of the body.
        headers: of the response, e.g. `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the RFC's name
        title: str,
        detail: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {type}: {detail or title}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        body: dict[str, Any] = {
            **self.extra,
            "type": TYPE_BASE + self.type,
            "title": self.title,
            "status": self.status,
        }
        if self.detail is not None:
            body["detail"] = redact_text(self.detail)
        return body

    def response(self) -> Response:
        """Return the HTTP response that says this."""
        return JSONResponse(self.body(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


class ServiceUnavailable(Problem):
    """Something that is needed to answer is down for now: 503 with `Retry-After`."""

    def __init__(self, what: str, retry_after: int = RETRY_SECONDS) -> None:
        super().__init__(
            503,
            "service-unavailable",
            "A part of the system is not available",
            f"{what} is not available right now; try again in {retry_after} seconds",
            headers={"Retry-After": str(retry_after)},
        )


def install_problems(app: FastAPI) -> None:
    """Make `app` answer every error as a problem: ours, wrong input, unknown paths, the unforeseen."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for unavailable in (
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
        sqlalchemy.exc.TimeoutError,
    ):
        app.add_exception_handler(unavailable, _on_database_away)
    app.add_exception_handler(VaultUnavailable, _on_vault_away)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [_fault(item) for item in error.errors()]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:5])
    return Problem(
        422, "invalid-request", "The request is not valid", detail, extra={"errors": faults}
    ).response()


def _fault(item: Mapping[str, Any]) -> dict[str, str]:
    """Return where and what is wrong; never the value, which may be a secret."""
    place: Sequence[Any] = item["loc"]
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[1:])
    # A rule of ours speaks in `ctx.error`; pydantic's own texts name no input but for these kinds.
    echoes = item["type"] in ("json_invalid", "value_error")
    message = _own_words(item) if echoes else str(item["msg"])
    return {"in": str(place[0]), "field": path, "message": message, "code": str(item["type"])}


def _own_words(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return "is not valid JSON"
    return redact_text(str(item["msg"]).removeprefix("Value error, "))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    phrase = HTTPStatus(error.status_code).phrase
    types = {404: "not-found", 405: "method-not-allowed"}
    slug = types.get(error.status_code, phrase.lower().replace(" ", "-"))
    detail = error.detail if error.detail != phrase else f"{request.method} {request.url.path}"
    return Problem(error.status_code, slug, phrase, str(detail), headers=error.headers).response()


async def _on_database_away(request: Request, error: Exception) -> Response:
    log.warning("database_not_available", error=type(error).__name__, path=request.url.path)
    return ServiceUnavailable("The database").response()


async def _on_vault_away(request: Request, error: Exception) -> Response:
    log.warning("vault_not_available", path=request.url.path)
    return ServiceUnavailable("The secret store").response()


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    # The server logs the exception itself, with its trace; the caller learns only that it was ours.
    log.error("request_failed", path=request.url.path, method=request.method, error=type(error).__name__)
    return Problem(500, "internal-error", "Something went wrong on our side").response()
