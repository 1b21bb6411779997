"""When a connection's tokens are due: ids and times across tenants, never a token (port `TokenBook`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from suppli_contracts.internal import Account
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.outbox import enqueue

from suppli_connector_kit.adapters.says import reauth_message
from suppli_connector_kit.tokens.keeper import AccountKey
from suppli_connector_kit.tokens.secret import StoredTokens

_NOTED = sa.text("""
    insert into connection_times (connection_id, tenant_id, token_expires_at, refresh_at)
    values (:connection, :tenant, :expires, :refresh)
    on conflict (connection_id) do update
    set token_expires_at = excluded.token_expires_at, refresh_at = excluded.refresh_at
""")
_AUTHORIZED = sa.text("""
    update connection_times
    set revoke_at = null, revoke_until = null, token_expires_at = :expires, refresh_at = :refresh
    where connection_id = :connection and (revoke_at is null or revoke_at < :at)
""")
# A provider withdraws our access to an account, whatever tokens we name. So no withdrawal begins while the
# tenant's people authorize something, and no authorization while one is asked for (see `ExchangeBook.claim`).
_BEGIN = sa.text("""
    update connection_times
    set asking_until = clock_timestamp() + make_interval(secs => :seconds),
        held_until = greatest(held_until, clock_timestamp() + make_interval(secs => :seconds))
    where connection_id = :connection and revoke_at = :at and not exists (
        select 1 from exchanges where account is null and claimed_until > clock_timestamp()
    )
    returning connection_id
""")
_END = sa.text("update connection_times set asking_until = null where connection_id = :connection")
_EXCHANGED = sa.text("""
    select connection_id, account from exchanges where connection_id <> :connection and account is not null
""")
_REVOKE = sa.text("""
    insert into connection_times (connection_id, tenant_id, revoke_at, revoke_until)
    values (:connection, :tenant, cast(:at as timestamptz), cast(:until as timestamptz))
    on conflict (connection_id) do update
    set revoke_at = excluded.revoke_at, revoke_until = excluded.revoke_until, refresh_at = null
""")
_REVOKED = sa.text("""
    update connection_times
    set revoke_at = null, revoke_until = null, refresh_at = null, token_expires_at = null
    where connection_id = :connection and (cast(:at as timestamptz) is null or revoke_at = :at)
""")
_CLAIM = """
    with picked as (
        select connection_id from connection_times
        where {due} <= :now and held_until <= clock_timestamp()
        order by {due} limit :most for update skip locked
    )
    update connection_times as c set held_until = clock_timestamp() + make_interval(secs => :hold)
    from picked where c.connection_id = picked.connection_id
    returning c.tenant_id, c.connection_id, c.revoke_at, c.revoke_until
"""
_REFRESHES, _REVOCATIONS = (sa.text(_CLAIM.format(due=column)) for column in ("refresh_at", "revoke_at"))
_LATER = sa.text("""
    update connection_times set held_until = clock_timestamp() + make_interval(secs => :wait)
    where connection_id = :connection
""")
_FIGURES = sa.text("""
    select extract(epoch from max(cast(:now as timestamptz) - coalesce(covered_until, due_since))
            filter (where fresh_within is not null)),
        count(*) filter (where greatest(covered_until, due_since) < cast(:now as timestamptz) - fresh_within),
        count(*) filter (where refresh_at < cast(:now as timestamptz)
            and token_expires_at < cast(:now as timestamptz) + interval '1 day')
    from connection_times where active
""")
# Since it is due: after a pause nobody is behind before the first sync could end.
_BEHIND = sa.text("""
    select connection_id from connection_times
    where active and greatest(covered_until, due_since) < cast(:now as timestamptz) - fresh_within
    order by greatest(covered_until, due_since) limit :most
""")
ONE_AT_A_TIME = sa.text(
    "select pg_advisory_xact_lock(hashtextextended('authorize or withdraw ' || cast(:tenant as text), 0))"
)
"""Serialises, for a tenant, the beginnings of authorizations and of withdrawals."""
CLAIM_HOLD_SECONDS = 60.0
GIVE_UP_AFTER = timedelta(days=1)
"""How long a revocation is tried; after it the tokens are destroyed, asked for or not."""
MOST = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What the metrics say of all connections: seconds behind at most, number stale, number near expiry.

    Attributes:
        behind: the stale ones that are furthest behind, for the log.
    """

    oldest_seconds: float
    stale: int
    near_expiry: int
    behind: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A connection whose tokens want something done.

    Attributes:
        asked_at: when the revocation was asked for.
        until: when it is given up.
    """

    key: AccountKey
    asked_at: datetime | None = None
    until: datetime | None = None

    def asked_before(self, at: datetime) -> bool:
        """Return whether the revocation was asked for before `at`: then a later authorization stands."""
        return self.asked_at is not None and self.asked_at < at


class TokenTimes:
    """The due list of refreshes and revocations."""

    def __init__(self, database: Database, queue_database: Database, *, provider: str, clock: Clock) -> None:
        self._database, self._queue = database, queue_database
        self._provider, self._clock = provider, clock

    async def noted(
        self, key: AccountKey, *, expires_at: datetime | None, refresh_at: datetime | None
    ) -> None:
        """Note when the access token ends and when it is due."""
        await self._write(key, _NOTED, expires=expires_at, refresh=refresh_at)

    async def authorized(self, key: AccountKey, stored: StoredTokens) -> None:
        """Forget a revocation that was asked for before the account was authorized anew with `stored`."""
        times = {"expires": stored.tokens.expires_at, "refresh": stored.refresh_at()}
        await self._write(key, _AUTHORIZED, at=stored.authorized(), **times)

    async def begin_withdrawal(self, due: Due, seconds: float) -> bool:
        """Return whether the provider may be asked to withdraw our access now, within so many seconds.

        Not while an authorization of the tenant is under way, nor where the revocation is no longer wanted.
        """
        ids = {"connection": due.key.connection_id}
        async with self._database.transaction([due.key.tenant_id]) as connection:
            await connection.execute(ONE_AT_A_TIME, {"tenant": str(due.key.tenant_id)})
            values = ids | {"at": due.asked_at, "seconds": seconds}
            return (await connection.execute(_BEGIN, values)).first() is not None

    async def end_withdrawal(self, key: AccountKey) -> None:
        """Note that the provider is not being asked any more: the account may be authorized again."""
        await self._write(key, _END)

    async def sharing(self, key: AccountKey, account_id: str, environment: str) -> Sequence[AccountKey]:
        """Return the tenant's other connections that somebody authorized for the same account."""
        async with self._database.transaction([key.tenant_id]) as connection:
            rows = (await connection.execute(_EXCHANGED, {"connection": key.connection_id})).all()
        found = {row.connection_id: msgspec.json.decode(row.account, type=Account) for row in rows}
        return [
            AccountKey(key.tenant_id, other)
            for other, account in found.items()
            if (account.account_id, account.environment) == (account_id, environment)
        ]

    async def revoke(self, key: AccountKey, *, at: datetime, until: datetime) -> None:
        """Note that our access is to be withdrawn, tried from `at` on and given up at `until`."""
        await self._write(key, _REVOKE, at=at, until=until)

    async def revoked(self, key: AccountKey, *, asked_at: datetime | None = None) -> None:
        """Note that nothing of the account's tokens is left.

        Args:
            key: whose.
            asked_at: only while the revocation that was asked for then stands.
        """
        await self._write(key, _REVOKED, at=asked_at)

    async def reauth(self, key: AccountKey, *, reason: str, works_until: datetime | None, cause: str) -> None:
        """Say that a person must authorize again."""
        message = reauth_message(
            tenant_id=key.tenant_id,
            connection_id=key.connection_id,
            provider=self._provider,
            reason=reason,
            at=self._clock.now(),
            works_until=works_until,
            cause=cause,
        )
        async with self._database.transaction([key.tenant_id]) as connection:
            await enqueue(connection, [message])

    async def due_refreshes(self) -> Sequence[Due]:
        """Claim connections whose refresh is due, also of paused ones."""
        return await self._claim(_REFRESHES)

    async def due_revocations(self) -> Sequence[Due]:
        """Claim connections whose revocation is due."""
        return await self._claim(_REVOCATIONS)

    async def later(self, key: AccountKey, seconds: float) -> None:
        """Leave a connection alone for so long."""
        await self._write(key, _LATER, wait=seconds)

    async def figures(self) -> Figures:
        """Return what the metrics say of all connections."""
        async with self._queue.transaction() as connection:
            now = {"now": self._clock.now()}
            row = (await connection.execute(_FIGURES, now)).one()
            behind = (await connection.execute(_BEHIND, now | {"most": MOST})).scalars() if row[1] else ()
            return Figures(float(row[0] or 0), int(row[1]), int(row[2]), tuple(behind))

    async def _claim(self, statement: sa.TextClause) -> Sequence[Due]:
        values = {"now": self._clock.now(), "most": MOST, "hold": CLAIM_HOLD_SECONDS}
        async with self._queue.transaction() as connection:
            rows = (await connection.execute(statement, values)).all()
        return [
            Due(AccountKey(row.tenant_id, row.connection_id), row.revoke_at, row.revoke_until) for row in rows
        ]

    async def _write(self, key: AccountKey, statement: sa.TextClause, **values: Any) -> None:
        ids = {"connection": key.connection_id, "tenant": key.tenant_id}
        async with self._database.transaction([key.tenant_id]) as connection:
            await connection.execute(statement, ids | values)
