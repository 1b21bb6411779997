"""A service key and what may happen to it: pure.

The key is 256 random bits that are shown once. Only its SHA-256 is stored: so many bits cannot be guessed,
which is what a slow hash protects passwords from, and a slow one would let anybody spend our processor on
nonsense.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from suppli_gateway.auth.tokens import BadToken, Role

PREFIX = "suppli_sk_"
"""How every key begins: people, secret scanners and our own logs know one by it."""
MOST_KEYS = 100
"""Usable keys of one tenant at most."""
USE_NOTED_EVERY = timedelta(minutes=1)
_KEY = re.compile(rf"{PREFIX}[0-9a-f]{{8}}_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKey:
    """A key as it is kept, without its secret.

    Attributes:
        prefix: the key's public beginning, by which its owner tells it from others.
        secret_hash: SHA-256 of the whole key.
        expires_at: from then on it is refused; None = never by itself.
        last_used_at: up to `USE_NOTED_EVERY` behind the truth.
        created_by: subject of the person; `revoked_by` may be a key's, too.
    """

    key_id: UUID
    tenant_id: UUID
    name: str
    role: Role
    prefix: str
    secret_hash: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    @property
    def subject(self) -> str:
        """Who calls, where the key does; written into what it changes."""
        return f"key:{self.key_id}"

    def state(self, now: datetime) -> str:
        """Return `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def check(self, now: datetime) -> None:
        """Raise `BadToken` where the key no longer opens anything."""
        if self.revoked_at is not None:
            raise BadToken("was revoked")
        if self.state(now) == "expired":
            raise BadToken("has expired")

    def use_to_note(self, now: datetime) -> bool:
        """Whether this use is worth a write."""
        return self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY


def new_key(
    *,
    key_id: UUID,
    tenant_id: UUID,
    name: str,
    role: Role,
    expires_at: datetime | None,
    created_by: str,
    now: datetime,
) -> tuple[str, ServiceKey]:
    """Return a fresh secret and the key that is kept of it."""
    prefix = f"{PREFIX}{secrets.token_hex(4)}"
    secret = f"{prefix}_{secrets.token_urlsafe(32)}"
    return secret, ServiceKey(
        key_id=key_id,
        tenant_id=tenant_id,
        name=name,
        role=role,
        prefix=prefix,
        secret_hash=digest(secret),
        created_at=now,
        created_by=created_by,
        expires_at=expires_at,
    )


def digest(secret: str) -> bytes:
    """Return what is kept of a key.

    Raises:
        BadToken: it has not the form of one.
    """
    if not _KEY.fullmatch(secret):
        raise BadToken("is malformed")
    return hashlib.sha256(secret.encode()).digest()


def revoked(key: ServiceKey, *, by: str, now: datetime) -> ServiceKey:
    """Return the key revoked; one that was before stays as it is."""
    return key if key.revoked_at is not None else replace(key, revoked_at=now, revoked_by=by)
