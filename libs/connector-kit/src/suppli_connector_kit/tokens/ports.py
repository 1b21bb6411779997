"""What the token keeper needs of the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from suppli_service_kit.vault import Secret


class SecretStore(Protocol):
    """Vault, as far as tokens need it."""

    async def read(self, path: str) -> Secret | None:
        """Return the newest version, None where there is none."""
        ...

    async def write(self, path: str, data: dict[str, Any], *, cas: int | None) -> int:
        """Write a version where the current one is `cas`; raises `VaultConflict`."""
        ...

    async def version(self, path: str) -> int:
        """Return the number of the newest version, destroyed or not; 0 where there never was one."""
        ...

    async def destroy(self, path: str, *, cas: int | None = None) -> None:
        """Destroy the content of all versions where `cas` is the newest; their numbers go on. Raises
        `VaultConflict`.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Whose tokens: a tenant's connection."""

    tenant_id: UUID
    connection_id: UUID


class TokenBook(Protocol):
    """Where it is noted, without any token, when a connection's refresh is due; and who is told of its
    end.
    """

    async def noted(
        self, key: AccountKey, *, expires_at: datetime | None, refresh_at: datetime | None
    ) -> None:
        """Note when the access token ends and when it is due."""
        ...

    async def reauth(self, key: AccountKey, *, reason: str, works_until: datetime | None, cause: str) -> None:
        """Say that a person must authorize again; the same `cause` is said once."""
        ...


@dataclass(frozen=True, slots=True)
class KeeperTimes:
    """How long a refresh may take (seconds), the writing of its result included in `write`."""

    call: float = 15.0
    write: float = 30.0
