"""Replace the index of photo groups by one in the order of everyday searches.

Revision 0003, follows 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_photo_groups_name_at_least_probability"), table_name="photo_groups")
    op.create_index(
        "ix_photo_groups_ranked", "photo_groups", ["name", "at_least", sa.text("probability DESC"), "photo_id"]
    )


def downgrade() -> None:
    op.drop_index("ix_photo_groups_ranked", table_name="photo_groups")
    op.create_index(
        op.f("ix_photo_groups_name_at_least_probability"), "photo_groups", ["name", "at_least", "probability"]
    )
