"""How Clover is asked, and what an answer that is not a success means."""

from __future__ import annotations

import httpx
import msgspec
from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.errors import ProviderError, TokenExpired
from suppli_connector_kit.faults import Fault, failure

from suppli_connector_clover.manifest import MANIFEST


class _Body(msgspec.Struct):
    message: str | None = None


def clover_client(
    base_url: str,
    *,
    budget: Budget | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ProviderClient:
    """Return a client of one of Clover's regions."""
    return ProviderClient(base_url, name=MANIFEST.name, failure=_failure, budget=budget, transport=transport)


def _failure(response: httpx.Response) -> ProviderError:
    """Return what went wrong: 401 stands for an old token, another region and a missing permission."""
    fault = _fault(response.content)
    if response.status_code == 401 and fault is not None:
        return TokenExpired(f"{MANIFEST.name} answered 401: {TokenExpired.advice}")
    return failure(response, fault, name=MANIFEST.name, codes={})


def _fault(body: bytes) -> Fault | None:
    """Return the fault; None where this is not Clover's API speaking. Its messages are not repeated."""
    try:
        msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError:
        return None
    return Fault()
