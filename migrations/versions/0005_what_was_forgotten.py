"""Create the table of tombstones, and an index to page through the photos of a tag.

Revision 0005, follows 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forgotten",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.Column("box", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgotten")),
    )
    op.create_index(op.f("ix_forgotten_content_hash"), "forgotten", ["content_hash"])
    op.create_index(op.f("ix_forgotten_photo_id"), "forgotten", ["photo_id"])
    op.drop_index(op.f("ix_tags_name_state"), table_name="tags")
    op.create_index(op.f("ix_tags_name_state_photo_id"), "tags", ["name", "state", "photo_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_tags_name_state_photo_id"), table_name="tags")
    op.create_index(op.f("ix_tags_name_state"), "tags", ["name", "state"])
    op.drop_table("forgotten")
