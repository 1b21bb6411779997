"""Files, what was read in them, and which orders of a till are held; beside the kit's own tables."""

from alembic import op
from suppli_service_kit.database import app_grants, service_roles, tenant_isolation

revision = "upload_0001"
down_revision = None
depends_on = "0001"

TENANT_TABLES = {
    "uploads": """
        upload_id uuid primary key,
        tenant_id uuid not null,
        created_at timestamptz not null,
        created_by text not null,
        request_hash bytea,
        file_name text not null,
        size bigint not null default 0,
        sha256 bytea,
        chunk_bytes integer not null,
        chunks integer not null default 0,
        keep_until timestamptz not null,
        file_deleted_at timestamptz,
        state text not null,
        problem bytea,
        looking_until timestamptz not null default '-infinity',
        look_revision integer not null default 0,
        detected bytea,
        answers bytea,
        plan bytea,
        look bytea,
        till bytea,
        connection_id uuid,
        adding boolean not null default false,
        version_us bigint,
        undo_us bigint,
        run_id uuid,
        sales_done bigint not null default 0,
        reach bigint not null default 0,
        ending boolean not null default false,
        settled boolean not null default true,
        counts bytea,
        finished_at timestamptz
    """,
    "upload_chunks": """
        upload_id uuid not null,
        number integer not null,
        tenant_id uuid not null,
        packed bytea not null,
        primary key (upload_id, number)
    """,
    "upload_errors": """
        upload_id uuid not null,
        number integer not null,
        tenant_id uuid not null,
        line bigint not null,
        column_name text not null,
        value text not null,
        reason text not null,
        primary key (upload_id, number)
    """,
    "layouts": """
        tenant_id uuid not null,
        shape text not null,
        plan bytea not null,
        used_at timestamptz not null,
        primary key (tenant_id, shape)
    """,
    "held_orders": """
        connection_id uuid not null,
        order_id text not null,
        tenant_id uuid not null,
        upload_id uuid not null,
        content_hash text not null,
        source_version bigint not null,
        location_id text not null,
        currency text not null,
        business_date date not null,
        lines integer not null,
        quantity numeric not null,
        net bigint not null,
        gone boolean not null default false,
        primary key (connection_id, order_id)
    """,
}

# Ids and times only, read across tenants by the role that tidies up; so no policy.
OPEN_TABLES = {
    "upload_times": """
        upload_id uuid primary key,
        tenant_id uuid not null,
        tidy_at timestamptz not null
    """,
}

OTHERS = (
    "create index uploads_newest on uploads (tenant_id, upload_id desc)",
    "create index uploads_connection on uploads (connection_id) where connection_id is not null",
    "create unique index uploads_request on uploads (tenant_id, request_hash) where request_hash is not null",
    "create index held_orders_days on held_orders (connection_id, business_date)",
    "create index upload_times_due on upload_times (tidy_at)",
    # packed before they come: packing them again costs time and saves nothing
    "alter table upload_chunks alter column packed set storage external",
    "alter table held_orders set (fillfactor = 85)",
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
        op.execute(f"grant select on {table} to {roles.relay}")
    for statement in (*OTHERS, *app_grants(roles.app, *TENANT_TABLES, *OPEN_TABLES)):
        op.execute(statement)
