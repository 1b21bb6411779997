"""What it is worth that a run found nothing, and what is known of business days.

Revision ID: 0006
Revises: 0005
"""

from alembic import op
from suppli_service_kit.schema import app_grants, service_roles, tenant_isolation

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("alter table runs add column nothing_found jsonb")
    op.execute(
        """
        create table sales_days (
            tenant_id uuid not null,
            location_id text not null,
            business_date date not null,
            revision bigint not null,
            statement jsonb not null,
            primary key (tenant_id, location_id, business_date)
        )
        """
    )
    for statement in tenant_isolation("sales_days"):
        op.execute(statement)
    for statement in app_grants(service_roles(op.get_bind()).app, "sales_days"):
        op.execute(statement)
