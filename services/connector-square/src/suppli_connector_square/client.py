"""How Square is asked, and what an answer that is not a success means."""

from __future__ import annotations

import httpx
import msgspec
from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.errors import (
    CredentialsRefused,
    CursorExpired,
    MissingScope,
    ProviderError,
    TokenExpired,
    TokenRevoked,
)
from suppli_connector_kit.faults import Fault, failure

from suppli_connector_square.manifest import MANIFEST, SQUARE_VERSION

_CODES: dict[str, type[ProviderError]] = {
    "ACCESS_TOKEN_EXPIRED": TokenExpired,
    "ACCESS_TOKEN_REVOKED": TokenRevoked,
    "CLIENT_DISABLED": CredentialsRefused,
    "INSUFFICIENT_SCOPES": MissingScope,
    "INVALID_CURSOR": CursorExpired,
}


class _Body(msgspec.Struct):
    """`errors[]`, or the flat body that OAuth endpoints sometimes answer with."""

    errors: list[Fault] | None = None
    type: str | None = None


def square_client(
    base_url: str,
    *,
    version: str = SQUARE_VERSION,
    budget: Budget | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ProviderClient:
    """Return a client that names the API version with every call."""
    headers = {"Square-Version": version}
    return ProviderClient(
        base_url,
        name=MANIFEST.name,
        failure=_failure,
        headers=headers,
        budget=budget,
        transport=transport,
    )


def _failure(response: httpx.Response) -> ProviderError:
    return failure(response, _fault(response.content), name=MANIFEST.name, codes=_CODES)


def _fault(body: bytes) -> Fault | None:
    """Return the first error; None where this is not Square's API speaking."""
    try:
        content = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError:
        return None
    if content.errors:
        return content.errors[0]
    return Fault(content.type) if content.type else None
