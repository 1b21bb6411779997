"""Service keys as the public API takes and says them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

RoleName = Literal["viewer", "operator", "admin"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]

KEY_EXAMPLE: Any = {
    "id": "01980a4f-0c1d-7a52-9f3e-2b7c4d5e6f70",
    "name": "Nightly stock report",
    "role": "viewer",
    "prefix": "suppli_sk_3f9a2c1d",
    "state": "active",
    "created_at": "2026-03-02T06:00:00Z",
    "created_by": "ada@example.com",
    "expires_at": "2027-03-02T00:00:00Z",
    "last_used_at": "2026-03-03T04:00:00Z",
    "revoked_at": None,
    "revoked_by": None,
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [value]})


class NewServiceKey(BaseModel):
    """What the key is for, and what it may do."""

    model_config = _example(
        {"name": "Nightly stock report", "role": "viewer", "expires_at": "2027-03-02T00:00:00Z"}
    )

    name: Name = Field(description="By which people know it again.")
    role: RoleName
    expires_at: datetime | None = Field(
        None, description="From then on it is refused, with its time zone; left out = only when revoked."
    )


class ServiceKeyView(BaseModel):
    """A service key, without its secret."""

    model_config = _example(KEY_EXAMPLE)

    id: UUID
    name: str
    role: RoleName
    prefix: str = Field(description="How the key begins.")
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(None, description="To the minute.")
    revoked_at: datetime | None = None
    revoked_by: str | None = None


class CreatedServiceKey(BaseModel):
    """A new key. Only this answer ever has its secret."""

    model_config = _example(
        {"service_key": {**KEY_EXAMPLE, "last_used_at": None}, "key": "suppli_sk_3f9a2c1d_..."}
    )

    service_key: ServiceKeyView
    key: str | None = Field(
        description="The key, to be sent as bearer token. It is not kept: null where this answer is given"
        " again for an `Idempotency-Key`; revoke the key and make another."
    )


class ServiceKeyPage(BaseModel):
    """Service keys, oldest first."""

    model_config = _example({"items": [KEY_EXAMPLE], "next_cursor": None})

    items: list[ServiceKeyView]
    next_cursor: str | None = None
