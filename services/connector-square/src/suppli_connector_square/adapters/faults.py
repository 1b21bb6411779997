"""What an answer of Square's that is not a success means for us: one function, for every endpoint."""

from __future__ import annotations

import httpx
import msgspec
from suppli_connector_kit.client import TokenExpired
from suppli_connector_kit.errors import (
    AuthError,
    CursorExpired,
    MissingScope,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from suppli_service_kit.retry import retry_after_seconds


class TokenRevoked(AuthError):
    """Our access was withdrawn."""


class Gone(ProviderRefused):
    """What was asked for is not there."""


class _Fault(msgspec.Struct):
    code: str = ""
    field: str | None = None


class _Body(msgspec.Struct):
    """`errors[]`, or the flat body that OAuth endpoints sometimes answer with."""

    errors: list[_Fault] | None = None
    type: str | None = None


_DECODER = msgspec.json.Decoder(_Body)


def failure(response: httpx.Response) -> ProviderError:
    """Return what a status of 300 or more, with its body, means.

    Square's `detail` may repeat what was sent, so only code and field are said.
    """
    status, wait = response.status_code, retry_after_seconds(response.headers.get("retry-after"))
    if status == 429:
        return RateLimited("Square asked to slow down", retry_after_s=wait)
    fault = _fault(response.content)
    if fault is None or (status >= 500 and status != 501) or status in (408, 409):
        return ProviderUnavailable(f"Square answered {status}", retry_after_s=wait)
    said = f"Square answered {status} {fault.code}".rstrip()
    if status == 401:
        if fault.code == "ACCESS_TOKEN_EXPIRED":
            return TokenExpired(said)
        kind = TokenRevoked if fault.code == "ACCESS_TOKEN_REVOKED" else AuthError
        return kind(f"{said}: the account must be authorized again")
    if status == 403:
        kind = MissingScope if fault.code == "INSUFFICIENT_SCOPES" else AuthError
        return kind(f"{said}: a permission is missing, the account must be authorized again")
    if fault.code == "INVALID_CURSOR":
        return CursorExpired(said)
    refused = Gone if status == 404 else ProviderRefused
    return refused(f"{said} for {fault.field}" if fault.field else said)


def _fault(body: bytes) -> _Fault | None:
    """Return the first error; None where this is not Square's API speaking, e.g. a proxy's page."""
    try:
        content = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    if content.errors:
        return content.errors[0]
    return _Fault(code=content.type) if content.type else None
