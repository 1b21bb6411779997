"""Connections, runs, the due queue and the outbox.

Revision ID: 0001
Revises:
"""

from alembic import op
from suppli_service_kit.database import app_grants, outbox_tables, service_roles, tenant_isolation

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CONNECTIONS = """
create table connections (
    connection_id uuid primary key,
    tenant_id uuid not null,
    provider text not null,
    revision bigint not null,
    state text not null,
    changed_at timestamptz not null,
    schedule jsonb not null,
    start_date date,
    deleted boolean not null default false,
    blocked_revision bigint,
    planned_at timestamptz,
    sweep_at timestamptz,
    said_due_at timestamptz,
    said_revision bigint not null default 0
)
"""

RUNS = """
create table runs (
    run_id uuid primary key,
    connection_id uuid not null references connections on delete cascade,
    tenant_id uuid not null,
    provider text not null,
    kind text not null,
    state text not null,
    attempt integer not null check (attempt >= 1),
    sequence bigint not null check (sequence >= 0),
    settings_revision bigint not null,
    follow_up boolean not null,
    requested_at timestamptz not null,
    commanded_at timestamptz,
    next_attempt_at timestamptz,
    cancel_requested_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    error jsonb
)
"""

# Ids and instants only: it has no tenant policy, so that one look finds what is due of all tenants.
DUE = """
create table due (
    kind text not null check (kind in ('sync', 'sweep', 'run')),
    id uuid not null,
    connection_id uuid not null,
    tenant_id uuid not null,
    due_at timestamptz not null,
    primary key (kind, id)
)
"""


def upgrade() -> None:
    roles = service_roles(op.get_bind())
    for statement in (
        CONNECTIONS,
        RUNS,
        "create unique index runs_one_active on runs (connection_id)"
        " where state in ('queued', 'running') and not follow_up",
        "create unique index runs_one_follow_up on runs (connection_id)"
        " where state in ('queued', 'running') and follow_up",
        "create index runs_by_connection on runs (connection_id, requested_at)",
        DUE,
        "create index due_at on due (due_at)",
        "create index due_by_connection on due (connection_id)",
        *tenant_isolation("connections"),
        *tenant_isolation("runs"),
        *app_grants(roles.app, "connections", "runs", "due"),
        f"grant select on due to {roles.relay}",
        *outbox_tables(roles.relay, roles.app),
    ):
        op.execute(statement)
