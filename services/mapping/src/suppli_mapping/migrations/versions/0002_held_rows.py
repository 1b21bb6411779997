"""Rows of the outbox may be held for the process that publishes them from memory."""

from alembic import op
from suppli_service_kit.schema import outbox_holding, service_roles

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what holding needs; the release before works on with it, and relays such rows at once."""
    for statement in outbox_holding(service_roles(op.get_bind()).app):
        op.execute(statement)
