"""Connections, read copies, imported catalog, OAuth states, idempotency keys, due work.

Revision ID: 0001
"""

from alembic import op
from suppli_service_kit.schema import app_grants, outbox_tables, service_roles, tenant_isolation

revision = "0001"
down_revision = None

TABLES = """
create table connections (
    connection_id uuid primary key,
    tenant_id uuid not null,
    provider text not null,
    environment text not null,
    state text not null check (state in ('pending', 'connected', 'paused', 'error', 'disconnected')),
    revision bigint not null check (revision > 0),
    account_id text,
    account_name text,
    schedule jsonb not null,
    start_date date,
    started_at timestamptz,
    first_day date,
    locations jsonb not null default '[]',
    reauth_reason text,
    reauth_at timestamptz,
    works_until timestamptz,
    authorized_at timestamptz,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    disconnected_at timestamptz,
    erase boolean not null default false,
    deleted_at timestamptz
);
create index connections_listed on connections (tenant_id, connection_id) where deleted_at is null;
-- One account, one connection. It holds across tenants, as row security hides no row from a unique index:
-- a tenant learns that the account is taken, and nothing else.
create unique index connections_one_account on connections (provider, environment, account_id)
    where deleted_at is null;

create table connection_status (
    connection_id uuid primary key,
    tenant_id uuid not null,
    next_due_at timestamptz,
    next_due_revision bigint not null default -1,
    coverage jsonb not null default '[]',
    coverage_at timestamptz
);

create table connection_errors (
    connection_id uuid not null,
    cause text not null,
    tenant_id uuid not null,
    at timestamptz not null,
    error_class text not null,
    message text not null,
    run_id uuid,
    primary key (connection_id, cause)
);
create index connection_errors_newest on connection_errors (connection_id, at desc);

create table oauth_states (
    state_hash bytea primary key,
    tenant_id uuid not null,
    session_hash bytea not null,
    subject text not null,
    connection_id uuid not null,
    exchange_id uuid not null,
    provider text not null,
    environment text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    outcome text
);

create sequence run_changes;
create table runs (
    run_id uuid primary key,
    tenant_id uuid not null,
    connection_id uuid not null,
    kind text not null,
    state text not null,
    attempt integer not null,
    sequence bigint not null,
    requested_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    next_attempt_at timestamptz,
    updated_at timestamptz not null,
    progress jsonb,
    counts jsonb not null default '{}',
    error jsonb,
    change bigint not null default nextval('run_changes')
);
create index runs_of_connection on runs (connection_id, run_id desc);
create index runs_active on runs (tenant_id) where state in ('queued', 'running');
create index runs_changed on runs (tenant_id, change);

create table item_states (
    item_id uuid primary key,
    tenant_id uuid not null,
    connection_id uuid not null,
    state text not null,
    revision bigint not null
);
create index item_states_unmapped on item_states (connection_id) where state = 'unmapped';

create table products (
    tenant_id uuid not null,
    product_id text not null,
    name text not null,
    sku text,
    barcode text,
    unit text not null,
    revision bigint not null,
    changed_at timestamptz not null,
    primary key (tenant_id, product_id)
);

create table locations (
    tenant_id uuid not null,
    location_id text not null,
    name text not null,
    timezone text,
    restock_unknown boolean not null,
    revision bigint not null,
    changed_at timestamptz not null,
    primary key (tenant_id, location_id)
);

create table idempotency_keys (
    tenant_id uuid not null,
    subject text not null,
    key_hash bytea not null,
    request_hash bytea not null,
    created_at timestamptz not null,
    locked_until timestamptz not null,
    answer bytea,
    primary key (tenant_id, subject, key_hash)
);
create index idempotency_keys_oldest on idempotency_keys (created_at);

-- Ids and times of work that background jobs do for any tenant; read by the relay's role alone, so
-- without a policy.
create table due (
    kind text not null check (kind in ('revoke', 'discard', 'tenant')),
    id uuid not null,
    tenant_id uuid not null,
    due_at timestamptz not null,
    failures integer not null default 0,
    primary key (kind, id)
);
create index due_first on due (due_at)
"""

WITH_TENANT = (
    "connections",
    "connection_status",
    "connection_errors",
    "oauth_states",
    "runs",
    "item_states",
    "products",
    "locations",
    "idempotency_keys",
)

# The provider sends a person back without saying whose state it is: who holds the state may read its one row.
BY_STATE = """
create policy by_state on oauth_states for select using (
    state_hash = decode(nullif(current_setting('app.oauth_state', true), ''), 'hex')
)
"""


def upgrade() -> None:
    roles = service_roles(op.get_bind())
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    for table in WITH_TENANT:
        for statement in tenant_isolation(table):
            op.execute(statement)
    op.execute(BY_STATE)
    for statement in app_grants(roles.app, *WITH_TENANT):
        op.execute(statement)
    op.execute(f"grant usage on sequence run_changes to {roles.app}")
    op.execute(f"revoke all on due from {roles.app}")
    op.execute(f"grant insert on due to {roles.app}")
    op.execute(f"grant select, update, delete on due to {roles.relay}")
    for statement in outbox_tables(roles.relay, roles.app):
        op.execute(statement)
