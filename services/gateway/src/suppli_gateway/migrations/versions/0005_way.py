"""Whether a connection carries the same sales as another.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("alter table connections add column way jsonb not null default '{}'")
