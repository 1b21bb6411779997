"""Service keys in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_gateway.auth.tokens import Role
from suppli_gateway.service_keys.domain import MOST_KEYS, USE_NOTED_EVERY, ServiceKey
from suppli_gateway.tables import service_keys

_UNLOCK = sa.text("select set_config('app.service_key', :hash, true)")


async def held(transaction: AsyncConnection, secret_hash: bytes) -> ServiceKey | None:
    """Return the key that somebody holds, whosever it is; in a transaction of no tenant."""
    await transaction.execute(_UNLOCK, {"hash": secret_hash.hex()})
    return await _one(transaction, service_keys.c.secret_hash == secret_hash)


async def note_use(transaction: AsyncConnection, key_id: UUID, now: datetime) -> None:
    """Write when the key was used, in a transaction of its tenant."""
    last = service_keys.c.last_used_at
    await transaction.execute(
        sa.update(service_keys)
        .where(service_keys.c.key_id == key_id, sa.or_(last.is_(None), last <= now - USE_NOTED_EVERY))
        .values(last_used_at=now)
    )


async def find(transaction: AsyncConnection, key_id: UUID) -> ServiceKey | None:
    """Return one of the tenant's keys, locked."""
    return await _one(transaction, service_keys.c.key_id == key_id, lock=True)


async def page(transaction: AsyncConnection, *, after: UUID | None, limit: int) -> list[ServiceKey]:
    """Return at most `limit` of the tenant's keys with ids above `after`, oldest first."""
    query = sa.select(service_keys).order_by(service_keys.c.key_id).limit(limit)
    if after is not None:
        query = query.where(service_keys.c.key_id > after)
    return [_key(row) for row in (await transaction.execute(query)).mappings()]


async def has_room(transaction: AsyncConnection, now: datetime) -> bool:
    """Return whether the tenant may have one more."""
    usable = sa.and_(
        service_keys.c.revoked_at.is_(None),
        sa.or_(service_keys.c.expires_at.is_(None), service_keys.c.expires_at > now),
    )
    count = await transaction.scalar(sa.select(sa.func.count()).select_from(service_keys).where(usable))
    return int(count or 0) < MOST_KEYS


async def add(transaction: AsyncConnection, key: ServiceKey) -> None:
    """Write a new key."""
    await transaction.execute(sa.insert(service_keys).values(**_values(key)))


async def save(transaction: AsyncConnection, key: ServiceKey) -> None:
    """Write a changed key."""
    await transaction.execute(
        sa.update(service_keys).where(service_keys.c.key_id == key.key_id).values(**_values(key))
    )


async def _one(
    transaction: AsyncConnection, condition: sa.ColumnElement[bool], *, lock: bool = False
) -> ServiceKey | None:
    query = sa.select(service_keys).where(condition)
    rows = await transaction.execute(query.with_for_update() if lock else query)
    row = rows.mappings().one_or_none()
    return None if row is None else _key(row)


def _key(row: sa.RowMapping) -> ServiceKey:
    return ServiceKey(**{**dict(row), "role": Role[row["role"].upper()]})


def _values(key: ServiceKey) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in ServiceKey.__dataclass_fields__}
    return {**values, "role": key.role.name.lower()}
