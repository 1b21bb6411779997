"""The sales ledger, items with their mappings, and copies of what others own."""

from alembic import op
from suppli_service_kit.schema import outbox_tables, service_roles, tenant_isolation

revision = "0001"
down_revision = None

# A part of an order's line hangs on `orders.id`, a narrow key; quantities of entries are millionths.
TABLES = {
    "orders": """
        tenant_id uuid not null,
        connection_id uuid not null,
        order_id text not null,
        id bigint generated always as identity,
        location_id text not null,
        state text not null,
        currency text not null,
        channel text,
        source_version bigint not null,
        observed bigint not null,
        content_hash text not null,
        raw_event_id text not null,
        run_id uuid not null,
        recorded_at timestamptz not null,
        total bigint not null,
        tax bigint not null,
        primary key (tenant_id, connection_id, order_id)
    """,
    "order_days": """
        tenant_id uuid not null,
        order_no bigint not null,
        connection_id uuid not null,
        location_id text not null,
        business_date date not null,
        currency text not null,
        adjustments bigint not null,
        provider_net bigint not null,
        primary key (order_no, business_date)
    """,
    "ledger_lines": """
        tenant_id uuid not null,
        order_no bigint not null,
        line_id text not null,
        part text not null,
        item_id uuid not null,
        said_revision integer not null,
        state text not null,
        connection_id uuid not null,
        location_id text not null,
        business_date date not null,
        occurred_at timestamptz not null,
        currency text not null,
        disposition text not null,
        quantity numeric not null,
        unit text not null,
        gross bigint not null,
        discount bigint not null,
        net bigint not null,
        tax bigint not null,
        restock text,
        reason text,
        primary key (order_no, line_id, part)
    """,
    "entries": """
        tenant_id uuid not null,
        entry_key uuid not null,
        version integer not null,
        order_no bigint not null,
        line_id text not null,
        part text not null,
        component text not null,
        product_id text not null,
        location_id text not null,
        business_date date not null,
        unit text not null,
        currency text not null,
        occurred_at timestamptz not null,
        quantity bigint not null,
        consumed bigint not null,
        gross bigint not null,
        discount bigint not null,
        net bigint not null,
        mapping_revision integer not null,
        primary key (tenant_id, entry_key)
    """,
    "items": """
        tenant_id uuid not null,
        item_id uuid not null,
        connection_id uuid not null,
        item_key text not null,
        kind text not null,
        name text,
        variation_name text,
        sku text,
        barcode text,
        category text,
        unit text not null,
        catalog_revision bigint,
        catalog_deleted boolean not null default false,
        state text not null,
        revision integer not null default 0,
        targets jsonb not null default '[]',
        announced_at timestamptz,
        added_at timestamptz not null default clock_timestamp(),
        primary key (tenant_id, item_id)
    """,
    "mappings": """
        tenant_id uuid not null,
        item_id uuid not null,
        revision integer not null,
        state text not null,
        targets jsonb not null,
        from_date date,
        unit text not null,
        actor text not null,
        at timestamptz not null,
        primary key (tenant_id, item_id, revision)
    """,
    "products": """
        tenant_id uuid not null,
        product_id text not null,
        revision bigint not null,
        name text not null,
        sku text,
        barcode text,
        unit text not null,
        replaced_by text,
        deleted boolean not null,
        primary key (tenant_id, product_id)
    """,
    "locations": """
        tenant_id uuid not null,
        location_id text not null,
        revision bigint not null,
        name text not null,
        restock_unknown boolean not null,
        deleted boolean not null,
        primary key (tenant_id, location_id)
    """,
    "connections": """
        tenant_id uuid not null,
        connection_id uuid not null,
        revision bigint not null,
        provider text not null,
        first_day date,
        erased boolean not null,
        ties jsonb not null,
        primary key (tenant_id, connection_id)
    """,
}

INDEXES = (
    "create unique index orders_id on orders (id)",
    "create index orders_place on orders (connection_id, location_id, id)",
    "create index order_days_day on order_days (connection_id, business_date)",
    "create index ledger_lines_item on ledger_lines (item_id, said_revision)",
    "create index entries_order on entries (order_no)",
    "create index items_list on items (tenant_id, state, item_key)",
)

# What is still to be said again: ids and times only, so it has no policy; the relay's role finds the tenants.
QUEUE = """
    create table restatement_queue (
        tenant_id uuid not null,
        kind text not null check (kind in ('item', 'place', 'erase')),
        subject text not null,
        cursor bigint not null default 0,
        bound bigint not null,
        requested_at timestamptz not null default now(),
        primary key (tenant_id, kind, subject)
    )
"""


def upgrade() -> None:
    """Create everything."""
    roles = service_roles(op.get_bind())
    for table, columns in TABLES.items():
        op.execute(f"create table {table} ({columns})")
        for statement in tenant_isolation(table):
            op.execute(statement)
    for statement in INDEXES:
        op.execute(statement)
    op.execute(QUEUE)
    op.execute(f"grant select on restatement_queue to {roles.relay}")
    for statement in outbox_tables(roles.relay, roles.app):
        op.execute(statement)
