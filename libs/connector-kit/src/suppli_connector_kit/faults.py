"""What an answer that is not a success means: by its status, and by the provider's own codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

import httpx
import msgspec
from suppli_service_kit.retry import retry_after_seconds

from suppli_connector_kit.errors import (
    AuthError,
    Gone,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)

_PASSING = frozenset({408, 409})
_NEVER_PASSING = 501
# CARD_DECLINED, service.not_authorized, query.sort[2].field: words. A token is longer, or has digits within.
_WORD = r"[A-Za-z]{1,30}\d?(?:\[\d{1,4}\])?"
_WORDS = re.compile(rf"{_WORD}(?:[._ ]{_WORD}){{0,9}}")


class Fault(msgspec.Struct):
    """What a provider's error body says: its code, and the field of our request that it is about."""

    code: str = ""
    field: str | None = None

    def __post_init__(self) -> None:
        """Drop what is no code and no field's name: a provider may repeat there what it was sent."""
        if _WORDS.fullmatch(self.code) is None:
            self.code = ""
        if self.field is not None and _WORDS.fullmatch(self.field) is None:
            self.field = None


class Problem(Protocol):
    """A provider's error body (a msgspec Struct)."""

    def fault(self) -> Fault | None:
        """Return what it says; None where this is not the provider's API speaking."""
        ...


def told_by(
    name: str,
    problem: type[Problem],
    *,
    codes: Mapping[str, type[ProviderError]],
    unauthorized: type[ProviderError] | None = None,
) -> Callable[[httpx.Response], ProviderError]:
    """Return a function that tells what an answer of a status of 300 or more means; see `failure`.

    Args:
        name: the provider's, for people.
        problem: how its error bodies look.
        codes: what its codes mean where that is more than their status says.
        unauthorized: what 401 means where no code says so; by default that nobody is authorized any more.
    """
    decode = msgspec.json.Decoder(problem).decode

    def failed(response: httpx.Response) -> ProviderError:
        try:
            fault = decode(response.content).fault()
        except msgspec.MsgspecError:
            fault = None
        if unauthorized is not None and response.status_code == 401 and fault is not None:
            return unauthorized(f"{name} answered 401: {unauthorized.advice}")
        return failure(response, fault, name=name, codes=codes)

    return failed


def failure(
    response: httpx.Response,
    fault: Fault | None,
    *,
    name: str,
    codes: Mapping[str, type[ProviderError]],
) -> ProviderError:
    """Return what a status of 300 or more means.

    Args:
        response: its body is not repeated: it may hold what was sent.
        fault: what the body says; None where this is not the provider's API speaking, e.g. a proxy's page:
            then nobody is asked to authorize again.
        name: the provider's, for people.
        codes: what the provider's codes mean where that is more than their status says.
    """
    status, wait = response.status_code, retry_after_seconds(response.headers.get("retry-after"))
    if status == 429:
        return RateLimited(f"{name} asked to slow down", retry_after_s=wait)
    broken = status >= 500 and status != _NEVER_PASSING
    if fault is None or broken or status in _PASSING:
        return ProviderUnavailable(f"{name} answered {status}", retry_after_s=wait)
    said = f"{name} answered {status} {fault.code}".rstrip()
    kind = codes.get(fault.code) or _kind(status)
    if kind.advice:
        return kind(f"{said}: {kind.advice}")
    return kind(f"{said} for {fault.field}" if fault.field else said)


def _kind(status: int) -> type[ProviderError]:
    if status in (401, 403):
        return AuthError
    return Gone if status == 404 else ProviderRefused
