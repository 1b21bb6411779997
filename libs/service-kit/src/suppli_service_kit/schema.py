"""SQL that migrations share: tenant isolation, outbox and inbox tables, and what each role may do.

Three roles by convention: `<name>_owner` runs migrations and owns the tables, `<name>_app` is the service,
`<name>_relay` reads the outbox and nothing else. None has BYPASSRLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa

OUTBOX_CHANNEL = "suppli_outbox"
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Roles:
    """The three database roles of a service."""

    owner: str
    app: str
    relay: str


def service_roles(connection: sa.Connection) -> Roles:
    """Return the roles that belong to the owner who is connected; in a migration:
    `service_roles(op.get_bind())`.

    Raises:
        ValueError: the connected role is not named `<name>_owner`.
    """
    owner = str(connection.scalar(sa.text("select current_user")))
    base, found, _ = owner.rpartition("_owner")
    if not found:
        raise ValueError(f"migrations run as a role named <name>_owner, not {owner}")
    return Roles(owner, _name(f"{base}_app"), _name(f"{base}_relay"))


def tenant_isolation(table: str) -> list[str]:
    """Return the SQL that keeps tenants apart in a table with a `tenant_id uuid` column.

    Rows are seen and written only for the tenants of `Database.transaction(tenants=...)`; with none, no row.
    Forced: it holds for the owner too, so a migration that moves data sets `app.tenants` or works table-wide
        before.
    """
    _name(table)
    allowed = "tenant_id = any ((select nullif(current_setting('app.tenants', true), ''))::uuid[])"
    return [
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"create policy tenant_isolation on {table} using ({allowed}) with check ({allowed})",
    ]


def app_grants(app_role: str, *tables: str, rights: str = "select, insert, update, delete") -> list[str]:
    """Return the SQL that lets the service's role use its tables."""
    return [f"grant {rights} on {_name(table)} to {_name(app_role)}" for table in tables]


def outbox_tables(relay_role: str, app_role: str | None = None) -> list[str]:
    """Return the SQL of the outbox: the service only inserts, the relay's role reads and deletes.

    Args:
        relay_role: e.g. `suppli_mapping_relay`.
        app_role: by default the relay's name with `_app` for `_relay`.
    """
    app = _name(app_role or f"{relay_role.removesuffix('_relay')}_app")
    return [
        """
        create table outbox (
            id bigint generated always as identity primary key,
            created_at timestamptz not null default now(),
            message_count integer not null check (message_count > 0),
            messages bytea not null
        )
        """,
        # Emptied all the time: vacuum early, or reading the head walks over dead rows.
        "alter table outbox set (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000)",
        "alter table outbox alter column messages set storage external",
        f"revoke all on outbox from {app}",
        f"grant insert on outbox to {app}",
        f"grant select, update, delete on outbox to {_name(relay_role)}",
    ]


def outbox_holding(app_role: str) -> list[str]:
    """Return the SQL by which rows of the outbox may be held for the process that wrote them (`direct`).

    The service learns the ids of its rows, and nothing else of the outbox.
    """
    return [
        "alter table outbox add column held_until timestamptz",
        *app_grants(app_role, "outbox", rights="select (id)"),
    ]


def inbox_table(app_role: str | None = None) -> list[str]:
    """Return the SQL of the inbox: which events a consumer of this database has seen. Holds ids only, no
    tenant.
    """
    statements = [
        """
        create table inbox (
            consumer text not null,
            event_id text not null,
            seen_at timestamptz not null default now(),
            primary key (consumer, event_id)
        )
        """,
        "create index inbox_seen_at on inbox (seen_at)",
    ]
    if app_role is not None:
        statements += app_grants(app_role, "inbox", rights="select, insert, delete")
    return statements


def _name(identifier: str) -> str:
    if _IDENTIFIER.fullmatch(identifier) is None:
        raise ValueError(f"{identifier!r} is no plain lower-case SQL identifier")
    return identifier
