"""Corrections get what reattachment needs: perceptual hash, uid of the face, model version of the embedding.

Revision 0004, follows 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("photos", sa.Column("look", sa.LargeBinary(), nullable=True))
    op.add_column("corrections", sa.Column("look", sa.LargeBinary(), nullable=True))
    op.add_column("corrections", sa.Column("embedding_version", sa.Text(), nullable=True))
    op.add_column("corrections", sa.Column("face_uid", sa.Text(), nullable=True))
    lines = sa.table("corrections", *(sa.column(name) for name in ("id", "uid", "face_id", "face_uid")))
    connection = op.get_bind()
    first: dict[int, str] = {}
    for number, uid, face_id in connection.execute(
        sa.select(lines.c.id, lines.c.uid, lines.c.face_id).where(lines.c.face_id.is_not(None)).order_by(lines.c.id)
    ).all():
        face_uid = first.setdefault(face_id, uid)
        connection.execute(lines.update().where(lines.c.id == number).values(face_uid=face_uid))


def downgrade() -> None:
    for name in ("face_uid", "embedding_version", "look"):
        op.drop_column("corrections", name)
    op.drop_column("photos", "look")
