"""When a provider is being asked to withdraw our access, so that nobody authorizes the account meanwhile."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.execute("alter table connection_times add column asking_until timestamptz")
