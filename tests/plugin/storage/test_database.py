"""The database: created, migrated, refused; and the views that hosts read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from blobs import draw
from rollcall import resources
from rollcall.errors import NewerDatabaseError, StoreError
from rollcall.indexing.indexer import Indexer
from rollcall.storage import sqlite, views
from rollcall.storage.database import HEAD, Database, open_database
from rollcall.storage.tables import Base, VerdictRow


def test_the_migrations_create_exactly_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_views_have_the_columns_of_the_contract(database: Database) -> None:
    with database.engine.connect() as connection:
        for view in views.VIEWS:
            columns = [row[1] for row in connection.execute(text(f"PRAGMA table_info({view.name})"))]
            assert columns == [column.name for column in view.columns]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_a_newer_program_is_refused(database: Database, read_only: bool) -> None:
    file = database.engine.url.database or ""
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(NewerDatabaseError, match="update Rollcall"):
        open_database(file, read_only=read_only)


def test_a_missing_database_is_not_created_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="rollcall index FOLDER"):
        open_database(str(tmp_path / "none.db"), read_only=True)


def test_an_empty_file_that_is_only_read_is_said_to_hold_no_library(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="holds no library yet"):
        open_database(str(tmp_path / "empty.db"), read_only=True)
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "note.db"
    file.write_text("a letter to nobody" * 100)
    with pytest.raises(StoreError, match="refused"):
        open_database(str(file))
    assert file.read_text() == "a letter to nobody" * 100


@pytest.mark.parametrize("url", ["nonsense://x", "://"])
def test_an_impossible_url_is_explained(url: str) -> None:
    with pytest.raises(StoreError):
        open_database(url)


def test_views_are_created_again_when_their_text_changed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    file = database.engine.url.database or ""
    with database.write() as session:
        session.execute(text("DROP VIEW v1_tags"))
        session.execute(text("UPDATE meta SET value = 'old' WHERE key = 'views'"))
    database.close()
    again = open_database(file)
    with again.read() as session:
        assert session.execute(text("SELECT COUNT(*) FROM v1_tags")).scalar() == 0
    again.close()


def test_backups_hold_everything_and_only_the_newest_stay(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    file = Path(database.engine.url.database or "")
    copies = [sqlite.back_up(file, 2) for _ in range(4)]
    assert [copy.exists() for copy in copies] == [False, False, True, True]
    connection = sqlite3.connect(copies[-1])
    assert connection.execute("SELECT COUNT(*) FROM v1_faces").fetchone() == (1,)
    connection.close()


def test_embeddings_and_distributions_are_little_endian_float16(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    with database.read() as session:
        embedding, dimension, distribution = session.execute(
            text("SELECT embedding, embedding_dimension, age_distribution FROM v1_faces")
        ).one()
    vector = np.frombuffer(embedding, "<f2").astype(np.float64)
    assert len(vector) == dimension == 128
    assert np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)
    ages = np.frombuffer(distribution, "<f2").astype(np.float64)
    assert ages.shape == (101,) and ages[4:7].tolist() == [0.25, 0.5, 0.25]


def test_corrections_replace_predictions_in_the_views(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (30, 255))
    indexer.run([library])
    with database.write() as session:
        session.add(VerdictRow(face_id=1, age_low=10, age_high=14, gender="male", gender_given=True))
    with database.read() as session:
        row = session.execute(
            text("SELECT age, age_low, age_high, age_source, gender, p_female, gender_source, p_children FROM v1_faces")
        ).one()
    assert tuple(row) == (12, 10, 14, "user", "male", 0, "user", pytest.approx(3 / 5))
    with database.write() as session:
        session.get_one(VerdictRow, 1).dismissed = True
    with database.read() as session:
        assert session.execute(text("SELECT COUNT(*) FROM v1_faces")).scalar() == 0


@pytest.mark.parametrize("table", ["photos", "songs"])
@pytest.mark.parametrize("read_only", [False, True])
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, table: str, read_only: bool) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE {table} (id INTEGER)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="the database of another program; name another file"):
        open_database(str(file), read_only=read_only)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [(table,)]
    connection.close()
    assert len(file.read_bytes()) == len(before)


@pytest.mark.parametrize("url", ["mysql://host/photos", "oracle://host/photos", "mssql+pyodbc://host/photos"])
def test_a_kind_of_database_that_is_not_supported_is_refused_before_its_driver_is_asked_for(url: str) -> None:
    with pytest.raises(StoreError, match="not supported; use SQLite or PostgreSQL"):
        open_database(url)
