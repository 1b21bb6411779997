"""One-time states: what ties a provider's redirect back to the tenant, person and browser that started it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_gateway.tables import oauth_states

MAX_STATE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Ticket:
    """The two secrets of one redirect: `state` travels through the provider, `session` stays in the
    browser.
    """

    state: str
    session: str

    @property
    def cookie(self) -> str:
        """Name of the session's cookie: one for each state, so that two tabs do not disturb each other."""
        return cookie_name(self.state)


def new_ticket() -> Ticket:
    """Return fresh secrets of 256 bits each."""
    return Ticket(secrets.token_urlsafe(32), secrets.token_urlsafe(32))


def cookie_name(state: str) -> str:
    """Return the name of the cookie that belongs to a state."""
    return f"suppli-oauth-{digest(state).hex()[:16]}"


def digest(secret: str) -> bytes:
    """Return what is stored in place of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """What is known of a state.

    Attributes:
        subject: who started it.
        connection_id: what is to be authorized.
        exchange_id: whose secret the exchange writes first: another id than the connection's where that one
        works
            already, so that a wrong account never overwrites it.
        used_at: since when it is spent; `outcome` says how.
    """

    state_hash: bytes
    session_hash: bytes
    tenant_id: UUID
    subject: str
    connection_id: UUID
    exchange_id: UUID
    provider: str
    environment: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    outcome: str | None = None

    def same_session(self, session: str | None) -> bool:
        """Whether the browser is the one that started it."""
        return session is not None and hmac.compare_digest(self.session_hash, digest(session))


def new_record(
    ticket: Ticket,
    *,
    tenant_id: UUID,
    subject: str,
    connection_id: UUID,
    exchange_id: UUID,
    provider: str,
    environment: str,
    now: datetime,
    life: timedelta,
) -> StateRecord:
    """Return the record of a fresh ticket."""
    return StateRecord(
        state_hash=digest(ticket.state),
        session_hash=digest(ticket.session),
        tenant_id=tenant_id,
        subject=subject,
        connection_id=connection_id,
        exchange_id=exchange_id,
        provider=provider,
        environment=environment,
        created_at=now,
        expires_at=now + life,
    )


_UNLOCK = sa.text("select set_config('app.oauth_state', :hash, true)")


async def add(transaction: AsyncConnection, record: StateRecord) -> None:
    """Write a record."""
    values = {name: getattr(record, name) for name in StateRecord.__dataclass_fields__}
    await transaction.execute(sa.insert(oauth_states).values(**values))


async def find(transaction: AsyncConnection, state: str) -> StateRecord | None:
    """Return the record of a state that somebody holds, whosever it is; in a transaction of no tenant."""
    state_hash = digest(state)
    await transaction.execute(_UNLOCK, {"hash": state_hash.hex()})
    return await _one(transaction, sa.select(oauth_states).where(oauth_states.c.state_hash == state_hash))


async def spend(transaction: AsyncConnection, record: StateRecord, *, outcome: str, now: datetime) -> bool:
    """Mark a state as used, in a transaction of its tenant; False where it was already."""
    done = await transaction.execute(
        sa.update(oauth_states)
        .where(oauth_states.c.state_hash == record.state_hash, oauth_states.c.used_at.is_(None))
        .values(used_at=now, outcome=outcome)
    )
    return done.rowcount == 1


async def _one(transaction: AsyncConnection, query: sa.Select[Any]) -> StateRecord | None:
    row: Mapping[str, Any] | None = (await transaction.execute(query)).mappings().one_or_none()
    return None if row is None else StateRecord(**row)
