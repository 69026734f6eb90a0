"""Write migrations/newest.sql: the tables that all migrations make, so that a new database needs none of them.

Run with: uv run python scripts/write_tables.py, after a migration was added. Until then the new migrations run on new
databases as on old ones; a test holds that a new database is what the migrations make.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "migrations" / "newest.sql"


def statements(file: Path) -> list[str]:
    """Return the statements that make the tables of a database and its revision."""
    with sqlite3.connect(file) as connection:
        # SQLAlchemy makes the indexes of a table in any order.
        made = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " ORDER BY type = 'index', CASE type WHEN 'index' THEN name END, rowid"
        )
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return [*(sql for (sql,) in made), f"INSERT INTO alembic_version VALUES ('{revision}')"]


def main() -> None:
    """Write the file, or with --check say whether it is as it should be."""
    config = Config()
    config.set_main_option("script_location", str(TARGET.parent).replace("%", "%%"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new.db"
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        engine.dispose()
        lines = "".join(f"{statement};\n\n" for statement in statements(file)).splitlines()
    text = "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == text else f"{TARGET} is not up to date")
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
