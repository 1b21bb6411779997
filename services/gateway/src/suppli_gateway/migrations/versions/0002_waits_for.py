"""What a run waits for.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; a release before this one leaves it empty."""
    op.execute("alter table runs add column waits_for text")
