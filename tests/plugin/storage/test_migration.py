"""Databases of earlier programs, with data in them, are migrated."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from rollcall import resources
from rollcall.storage.database import open_database


def test_lines_of_one_face_share_a_uid_after_0004(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")).replace("%", "%%"))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for uid, face in (("a", 7), ("b", 8), ("c", 7), ("d", None)):
            connection.execute(
                text(
                    "INSERT INTO corrections (uid, batch, made_at, made_by, kind, photo_id, face_id, value)"
                    " VALUES (:uid, :uid, '2026-01-01T00:00:00.000Z', 'user', 'age', 1,"
                    ' :face, \'{"low": 5, "high": 5}\')'
                ),
                {"uid": uid, "face": face},
            )
    engine.dispose()
    database = open_database(str(file))
    with database.read() as session:
        rows = session.execute(text("SELECT uid, face_uid, value FROM corrections ORDER BY id")).all()
    database.close()
    assert [(uid, face) for uid, face, _ in rows] == [("a", "a"), ("b", "b"), ("c", "a"), ("d", None)]
    assert {value for *_, value in rows} == {'{"low": 5, "high": 5}'}
