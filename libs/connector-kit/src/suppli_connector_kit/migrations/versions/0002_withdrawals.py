"""When a provider is being asked to withdraw our access, so that nobody authorizes the account meanwhile."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.execute("alter table connection_times add column asking_until timestamptz")
