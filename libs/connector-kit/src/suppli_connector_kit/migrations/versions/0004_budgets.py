"""Budgets that all replicas share. Keys name a provider's account, so no tenant; no policy."""

from alembic import op
from suppli_service_kit.database import app_grants, service_roles

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        create table budgets (
            key text primary key,
            free_at timestamptz not null default '-infinity',
            slow double precision not null default 1,
            slowed_at timestamptz not null default now()
        ) with (fillfactor = 50)
        """
    )
    for statement in app_grants(service_roles(op.get_bind()).app, "budgets"):
        op.execute(statement)
