"""Authorizations by their `state`: traded once, answered as often as asked. Holds no token and no code."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from suppli_contracts.internal import Account
from suppli_service_kit.database import Database

from suppli_connector_kit.adapters.token_times import ONE_AT_A_TIME
from suppli_connector_kit.tokens.keeper import AccountKey

_CLAIM = sa.text("""
    insert into exchanges (connection_id, state_hash, tenant_id, claimed_until)
    values (:connection, :state, :tenant, clock_timestamp() + make_interval(secs => :hold))
    on conflict (connection_id, state_hash) do update set claimed_until = excluded.claimed_until
    where exchanges.account is null and exchanges.claimed_until <= clock_timestamp()
    returning state_hash
""")
_WITHDRAWING = sa.text("""
    select 1 from connection_times where tenant_id = :tenant and asking_until > clock_timestamp() limit 1
""")
_KEPT = sa.text("""
    select account from exchanges where connection_id = :connection and state_hash = :state
""")
_KEEP = sa.text("""
    update exchanges set account = :account where connection_id = :connection and state_hash = :state
""")
_LET_GO = sa.text("""
    update exchanges set claimed_until = clock_timestamp()
    where connection_id = :connection and state_hash = :state
""")


class ExchangeBook:
    """One exchange at a time for a `state`; its result, the account, is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: AccountKey, state_hash: str, *, hold: float) -> bool:
        """Return whether the caller is the one to do the exchange, for `hold` seconds.

        Not while a provider is asked to withdraw access that the tenant gave back: it would take the new
        authorization of the same account, too.
        """
        ids = {"connection": key.connection_id, "tenant": key.tenant_id, "state": state_hash, "hold": hold}
        async with self._database.transaction([key.tenant_id]) as connection:
            await connection.execute(ONE_AT_A_TIME, {"tenant": str(key.tenant_id)})
            if (await connection.execute(_WITHDRAWING, {"tenant": key.tenant_id})).first() is not None:
                return False
            return (await connection.execute(_CLAIM, ids)).first() is not None

    async def kept(self, key: AccountKey, state_hash: str) -> Account | None:
        """Return the kept result."""
        rows = await self._run(key, state_hash, _KEPT)
        if not rows or rows[0].account is None:
            return None
        return msgspec.json.decode(rows[0].account, type=Account)

    async def keep(self, key: AccountKey, state_hash: str, account: Account) -> None:
        """Keep the result."""
        await self._run(key, state_hash, _KEEP, account=msgspec.json.encode(account))

    async def let_go(self, key: AccountKey, state_hash: str) -> None:
        """Let somebody else try."""
        await self._run(key, state_hash, _LET_GO)

    async def _run(
        self, key: AccountKey, state_hash: str, statement: sa.TextClause, **values: Any
    ) -> list[Any]:
        ids = {"connection": key.connection_id, "tenant": key.tenant_id, "state": state_hash}
        async with self._database.transaction([key.tenant_id]) as connection:
            result = await connection.execute(statement, ids | values)
            return list(result.all()) if result.returns_rows else []
