"""People: who the faces are, their names, birth dates and relations.

Revision 0007, follows 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _person(name: str, *, key: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=key)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("is_me", sa.Boolean(), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("birth_estimate", sa.Double(), nullable=True),
        sa.Column("birth_deviation", sa.Double(), nullable=True),
        sa.Column("corrected", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("cover_face_id", sa.Integer(), sa.ForeignKey("faces.id", ondelete="SET NULL"), nullable=True),
        sa.Column("unsettled", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_people_size", "people", ["size"])
    op.create_index("ix_people_unsettled", "people", ["unsettled"])
    # Lines about people belong to no photo, and are found by their kind.
    op.create_index("ix_corrections_kind", "corrections", ["kind"])
    op.create_table(
        "person_names",
        _person("person_id"),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
    )
    op.create_index("ix_person_names_folded", "person_names", ["folded"])
    op.create_table(
        "face_people",
        sa.Column("face_id", sa.Integer(), sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
        _person("person_id", key=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
    )
    op.create_index("ix_face_people_person_id_state_face_id", "face_people", ["person_id", "state", "face_id"])
    op.create_table(
        "person_rejections",
        _person("person_id"),
        sa.Column("face_id", sa.Integer(), sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_person_rejections_face_id", "person_rejections", ["face_id"])
    op.create_table(
        "person_relations",
        _person("person_id"),
        _person("other_id"),
        sa.Column("relation", sa.Text(), primary_key=True),
    )
    op.add_column("verdicts", sa.Column("age_derived", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.execute("DELETE FROM verdicts WHERE age_derived AND NOT gender_given AND NOT dismissed")
    op.execute("UPDATE verdicts SET age_low = NULL, age_high = NULL WHERE age_derived")
    op.drop_column("verdicts", "age_derived")
    op.drop_index("ix_corrections_kind", "corrections")
    for table in ("person_relations", "person_rejections", "face_people", "person_names", "people"):
        op.drop_table(table)
