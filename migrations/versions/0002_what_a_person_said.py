"""Corrections get uid, batch, path and embedding, for undo, export and reattachment; tables of events and adaptations.

Revision 0002, follows 0001.
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("corrections") as table:
        table.add_column(sa.Column("uid", sa.Text(), nullable=True))
        table.add_column(sa.Column("batch", sa.Text(), nullable=True))
        table.add_column(sa.Column("path", sa.Text(), nullable=True))
        table.add_column(sa.Column("embedding", sa.LargeBinary(), nullable=True))
    corrections = sa.table("corrections", sa.column("id"), sa.column("uid"), sa.column("batch"))
    connection = op.get_bind()
    for (number,) in connection.execute(sa.select(corrections.c.id)).all():
        uid = uuid.uuid4().hex
        connection.execute(corrections.update().where(corrections.c.id == number).values(uid=uid, batch=uid))
    with op.batch_alter_table("corrections", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("uid", nullable=False, existing_type=sa.Text())
        table.alter_column("batch", nullable=False, existing_type=sa.Text())
        table.create_unique_constraint(op.f("uq_corrections_uid"), ["uid"])
        table.create_index(op.f("ix_corrections_batch"), ["batch"])
        table.create_index(op.f("ix_corrections_path"), ["path"])

    op.add_column("predictions", sa.Column("network_age_distribution", sa.LargeBinary(), nullable=True))
    op.add_column("predictions", sa.Column("network_p_female", sa.Double(), nullable=True))

    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("happened_at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.Column("face_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "adaptations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adaptations")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("adaptations")
    op.drop_table("events")
    op.drop_column("predictions", "network_p_female")
    op.drop_column("predictions", "network_age_distribution")
    with op.batch_alter_table("corrections") as table:
        table.drop_index(op.f("ix_corrections_path"))
        table.drop_index(op.f("ix_corrections_batch"))
        table.drop_constraint(op.f("uq_corrections_uid"))
        for name in ("embedding", "path", "batch", "uid"):
            table.drop_column(name)
