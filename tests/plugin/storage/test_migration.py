"""Databases of earlier programs, with data in them, are migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from rollcall import resources, search
from rollcall.model_version import ModelVersion
from rollcall.settings import TagSettings
from rollcall.storage import people_changes, revisions
from rollcall.storage.database import HEAD, open_database
from rollcall.tags import projection


@contextmanager
def old_database(file: Path, revision: str) -> Iterator[Connection]:
    """Make a database as of a revision, and yield a connection to fill it."""
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")).replace("%", "%%"))
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
    engine.dispose()


def tables(connection: Connection) -> list[str]:
    """Return the statements that would make a database's tables and then its indexes, and its revision."""
    order = "ORDER BY type = 'index', CASE type WHEN 'index' THEN name END, rowid"
    made = connection.execute(text(f"SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'view' {order}"))
    (revision,) = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    return [*(" ".join(sql.split()) for sql in made.scalars() if "sqlite_sequence" not in sql), revision]


def made_by_opening(file: Path) -> list[str]:
    """Open a database that is not there, and return its tables."""
    database = open_database(str(file))
    with database.engine.connect() as connection:
        found = tables(connection)
    database.close()
    return found


def test_a_new_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    with old_database(tmp_path / "migrated.db", HEAD) as connection:
        migrated = tables(connection)
    assert made_by_opening(tmp_path / "new.db") == migrated, "run scripts/write_tables.py"


def test_a_new_database_is_up_to_date_where_its_tables_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copytree(resources.find("migrations"), tmp_path / "migrations")
    with old_database(tmp_path / "old.db", "0014") as connection:
        *statements, revision = tables(connection)
    statements.append(f"INSERT INTO alembic_version VALUES ('{revision}')")
    (folder / "newest.sql").write_text(";\n".join(statements))
    with old_database(tmp_path / "migrated.db", HEAD) as connection:
        migrated = tables(connection)
    monkeypatch.setattr(resources, "find", lambda name: tmp_path / name)
    assert made_by_opening(tmp_path / "new.db") == migrated


def add_photo(connection: Connection, face_id: int) -> None:
    """Add a photo of one face, as it was stored from the first revision on."""
    connection.execute(text("INSERT INTO roots VALUES (1, '/photos', '2026-01-01T00:00:00.000Z')"))
    connection.execute(
        text(
            "INSERT INTO photos (id, root_id, path, size, mtime_ns, state, reviewed)"
            " VALUES (1, 1, 'a.jpg', 1, 1, 'indexed', 0)"
        )
    )
    connection.execute(
        text(
            "INSERT INTO faces (id, photo_id, x, y, width, height, landmarks, score, sharpness, detected,"
            " present, drawn) VALUES (:id, 1, 0, 0, 1, 1, '[]', 1, 1, 1, 1, 0)"
        ),
        {"id": face_id},
    )


def test_lines_of_one_face_share_a_uid_after_0004(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0003") as connection:
        for uid, face in (("a", 7), ("b", 8), ("c", 7), ("d", None)):
            connection.execute(
                text(
                    "INSERT INTO corrections (uid, batch, made_at, made_by, kind, photo_id, face_id, value)"
                    " VALUES (:uid, :uid, '2026-01-01T00:00:00.000Z', 'user', 'age', 1,"
                    ' :face, \'{"low": 5, "high": 5}\')'
                ),
                {"uid": uid, "face": face},
            )
    database = open_database(str(file))
    with database.read() as session:
        rows = session.execute(text("SELECT uid, face_uid, value FROM corrections ORDER BY id")).all()
    database.close()
    assert [(uid, face) for uid, face, _ in rows] == [("a", "a"), ("b", "b"), ("c", "a"), ("d", None)]
    assert {value for *_, value in rows} == {'{"low": 5, "high": 5}'}


def test_stale_estimates_get_a_column_and_versions_a_digest_in_0006(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0005") as connection:
        connection.execute(text("INSERT INTO roots VALUES (1, '/photos', '2026-01-01T00:00:00.000Z')"))
        connection.execute(
            text(
                "INSERT INTO photos (id, root_id, path, size, mtime_ns, state, reviewed, model_version)"
                " VALUES (1, 1, 'a.jpg', 1, 1, 'indexed', 0, 'mtcnn-4+attributes-4@1280/20-age')"
            )
        )
        for face_id, version in (
            (1, "mtcnn-4+attributes-4@1280/20"),
            (2, "stale"),
            (3, "mtcnn-4+attributes-3@1280/20"),
        ):
            connection.execute(
                text(
                    "INSERT INTO faces (id, photo_id, x, y, width, height, landmarks, score, sharpness, detected,"
                    " present, drawn) VALUES (:id, 1, 0, 0, 1, 1, '[]', 1, 1, 1, 1, 0)"
                ),
                {"id": face_id},
            )
            connection.execute(
                text("INSERT INTO predictions (face_id, model_version, age) VALUES (:id, :version, 5)"),
                {"id": face_id, "version": version},
            )
    database = open_database(str(file))
    with database.read() as session:
        rows = session.execute(text("SELECT model_version, stale FROM predictions ORDER BY face_id")).all()
        photo = session.execute(text("SELECT model_version, ctime_ns, failure_key FROM photos")).one()
    database.close()
    assert [bool(stale) for _, stale in rows] == [False, True, False]
    first, _, third = (ModelVersion.parse(version) for version, _ in rows)
    assert (first.attributes, len(first.digest)) == ("attributes-4", 12)
    assert (third.attributes, third.digest) == ("attributes-3", ""), "two files had this name"
    assert ModelVersion.parse(photo[0]).switched_off == ("age",)
    assert photo[1:] == (None, None)


def test_0007_adds_people_and_leaves_faces_and_verdicts_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0006") as connection:
        add_photo(connection, face_id=1)
        connection.execute(
            text("INSERT INTO verdicts (face_id, age_low, age_high, gender_given, dismissed) VALUES (1, 5, 6, 0, 0)")
        )
    database = open_database(str(file))
    with database.read() as session:
        face = session.execute(text("SELECT age_low, age_high, age_source, person_id FROM v1_faces")).one()
        people = session.execute(text("SELECT COUNT(*) FROM v1_people")).scalar()
    database.close()
    assert (tuple(face), people) == ((5, 6, "user", None), 0)


def test_a_library_from_before_0008_is_searched_and_told_what_changes(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0006") as connection:
        add_photo(connection, face_id=1)
        connection.execute(text("UPDATE photos SET face_count = 1"))
        connection.execute(
            text("INSERT INTO verdicts (face_id, age_low, age_high, gender_given, dismissed) VALUES (1, 25, 25, 0, 0)")
        )
    database = open_database(str(file))
    assert [hit.photo_id for hit in search.search(database, "age:20-30")] == [1]
    with database.read() as session:
        assert revisions.newest(session) == 0
    with database.write() as session:
        session.execute(text("UPDATE verdicts SET age_low = 60, age_high = 60"))
        projection.recompute(session, 1, TagSettings())
    with database.read() as session:
        assert revisions.newest(session) == session.scalar(text("SELECT revision FROM photos")) == 1
    assert search.search(database, "age:20-30") == []
    database.close()


def test_a_library_from_before_sidecars_keeps_its_faces_in_0009(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0006") as connection:
        add_photo(connection, face_id=7)
    database = open_database(str(file))
    with database.read() as session:
        assert session.execute(text("SELECT face_id, source FROM v1_faces")).all() == [(7, "auto")]
        assert session.execute(text("SELECT count(*) FROM host_metadata")).scalar() == 0
        assert session.execute(text("SELECT count(*) FROM sidecars")).scalar() == 0
    database.close()


def test_what_was_sent_by_bridges_gets_a_table_in_0010(tmp_path: Path) -> None:
    from rollcall.bridges.base import Remembered
    from rollcall.bridges.memory import Memory

    file = tmp_path / "old.db"
    with old_database(file, "0007") as connection:
        connection.execute(text("INSERT INTO roots VALUES (1, '/photos', '2026-01-01T00:00:00.000Z')"))
    database = open_database(str(file))
    memory = Memory(database, "immich", "http://immich")
    row = Remembered("tag", "People/Märchen", {"a": 1}, "done", {"id": "x"}, None)
    memory.store([row, Remembered("person", "p", {}, before={"birthDate": None})])
    memory.store([row])
    found = memory.load()
    assert list(found) == [("tag", "People/Märchen"), ("person", "p")] and found[row.name] == row
    assert found["person", "p"].before == {"birthDate": None}
    assert Memory(database, "immich", "http://other").load() == {}
    memory.drop([row])
    assert list(memory.load()) == [("person", "p")]
    with database.read() as session:
        assert session.execute(text("SELECT path FROM roots")).scalar() == "/photos"
    database.close()


def test_albums_have_a_place_after_0014_and_what_was_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0010") as connection:
        add_photo(connection, 7)
    database = open_database(str(file))
    with database.read() as session:
        assert session.execute(text("SELECT COUNT(*) FROM v1_photos")).scalar() == 1
        assert session.execute(text("SELECT * FROM v1_albums")).all() == []
        assert session.execute(text("SELECT * FROM v1_album_photos")).all() == []
    database.close()


def test_a_library_from_before_videos_has_photos_only_in_0015(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0010") as connection:
        add_photo(connection, face_id=7)
        # What failed once, and was read at last.
        connection.execute(text("UPDATE photos SET failure_key = 'limits of then'"))
    database = open_database(str(file))
    with database.read() as session:
        assert session.execute(text("SELECT duration, poster_time FROM v1_photos")).all() == [(None, None)]
        assert session.execute(text("SELECT face_id, video_time FROM v1_faces")).all() == [(7, None)]
        assert session.execute(text("SELECT state, failure_key FROM photos")).all() == [("indexed", None)]
    database.close()


def test_from_0016_on_each_write_of_who_a_face_is_leaves_a_line_and_what_was_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with old_database(file, "0015") as connection:
        add_photo(connection, face_id=7)
        connection.execute(text("INSERT INTO face_people VALUES (7, NULL, 'automatic', 0.0, 'auto')"))
    database = open_database(str(file))
    with database.read() as session:
        assert session.execute(text("SELECT face_id, state FROM face_people")).all() == [(7, "automatic")]
        assert people_changes.newest(session) == 0
    for number, statement in enumerate(
        (
            "UPDATE face_people SET probability = 0.5",
            "DELETE FROM face_people",
            "INSERT INTO face_people VALUES (7, NULL, 'automatic', 0.0, 'auto')",
            "DELETE FROM faces",
        )
    ):
        with database.write() as session:
            session.execute(text(statement))
        with database.read() as session:
            assert people_changes.since(session, number, 9) == [7]
    database.close()
