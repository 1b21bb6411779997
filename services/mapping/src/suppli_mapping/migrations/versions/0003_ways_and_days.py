"""Ways that sales come, what was asked for, and statements of days."""

from alembic import op
from suppli_service_kit.schema import service_roles, tenant_isolation

revision = "0003"
down_revision = "0002"

TABLES = {
    # What a connection's runs have asked its provider for, as they last said.
    "coverages": """
        tenant_id uuid not null,
        connection_id uuid not null,
        at timestamptz not null,
        spans jsonb not null,
        primary key (tenant_id, connection_id)
    """,
    # Dates that a file covers, or no longer does: the newest word.
    "file_days": """
        tenant_id uuid not null,
        connection_id uuid not null,
        location_id text not null,
        business_date date not null,
        at timestamptz not null,
        covered boolean not null,
        primary key (tenant_id, connection_id, location_id, business_date)
    """,
    "day_statements": """
        tenant_id uuid not null,
        location_id text not null,
        business_date date not null,
        revision bigint not null,
        content_hash text not null,
        deleted_at timestamptz,
        primary key (tenant_id, location_id, business_date)
    """,
}

# Ids and times only, so they have no policy; the relay's role finds the tenants.
QUEUES = {
    # What ended runs said, until the sales that they published are in the ledger.
    "heard_runs": """
        id bigint generated always as identity primary key,
        tenant_id uuid not null,
        connection_id uuid not null,
        run_id uuid not null,
        at timestamptz not null,
        coverage jsonb,
        days jsonb not null,
        ends jsonb
    """,
    # Days that changed, a row for each transaction that changed some: adding one waits for nobody.
    "day_marks": """
        id bigint generated always as identity primary key,
        marked_at timestamptz not null default clock_timestamp(),
        marks text not null
    """,
    # The same days, each once. `settled`: the highest outbox row that may speak of it.
    "dirty_days": """
        tenant_id uuid not null,
        location_id text not null,
        business_date date not null,
        first_marked_at timestamptz not null,
        last_marked_at timestamptz not null,
        settled bigint not null,
        again boolean not null default false,
        primary key (tenant_id, location_id, business_date)
    """,
    # When a tenant's recent days are stated again.
    "day_rounds": """
        tenant_id uuid primary key,
        due_at timestamptz not null
    """,
}


def upgrade() -> None:
    """Add what is new. The release before works on with it; it knows no restatement of kind `way`, so a way
    is set (at the gateway) only when every replica is of this release.
    """
    relay = service_roles(op.get_bind()).relay
    op.execute("alter table connections add column state text")
    op.execute("alter table connections add column start_date date")
    op.execute("alter table connections add column zones jsonb")
    op.execute("alter table connections add column stands_for uuid")
    op.execute("alter table connections add column only_compare boolean not null default false")
    # By the provider's location: dates that count although they usually do not, or the other way round.
    op.execute("alter table connections add column switched jsonb")
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        for statement in tenant_isolation(table):
            op.execute(statement)
    for table, columns in QUEUES.items():
        op.execute(f"create table {table} ({columns})")
        # Emptied all the time: vacuum early, or reading the head walks over dead rows.
        op.execute(
            f"alter table {table} set (autovacuum_vacuum_scale_factor = 0.0,"
            " autovacuum_vacuum_threshold = 1000)"
        )
        op.execute(f"grant select on {table} to {relay}")
    op.execute("create index heard_runs_connection on heard_runs (connection_id)")
    op.execute("alter table restatement_queue drop constraint restatement_queue_kind_check")
    op.execute(
        "alter table restatement_queue add constraint restatement_queue_kind_check"
        " check (kind in ('item', 'place', 'erase', 'way'))"
    )
