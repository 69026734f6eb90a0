"""Bridges: what was sent to the servers of other programs.

Revision 0010, follows 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bridge_items",
        sa.Column("id", sa.Integer(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("bridge", "server", "kind", "key", "state")),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("remote", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("sent_at", sa.Text(), nullable=False),
        sa.UniqueConstraint("bridge", "server", "kind", "key"),
    )


def downgrade() -> None:
    op.drop_table("bridge_items")
