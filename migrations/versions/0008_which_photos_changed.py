"""Photos have the number of the transaction that changed them last; corrections have where they came from.

Revision 0008, follows 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("photos", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("corrections", sa.Column("origin", sa.Text(), nullable=True))
    op.create_index(op.f("ix_photos_revision"), "photos", ["revision"])


def downgrade() -> None:
    op.drop_column("corrections", "origin")
    op.drop_index(op.f("ix_photos_revision"), table_name="photos")
    op.drop_column("photos", "revision")
    op.execute("DELETE FROM meta WHERE key = 'revision'")
