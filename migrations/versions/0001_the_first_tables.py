"""Create the first tables.

Revision 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.Column("face_id", sa.Integer(), nullable=True),
        sa.Column("box", sa.JSON(), nullable=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("value_before", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index(op.f("ix_corrections_content_hash"), "corrections", ["content_hash"], unique=False)
    op.create_index(op.f("ix_corrections_face_id"), "corrections", ["face_id"], unique=False)
    op.create_index(op.f("ix_corrections_photo_id"), "corrections", ["photo_id"], unique=False)

    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "roots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roots")),
        sa.UniqueConstraint("path", name=op.f("uq_roots_path")),
    )
    op.create_table(
        "photos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("orientation", sa.Integer(), nullable=True),
        sa.Column("taken_local", sa.Text(), nullable=True),
        sa.Column("taken_utc", sa.Text(), nullable=True),
        sa.Column("taken_offset_minutes", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("indexed_at", sa.Text(), nullable=True),
        sa.Column("face_count", sa.Integer(), nullable=True),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name=op.f("fk_photos_root_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_photos_root_id_path")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_photos_content_hash"), "photos", ["content_hash"], unique=False)
    op.create_index(op.f("ix_photos_face_count"), "photos", ["face_count"], unique=False)
    op.create_index(op.f("ix_photos_size"), "photos", ["size"], unique=False)
    op.create_index(op.f("ix_photos_state_id"), "photos", ["state", "id"], unique=False)
    op.create_index(op.f("ix_photos_taken_local"), "photos", ["taken_local"], unique=False)

    op.create_table(
        "faces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("width", sa.Double(), nullable=False),
        sa.Column("height", sa.Double(), nullable=False),
        sa.Column("landmarks", sa.JSON(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("sharpness", sa.Double(), nullable=False),
        sa.Column("detected", sa.Boolean(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_faces_photo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_faces")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_faces_photo_id"), "faces", ["photo_id"], unique=False)

    op.create_table(
        "photo_groups",
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at_least", sa.Integer(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_photo_groups_photo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", "name", "at_least", name=op.f("pk_photo_groups")),
    )
    op.create_index(
        op.f("ix_photo_groups_name_at_least_probability"),
        "photo_groups",
        ["name", "at_least", "probability"],
        unique=False,
    )

    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_tags_photo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("photo_id", "name", name=op.f("uq_tags_photo_id_name")),
    )
    op.create_index(op.f("ix_tags_name_state"), "tags", ["name", "state"], unique=False)

    op.create_table(
        "embeddings",
        sa.Column("face_id", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["face_id"], ["faces.id"], name=op.f("fk_embeddings_face_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "predictions",
        sa.Column("face_id", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("age_distribution", sa.LargeBinary(), nullable=True),
        sa.Column("age", sa.Double(), nullable=True),
        sa.Column("age_low", sa.Double(), nullable=True),
        sa.Column("age_high", sa.Double(), nullable=True),
        sa.Column("p_babies", sa.Double(), nullable=True),
        sa.Column("p_toddlers", sa.Double(), nullable=True),
        sa.Column("p_children", sa.Double(), nullable=True),
        sa.Column("p_teenagers", sa.Double(), nullable=True),
        sa.Column("p_adults", sa.Double(), nullable=True),
        sa.Column("p_seniors", sa.Double(), nullable=True),
        sa.Column("p_female", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["face_id"], ["faces.id"], name=op.f("fk_predictions_face_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name=op.f("pk_predictions")),
    )
    op.create_table(
        "verdicts",
        sa.Column("face_id", sa.Integer(), nullable=False),
        sa.Column("age_low", sa.Integer(), nullable=True),
        sa.Column("age_high", sa.Integer(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("gender_given", sa.Boolean(), nullable=False),
        sa.Column("dismissed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["face_id"], ["faces.id"], name=op.f("fk_verdicts_face_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name=op.f("pk_verdicts")),
    )


def downgrade() -> None:
    op.drop_table("verdicts")
    op.drop_table("predictions")
    op.drop_table("embeddings")
    op.drop_index(op.f("ix_tags_name_state"), table_name="tags")

    op.drop_table("tags")
    op.drop_index(op.f("ix_photo_groups_name_at_least_probability"), table_name="photo_groups")

    op.drop_table("photo_groups")
    op.drop_index(op.f("ix_faces_photo_id"), table_name="faces")

    op.drop_table("faces")
    op.drop_index(op.f("ix_photos_taken_local"), table_name="photos")
    op.drop_index(op.f("ix_photos_state_id"), table_name="photos")
    op.drop_index(op.f("ix_photos_size"), table_name="photos")
    op.drop_index(op.f("ix_photos_face_count"), table_name="photos")
    op.drop_index(op.f("ix_photos_content_hash"), table_name="photos")

    op.drop_table("photos")
    op.drop_table("roots")
    op.drop_table("meta")
    op.drop_index(op.f("ix_corrections_photo_id"), table_name="corrections")
    op.drop_index(op.f("ix_corrections_face_id"), table_name="corrections")
    op.drop_index(op.f("ix_corrections_content_hash"), table_name="corrections")

    op.drop_table("corrections")
