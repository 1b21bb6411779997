"""What a run that was put back waits for, and how far behind each connection may be."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; a release before this one leaves them as they are."""
    op.execute("alter table runs add column waits_for text")
    op.execute(
        "alter table connection_times add column fresh_within interval, add column due_since timestamptz"
    )
    op.execute("update connection_times set fresh_within = '26 hours', due_since = now() where active")
