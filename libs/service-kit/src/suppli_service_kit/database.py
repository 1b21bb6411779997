"""The service's database: short transactions as exactly the tenants they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from suppli_service_kit.migrations import migrate as migrate
from suppli_service_kit.schema import (
    app_grants as app_grants,
)
from suppli_service_kit.schema import (
    inbox_table as inbox_table,
)
from suppli_service_kit.schema import (
    outbox_holding as outbox_holding,
)
from suppli_service_kit.schema import (
    outbox_tables as outbox_tables,
)
from suppli_service_kit.schema import (
    service_roles as service_roles,
)
from suppli_service_kit.schema import (
    tenant_isolation as tenant_isolation,
)
from suppli_service_kit.settings import ServiceSettings
from suppli_service_kit.urls import sqlalchemy_url

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60  # a statement that takes longer is cancelled by the server
IDLE_SECONDS = 120  # a transaction that does nothing for so long is ended by the server
POOL_WAIT_SECONDS = 10  # how long a task waits for a free connection before it fails

KEYED_PLANS = " ".join(f"-c enable_{way}=off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"))
"""A service looks up rows by keys, some hundred at once. A plan is kept with its statement, and one made
while a table was small or had no statistics reads all of it, or all of a tenant, for each batch of a
backfill. What can't be done otherwise is still done: these ways count as dear, not as forbidden."""

_SET_TENANTS = sa.text("select set_config('app.tenants', :tenants, true)")


class Database:
    """A small pool of connections with the application's role."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def transaction(self, tenants: Iterable[UUID] = ()) -> AsyncIterator[AsyncConnection]:
        """Run one transaction: committed when the block ends, rolled back when it raises.

        Args:
            tenants: whose rows the transaction may see and write. The setting is local to the transaction:
                the next user of the pooled connection starts with none. With none only tables without a
                policy are visible.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is away or refuses; the transaction is rolled back.
        """
        async with self.engine.connect() as connection, connection.begin():
            array = ",".join(str(UUID(str(tenant))) for tenant in tenants)
            if array:
                await connection.execute(_SET_TENANTS, {"tenants": f"{{{array}}}"})
            yield connection

    async def ping(self) -> None:
        """Ask the database for an answer; raises when there is none."""
        async with self.engine.connect() as connection:
            await connection.execute(sa.text("select 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def open_database(settings: ServiceSettings) -> Database:
    """Return the service's database; connects when first used.

    Raises:
        MissingSetting: the database URL is not set.
    """
    return database_at(settings.database_dsn(), pool=settings.database_pool, name=settings_name(settings))


def settings_name(settings: ServiceSettings) -> str:
    """Return what the database's own lists call this process."""
    return settings.instance_id or str(settings.model_config.get("env_prefix", "suppli")).lower().strip("_")


def database_at(url: str, *, pool: int = 5, name: str = "suppli") -> Database:
    """Return the database at `url` (any PostgreSQL URL); connects when first used."""
    engine = create_async_engine(
        sqlalchemy_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,  # a restarted server is noticed before a transaction starts
        hide_parameters=True,  # values of rows belong in no log
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": name,
            "options": f"-c statement_timeout={STATEMENT_SECONDS}s"
            f" -c idle_in_transaction_session_timeout={IDLE_SECONDS}s {KEYED_PLANS}",
        },
    )
    return Database(engine)
