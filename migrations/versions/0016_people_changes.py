"""Of which faces who they are was written: by it what is kept in memory follows every answer, whoever wrote it.

Revision 0016, follows 0015. Triggers write the rows, so that no statement can be forgotten.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_WATCHED = ("face_people", "person_rejections")
_FUNCTION = """CREATE FUNCTION rollcall_people_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO people_changes (face_id) VALUES (OLD.face_id);
    ELSE
        INSERT INTO people_changes (face_id) VALUES (NEW.face_id);
    END IF;
    RETURN NULL;
END
$$"""


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "people_changes",
        sa.Column("id", number, nullable=False),
        sa.Column("face_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people_changes"),
        sqlite_autoincrement=True,
    )
    on_server = op.get_bind().dialect.name == "postgresql"
    if on_server:
        op.execute(sa.text(_FUNCTION))
    for table in _WATCHED:
        if on_server:
            op.execute(
                f"CREATE TRIGGER {table}_changed AFTER INSERT OR UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION rollcall_people_changed()"
            )
            continue
        for event, row in (("insert", "new"), ("update", "new"), ("delete", "old")):
            # On one line: `newest.sql` is read statement by statement.
            op.execute(
                f"CREATE TRIGGER {table}_{event} AFTER {event.upper()} ON {table} "
                f"BEGIN INSERT INTO people_changes (face_id) VALUES ({row}.face_id); END"
            )


def downgrade() -> None:
    on_server = op.get_bind().dialect.name == "postgresql"
    for table in _WATCHED:
        if on_server:
            op.execute(f"DROP TRIGGER {table}_changed ON {table}")
            continue
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {table}_{event}")
    if on_server:
        op.execute("DROP FUNCTION rollcall_people_changed()")
    op.drop_table("people_changes")
