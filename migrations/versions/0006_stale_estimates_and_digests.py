"""Stale estimates and a file's ctime have columns; model versions name the digest of the weights.

Revision 0006, follows 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: The only weights that were ever shipped as attributes-4, so that libraries indexed with them stay as they are.
_NAME, _WITH_DIGEST = "attributes-4", "attributes-4:6fc9e939191d"
_VERSIONS = (
    ("photos", "model_version"),
    ("predictions", "model_version"),
    ("embeddings", "model_version"),
    ("corrections", "embedding_version"),
)


def upgrade() -> None:
    op.add_column("photos", sa.Column("taken_source", sa.Text(), nullable=True))
    op.add_column("photos", sa.Column("warning", sa.Text(), nullable=True))
    op.add_column("photos", sa.Column("failure_key", sa.Text(), nullable=True))
    op.add_column("photos", sa.Column("ctime_ns", sa.BigInteger(), nullable=True))
    for table in ("predictions", "embeddings"):
        op.add_column(table, sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()))
        op.execute(f"UPDATE {table} SET stale = true WHERE model_version = 'stale'")
    for table, column in _VERSIONS:
        op.execute(f"UPDATE {table} SET {column} = REPLACE({column}, '+{_NAME}@', '+{_WITH_DIGEST}@')")
    op.execute(f"UPDATE adaptations SET model_version = '{_WITH_DIGEST}' WHERE model_version = '{_NAME}'")


def downgrade() -> None:
    op.execute(f"UPDATE adaptations SET model_version = '{_NAME}' WHERE model_version = '{_WITH_DIGEST}'")
    for table, column in _VERSIONS:
        op.execute(f"UPDATE {table} SET {column} = REPLACE({column}, '+{_WITH_DIGEST}@', '+{_NAME}@')")
    for table in ("predictions", "embeddings"):
        op.execute(f"UPDATE {table} SET model_version = 'stale' WHERE stale")
        op.drop_column(table, "stale")
    op.drop_column("photos", "ctime_ns")
    op.drop_column("photos", "failure_key")
    op.drop_column("photos", "warning")
    op.drop_column("photos", "taken_source")
