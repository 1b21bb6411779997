"""Square's error envelope: HTTP status, category, code, detail, dotted field."""

from typing import Any

from suppli_sandbox.serving import Refused

_CATEGORY = {401: "AUTHENTICATION_ERROR", 403: "AUTHENTICATION_ERROR", 429: "RATE_LIMIT_ERROR"}


class SquareError(Refused):
    """An answer that is an error, as Square words it.

    `category` follows the status unless given. `headers` are sent with it (`Retry-After`).
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: str | None = None,
        *,
        category: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.category = category or category_of(status)
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the `errors[]` envelope."""
        error = {"category": self.category, "code": self.code, "detail": self.detail}
        if self.field is not None:
            error["field"] = self.field
        return {"errors": [error]}

    def legacy_body(self) -> dict[str, Any]:
        """Return the flat body that OAuth endpoints were seen to answer with."""
        kind = "service.not_authorized" if self.status in (401, 403) else "bad_request"
        return {"message": self.detail, "type": kind}


def category_of(status: int) -> str:
    """Return the category that goes with an HTTP status."""
    return _CATEGORY.get(status, "API_ERROR" if status >= 500 else "INVALID_REQUEST_ERROR")


def bad_request(code: str, detail: str, field: str | None = None) -> SquareError:
    """Return a 400 with a code of the INVALID_REQUEST_ERROR category."""
    return SquareError(400, code, detail, field)


def not_found(what: str, field: str | None = None) -> SquareError:
    """Return a 404 in Square's words."""
    return SquareError(404, "NOT_FOUND", f"{what} not found.", field)
