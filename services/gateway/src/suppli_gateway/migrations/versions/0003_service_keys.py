"""Service keys.

Revision ID: 0003
Revises: 0002
"""

from alembic import op
from suppli_service_kit.schema import app_grants, service_roles, tenant_isolation

revision = "0003"
down_revision = "0002"

TABLE = """
create table service_keys (
    key_id uuid primary key,
    tenant_id uuid not null,
    name text not null,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    prefix text not null,
    secret_hash bytea not null unique,
    created_at timestamptz not null,
    created_by text not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    revoked_by text
)
"""

# A key says whose it is only when its row is read: who holds the key may read its one row, and nobody more.
BY_KEY = """
create policy by_key on service_keys for select using (
    secret_hash = decode(nullif(current_setting('app.service_key', true), ''), 'hex')
)
"""


def upgrade() -> None:
    roles = service_roles(op.get_bind())
    for statement in (
        TABLE,
        "create index service_keys_listed on service_keys (tenant_id, key_id)",
        *tenant_isolation("service_keys"),
        BY_KEY,
        *app_grants(roles.app, "service_keys"),
    ):
        op.execute(statement)
