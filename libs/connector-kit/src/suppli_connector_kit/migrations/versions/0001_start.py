"""Tables of a connector: connections, runs, leases, hashes, coverage, set-aside orders, catalog,
exchanges.
"""

from alembic import op
from suppli_service_kit.database import app_grants, outbox_tables, service_roles, tenant_isolation

revision = "0001"
down_revision = None

TENANT_TABLES = {
    "connections": """
        connection_id uuid primary key,
        tenant_id uuid not null,
        revision bigint not null,
        body bytea not null
    """,
    "erased": """
        connection_id uuid primary key,
        tenant_id uuid not null,
        erased_at timestamptz not null default now()
    """,
    "leases": """
        connection_id uuid primary key,
        tenant_id uuid not null,
        fence bigint not null,
        holder text not null,
        expires_at timestamptz not null,
        finished boolean not null default true
    """,
    "runs": """
        run_id uuid primary key,
        tenant_id uuid not null,
        connection_id uuid not null,
        attempt integer not null,
        state text not null,
        command bytea not null,
        sequence integer not null default 0,
        counts bytea,
        cancel_requested boolean not null default false,
        started_at timestamptz,
        finished_at timestamptz
    """,
    "order_hashes": """
        connection_id uuid not null,
        order_id text not null,
        tenant_id uuid not null,
        content_hash text not null,
        source_version bigint not null,
        location_id text not null,
        currency text not null,
        primary key (connection_id, order_id)
    """,
    "coverage": """
        connection_id uuid not null,
        stream text not null,
        location_id text not null,
        from_us bigint not null,
        to_us bigint not null check (to_us > from_us),
        tenant_id uuid not null,
        primary key (connection_id, stream, location_id, from_us)
    """,
    "set_aside": """
        connection_id uuid not null,
        order_id text not null,
        tenant_id uuid not null,
        location_id text not null,
        reason text not null,
        field_path text,
        normaliser_revision integer not null,
        since timestamptz not null,
        primary key (connection_id, order_id)
    """,
    "catalog_state": """
        connection_id uuid primary key,
        tenant_id uuid not null,
        token text
    """,
    "catalog_items": """
        connection_id uuid not null,
        external_id text not null,
        tenant_id uuid not null,
        content_hash text not null,
        revision bigint not null,
        deleted boolean not null,
        item bytea not null,
        primary key (connection_id, external_id)
    """,
    "exchanges": """
        connection_id uuid not null,
        state_hash text not null,
        tenant_id uuid not null,
        claimed_until timestamptz not null,
        account bytea,
        created_at timestamptz not null default now(),
        primary key (connection_id, state_hash)
    """,
}

# Ids and times only, read across tenants by the role that claims work; so no policy.
OPEN_TABLES = {
    "sync_queue": """
        run_id uuid primary key,
        connection_id uuid not null,
        tenant_id uuid not null,
        priority smallint not null,
        requested_at timestamptz not null,
        not_before timestamptz not null default now(),
        held_until timestamptz not null default '-infinity'
    """,
    "connection_times": """
        connection_id uuid primary key,
        tenant_id uuid not null,
        active boolean not null default false,
        covered_until timestamptz,
        token_expires_at timestamptz,
        refresh_at timestamptz,
        revoke_at timestamptz,
        revoke_until timestamptz,
        held_until timestamptz not null default '-infinity'
    """,
}

INDEXES = (
    "create index runs_connection on runs (connection_id)",
    "create index sync_queue_order on sync_queue (priority, requested_at)",
    "create index sync_queue_connection on sync_queue (connection_id)",
    "create index connection_times_refresh on connection_times (refresh_at) where refresh_at is not null",
    "create index connection_times_revoke on connection_times (revoke_at) where revoke_at is not null",
    # every import rewrites hashes of orders that changed: room on the page keeps that off the index
    "alter table order_hashes set (fillfactor = 85)",
)


def upgrade() -> None:
    """Make the first tables."""
    roles = service_roles(op.get_bind())
    for table, columns in TENANT_TABLES.items():
        op.execute(f"create table {table} ({columns})")
        for statement in tenant_isolation(table):
            op.execute(statement)
    for table, columns in OPEN_TABLES.items():
        op.execute(f"create table {table} ({columns})")
        op.execute(f"grant select, update on {table} to {roles.relay}")
    for statement in (
        *INDEXES,
        *app_grants(roles.app, *TENANT_TABLES, *OPEN_TABLES),
        *outbox_tables(roles.relay, roles.app),
    ):
        op.execute(statement)
