"""Databases of PostgreSQL compare texts as SQLite does, fold letters as Python does, and find the newest photos.

Revision 0013, follows 0010. Nothing changes in SQLite.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None

_VIEWS = ("v1_photos", "v1_faces", "v1_tags", "v1_groups", "v1_events", "v1_people")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _drop_views()
    # A server may sort by a language's rules, in which "/" counts for nothing: a folder's range of paths has holes.
    for table, columns in _texts(connection).items():
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE TEXT COLLATE "C"' for name in columns)
        op.execute(sa.text(f'ALTER TABLE "{table}" {changes}'))
    # The newest first and those without a capture time last, read backwards.
    op.drop_index("ix_photos_taken_local", table_name="photos")
    op.create_index("ix_photos_taken_local", "photos", [sa.text("taken_local NULLS FIRST"), "id"])
    connection.exec_driver_sql(_fold().replace("%", "%%"))


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _drop_views()
    op.execute("DROP FUNCTION rollcall_fold(text)")
    op.drop_index("ix_photos_taken_local", table_name="photos")
    op.create_index("ix_photos_taken_local", "photos", ["taken_local"])


def _drop_views() -> None:
    """Drop the views, which whoever opens the database makes again: a column under a view cannot change."""
    for view in _VIEWS:
        op.execute(f"DROP VIEW IF EXISTS {view}")
    op.execute("DELETE FROM meta WHERE key = 'views'")


def _texts(connection: sa.Connection) -> dict[str, list[str]]:
    """Return the columns of texts of all tables, by table."""
    inspector = sa.inspect(connection)
    return {
        table: names
        for table in inspector.get_table_names()
        if table != "alembic_version"
        and (names := [one["name"] for one in inspector.get_columns(table) if isinstance(one["type"], sa.Text)])
    }


def _fold() -> str:
    """Return the statement that makes a function of the caseless form of the Unicode Standard, as search/folding.py."""
    single, several = {}, {}
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        folded = letter.casefold()
        if folded != letter:
            (single if len(folded) == 1 else several)[letter] = folded
    folded = "normalize(t, NFC)"
    for letter, letters in several.items():
        folded = f"replace({folded}, '{letter}', '{letters}')"
    folded = f"translate({folded}, '{''.join(single)}', '{''.join(single.values())}')"
    return (
        "CREATE OR REPLACE FUNCTION rollcall_fold(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
        ' AS $fold$ SELECT CASE WHEN octet_length(t) = char_length(t) THEN lower(t COLLATE "C")'
        f" ELSE normalize({folded}, NFC) END $fold$"
    )
