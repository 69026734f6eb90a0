"""What other programs say of photos, what Rollcall wrote to sidecars, and faces that a program marked.

Revision 0009, follows 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("faces", sa.Column("given_by_host", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "host_metadata",
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("applied", sa.JSON(), nullable=True),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_host_metadata_photo_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", "place", name="pk_host_metadata"),
    )
    op.create_index("ix_host_metadata_due", "host_metadata", ["due"])
    op.create_table(
        "sidecars",
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("written", sa.JSON(), nullable=False),
        sa.Column("written_at", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("retry_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_sidecars_photo_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", name="pk_sidecars"),
    )


def downgrade() -> None:
    op.drop_table("sidecars")
    op.drop_index("ix_host_metadata_due", "host_metadata")
    op.drop_table("host_metadata")
    op.drop_column("faces", "given_by_host")
