"""Looking into the services' real databases as each of their roles, and at copies of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from suppli_demo.system import CONNECTORS, SERVICES, Part, System
from suppli_embedded.postgres import PostgresServer, ServiceDatabase
from suppli_service_kit.migrations import migrate

PARTS = {part.name: part for part in SERVICES}

OPEN = {
    "gateway": {"due"},
    "sync-scheduler": {"due"},
    "mapping": {"restatement_queue", "heard_runs", "dirty_days", "day_rounds"},
    **{part.name: {"sync_queue", "connection_times"} for part in CONNECTORS},
    "connector-upload": {"sync_queue", "connection_times", "upload_times"},
}
"""What names tenants without a policy: queues of ids and times, so that work is found for any tenant."""


def connect(url: str) -> Connection[tuple[Any, ...]]:
    """Connect as the role that `url` names."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def database_of(system: System, service: str) -> ServiceDatabase:
    """Return a service's database."""
    return system.runtime.postgres.create_service_database(service.replace("-", "_"))


def tenant_tables(postgres: PostgresServer, database: str) -> set[str]:
    """Return every table that has a column `tenant_id`."""
    query = "select table_name from information_schema.columns where column_name = 'tenant_id'"
    with postgres.connect(database) as connection:
        return {str(name) for (name,) in connection.execute(query).fetchall()}


def visible(url: str, tables: set[str], *, act_for: UUID | None, whose: UUID) -> dict[str, int]:
    """Return how many rows of `whose` a role sees in each table while it acts for `act_for`."""
    found: dict[str, int] = {}
    with connect(url) as connection:
        if act_for is not None:
            connection.execute("select set_config('app.tenants', %s, false)", [f"{{{act_for}}}"])
        for table in sorted(tables):
            query = sql.SQL("select count(*) from {} where tenant_id = %s").format(sql.Identifier(table))
            row = connection.execute(query, [whose]).fetchone()
            if row and row[0]:
                found[table] = row[0]
    return found


def held(postgres: PostgresServer, database: str, tables: set[str], whose: UUID) -> set[str]:
    """Return the tables in which a tenant has rows, as the superuser sees them."""
    found = set()
    with postgres.connect(database) as connection:
        for table in tables:
            query = sql.SQL("select 1 from {} where tenant_id = %s limit 1").format(sql.Identifier(table))
            if connection.execute(query, [whose]).fetchone():
                found.add(table)
    return found


@contextmanager
def copied(system: System, service: str) -> Iterator[ServiceDatabase]:
    """Give a copy of a service's database with roles of its own: made by the same migrations, same rows."""
    postgres, part = system.runtime.postgres, PARTS[service]
    name = f"copy_of_{service.replace('-', '_')}"
    copy = postgres.create_service_database(name)
    try:
        asyncio.run(migrate(part.migrations, copy.owner_url))
        _copy_rows(postgres, part, copy)
        yield copy
    finally:
        postgres.drop_service_database(name)


def _copy_rows(postgres: PostgresServer, part: Part, copy: ServiceDatabase) -> None:
    source = f"suppli_{part.name.replace('-', '_')}"
    with postgres.connect(source) as old, postgres.connect(copy.name) as new:
        new.execute("set session_replication_role = replica")  # no order among tables
        for table in sorted(tenant_tables(postgres, source)):
            columns = sql.SQL(", ").join(
                sql.Identifier(name)
                for (name,) in old.execute(
                    "select column_name from information_schema.columns"
                    " where table_name = %s and is_generated = 'NEVER' order by ordinal_position",
                    [table],
                ).fetchall()
            )
            place = sql.SQL("{} ({})").format(sql.Identifier(table), columns)
            with (
                old.cursor().copy(sql.SQL("copy {} to stdout").format(place)) as rows,
                new.cursor().copy(sql.SQL("copy {} from stdin").format(place)) as target,
            ):
                for row in rows:
                    target.write(row)
