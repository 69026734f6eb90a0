"""Videos: their length, the frame that stands for them, and when a face is seen.

Revision 0015, follows 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ADDED = (
    ("photos", "duration"),
    ("photos", "poster_time"),
    ("faces", "video_time"),
    ("corrections", "video_time"),
    ("forgotten", "video_time"),
)


def upgrade() -> None:
    for table, column in _ADDED:
        op.add_column(table, sa.Column(column, sa.Double(), nullable=True))
    # Until now it stayed behind when a file that had failed was read at last; of a photo that is indexed it now says
    # that it has still to be searched.
    op.execute("UPDATE photos SET failure_key = NULL WHERE state = 'indexed'")


def downgrade() -> None:
    for table, column in _ADDED:
        op.drop_column(table, column)
