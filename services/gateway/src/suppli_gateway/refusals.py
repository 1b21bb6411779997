"""The gateway's own problems, each with its stable type."""

from __future__ import annotations

from uuid import UUID

from suppli_service_kit.problems import Problem

from suppli_gateway.connections.changes import FieldError, Invalid
from suppli_gateway.connections.domain import NotAllowed


def no_such(what: str, id_: UUID | str) -> Problem:
    """There is none of that id, or it is another tenant's: the caller cannot tell."""
    slug = f"{what.replace(' ', '-')}-not-found"
    return Problem(404, slug, f"There is no such {what}", f"There is no {what} {id_}.")


def not_allowed(error: NotAllowed) -> Problem:
    """The state does not allow the action."""
    return Problem(409, error.slug, "The connection's state does not allow this", str(error))


def invalid(error: Invalid) -> Problem:
    """Values cannot be taken: every one with its place, value and reason."""
    errors = [
        {
            "in": "body",
            "field": _path(fault),
            "value": fault.value,
            "message": fault.reason,
            "code": "refused",
        }
        for fault in error.errors
    ]
    detail = "; ".join(f"{_path(fault)}: {fault.reason}" for fault in error.errors[:5])
    return Problem(422, "invalid-request", "The request is not valid", detail, extra={"errors": errors})


def _path(fault: FieldError) -> str:
    return f"$.{fault.field}" if fault.field else "$"
