"""What the tour asks of a system, and one that somebody else has started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

import httpx
from suppli_sandbox.client import SandboxControl
from suppli_sandbox.clover.client import CloverControl

WEEK_S = 7 * 24 * 3600


class Deployment(Protocol):
    """A running system with a sandbox beside it."""

    @property
    def folder(self) -> Path:
        """Where the tour may leave files."""

    @property
    def gateway_url(self) -> str:
        """Where the public API is."""

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""

    @property
    def control(self) -> SandboxControl:
        """The local Square's control."""

    @property
    def clover(self) -> CloverControl:
        """The local Clover's control."""

    def token(self, *, subject: str, tenants: Sequence[UUID], role: str) -> str:
        """Return a signed-in person's token."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A system that runs already, in containers for instance, known by its addresses."""

    folder: Path
    gateway_url: str
    bootstrap_servers: str
    issuer_url: str
    control: SandboxControl
    clover: CloverControl

    def token(self, *, subject: str, tenants: Sequence[UUID], role: str) -> str:
        """Return a signed-in person's token, from the development identity provider."""
        return signed_in(self.issuer_url, subject=subject, tenants=tenants, role=role)


def signed_in(
    issuer_url: str, *, subject: str, tenants: Sequence[UUID], role: str, ttl_s: int = WEEK_S
) -> str:
    """Return a token that the development identity provider signs, good for `ttl_s` seconds."""
    body = {"sub": subject, "tenants": [str(tenant) for tenant in tenants], "role": role, "ttl_s": ttl_s}
    answer = httpx.post(f"{issuer_url}/_control/token", json=body, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["token"])
