"""What hosts rely on: the views of version 1 as they were, read with sqlite3 alone while the database is written to."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from blobs import BlobAnalyzer, draw
from rollcall import resources
from rollcall.host import Plugin
from rollcall.indexing.indexer import Indexer
from rollcall.settings import Settings
from rollcall.storage import views
from rollcall.storage.database import Database, open_database

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "catalogue.py"

#: The columns that hosts were promised. Columns may be added behind these; never change what stands here.
PROMISED = {
    "v1_photos": "photo_id root path full_path width height orientation taken_local taken_utc taken_offset_minutes"
    " state error faces reviewed indexed_at model_version content_hash p_babies p_toddlers p_children p_teenagers"
    " p_adults p_seniors p_women p_men p_girls p_boys",
    "v1_faces": "face_id photo_id x y width height landmarks score sharpness age age_low age_high age_source gender"
    " p_female gender_source p_babies p_toddlers p_children p_teenagers p_adults p_seniors age_distribution embedding"
    " embedding_dimension model_version",
    "v1_tags": "photo_id tag source probability state",
    "v1_groups": "name at_least probability photo_id",
    "v1_events": "event_id happened_at kind photo_id face_id",
    "v1_people": "person_id uid name names state hidden is_me birth_date birth_date_source faces photos proposed"
    " first_seen last_seen cover_face_id",
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("catalogue", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- The promise


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as the first version left it, with a photo, a face, what a person said of it, and a tag."""
    file = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO roots VALUES (1, '/photos', '2026-01-01T00:00:00.000Z')",
            "INSERT INTO photos (id, root_id, path, size, mtime_ns, content_hash, width, height, orientation,"
            " taken_local, state, model_version, indexed_at, face_count, reviewed) VALUES (7, 1, 'a/b.jpg', 10, 20,"
            " 'abc', 400, 300, 6, '2019-06-01T12:00:00', 'indexed', 'm-1', '2026-01-01T00:00:00.000Z', 1, 1)",
            "INSERT INTO faces VALUES (3, 7, 0.1, 0.2, 0.3, 0.4, '[[0.1, 0.2]]', 0.99, 12.5, 1, 1, 0)",
            "INSERT INTO predictions VALUES (3, 'm-1', zeroblob(202), 5.0, 3.0, 8.0, 0, 0, 0.9, 0.1, 0, 0, 0.8)",
            "INSERT INTO embeddings VALUES (3, 'm-1', 2, x'003c0000')",
            "INSERT INTO verdicts VALUES (3, 9, 9, NULL, 0, 0)",
            "INSERT INTO corrections (made_at, made_by, kind, content_hash, photo_id, face_id, box, value) VALUES"
            " ('2026-01-02T00:00:00.000Z', 'user', 'age', 'abc', 7, 3, '[0.1, 0.2, 0.3, 0.4]', '"
            '{"low": 9, "high": 9}' + "')",
            "INSERT INTO photo_groups VALUES (7, 'children', 1, 0.9)",
            "INSERT INTO tags VALUES (1, 7, 'People/Children', 'auto', 0.9, 'applied', '2026-01-01T00:00:00.000Z')",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return file


def test_an_old_database_is_brought_up_to_date_with_all_that_it_holds(old: Path) -> None:
    open_database(str(old)).close()
    connection = sqlite3.connect(f"file:{old}?mode=ro", uri=True)
    for view, columns in PROMISED.items():
        found = [row[1] for row in connection.execute(f"PRAGMA table_info({view})")]
        assert found[: len(columns.split())] == columns.split(), view
    assert connection.execute("SELECT photo_id, full_path, faces, p_children FROM v1_photos").fetchall() == [
        (7, "/photos/a/b.jpg", 1, 0.9)
    ]
    assert connection.execute("SELECT face_id, age, age_source, embedding FROM v1_faces").fetchall() == [
        (3, 9, "user", b"\x00\x3c\x00\x00")
    ]
    assert connection.execute("SELECT tag, state FROM v1_tags").fetchall() == [("People/Children", "applied")]
    assert connection.execute("SELECT name, photo_id FROM v1_groups").fetchall() == [("children", 7)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    (backup,) = old.parent.glob("old.db.*.backup")
    before = sqlite3.connect(backup)
    assert before.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    before.close()


def test_an_old_databases_corrections_can_be_undone(old: Path) -> None:
    plugin = Plugin({"database.url": f"sqlite:///{old}"})
    plugin.start()
    try:
        assert [(entry.kind, entry.face_id) for entry in plugin.corrections()] == [("age", 3)]
        plugin.undo()
        assert plugin.face(3).age == 5
    finally:
        plugin.stop()


def test_the_way_back_leads_to_the_first_tables(old: Path) -> None:
    def tables(file: Path) -> dict[str, list[tuple]]:
        connection = sqlite3.connect(file)
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: sorted(connection.execute(f"PRAGMA table_info({name})").fetchall()) for name in names}
        connection.close()
        return {name: [column[1:3] for column in columns] for name, columns in found.items()}

    before = tables(old)
    database = open_database(str(old))
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")))
    with database.engine.execution_options(writes=True).begin() as connection:
        for view in views.VIEWS:
            connection.exec_driver_sql(f"DROP VIEW {view.name}")
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    database.close()
    after = tables(old)
    assert {name: sorted(columns) for name, columns in before.items()} == {
        name: sorted(columns) for name, columns in after.items() if name in before
    }


def test_the_manifest_names_the_views() -> None:
    manifest = resources.find("plugin.toml").read_text(encoding="utf-8")
    assert re.search(r"^views = \[(.*)\]$", manifest, re.MULTILINE)[1].replace('"', "").split(", ") == [  # type: ignore[index]
        view.name for view in views.VIEWS
    ]


# ---- A host with sqlite3 alone


def alone(*words: str | Path) -> str:
    """Run Python without any installed package: what works here does not import Rollcall."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_host_without_rollcall_keeps_its_catalogue_in_step(
    indexer: Indexer, database: Database, library: Path, tmp_path: Path
) -> None:
    file, own = Path(database.engine.url.database or ""), tmp_path / "own.db"

    def catalogue() -> set[tuple]:
        alone(EXAMPLE, file, own)
        connection = sqlite3.connect(own)
        rows = connection.execute("SELECT path, state, tag FROM photos LEFT JOIN tags USING (photo_id)").fetchall()
        connection.close()
        return {(Path(path).name, state, tag) for path, state, tag in rows}

    draw(library / "kid.png", (5, 255))
    draw(library / "old.png", (80, 0), seed=1)
    indexer.run([library])
    expected = {
        ("kid.png", "indexed", "People/Children"),
        ("old.png", "indexed", "People/Adults"),
        ("old.png", "indexed", "People/Seniors"),
    }
    assert catalogue() == expected
    draw(library / "third.png", seed=2)
    (library / "old.png").rename(library / "older.png")
    (library / "kid.png").unlink()
    indexer.run([library])
    assert catalogue() == {
        ("kid.png", "missing", "People/Children"),
        ("older.png", "indexed", "People/Adults"),
        ("older.png", "indexed", "People/Seniors"),
        ("third.png", "indexed", None),
    }
    with database.write() as session:
        session.execute(text("DELETE FROM events WHERE id < (SELECT MAX(id) FROM events) - 1"))
    (library / "third.png").unlink()
    indexer.run([library])
    assert ("third.png", "missing", None) in catalogue()


def test_a_host_without_rollcall_pages_by_tag_and_group(indexer: Indexer, database: Database, library: Path) -> None:
    for number in range(5):
        draw(library / f"{number}.png", (5, 255), seed=number)
    indexer.run([library])
    for words in (("--tag", "People/Children"), ("--group", "children")):
        out = alone(EXAMPLE, database.engine.url.database or "", *words)
        assert sorted(re.findall(r"(\d)\.png", out)) == list("01234")


_PAGER = """
import importlib.util, json, select, sqlite3, sys
spec = importlib.util.spec_from_file_location("catalogue", sys.argv[1])
catalogue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(catalogue)
# No patience at all: whatever would have to wait for the writer fails.
connection = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True, isolation_level=None, timeout=0)
rounds, most = 0, 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for pages in (
        catalogue.pages(connection, "People/Children", 7),
        catalogue.newest(connection, "People/Children", 7),
        catalogue.likeliest(connection, "children", 0.5, 7),
    ):
        ids = [row[0] for page in pages for row in page]
        assert len(ids) == len(set(ids)), "a photo came twice"
        most = max(most, len(ids))
    rounds += 1
print(json.dumps({"rounds": rounds, "most": most, "modules": "rollcall" in sys.modules}))
"""


def test_a_host_pages_while_the_indexer_writes_and_is_never_locked_out(database: Database, library: Path) -> None:
    for number in range(60):
        draw(library / f"{number}.png", (5, 255), seed=number)
    file = database.engine.url.database or ""
    indexer = Indexer(database, BlobAnalyzer(), Settings())
    indexer.run([library])
    command_line = [sys.executable, "-I", "-S", "-c", _PAGER, str(EXAMPLE), file]
    with subprocess.Popen(
        command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        stop = threading.Event()
        written = 0
        timer = threading.Timer(4, stop.set)
        timer.start()
        while not stop.is_set():
            written += indexer.run([library], force=True).indexed
        out, problems = host.communicate("stop\n", timeout=60)
        timer.join()
    assert host.returncode == 0, problems
    found = json.loads(out)
    assert written >= 60 and found["rounds"] >= 2
    assert found["most"] == 60 and not found["modules"]


# ---- How the documented queries are run


@pytest.fixture
def many(database: Database) -> Database:
    """Enough rows for SQLite to mind how it goes about them."""
    with database.write() as session:
        connection = session.connection()
        connection.exec_driver_sql("INSERT INTO roots VALUES (1, '/photos', '')")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            " INSERT INTO photos (id, root_id, path, size, mtime_ns, taken_local, state, reviewed, face_count)"
            " SELECT i, 1, i || '.jpg', 1, 1, CASE WHEN i % 10 THEN '20' || (10 + i % 10) || '-01-01T00:00:00' END,"
            " 'indexed', 0, 1 FROM n"
        )
        connection.exec_driver_sql(
            "INSERT INTO tags (photo_id, name, source, state, created_at, probability)"
            " SELECT id, 'People/Children', 'auto', 'applied', '', 0.9 FROM photos WHERE id % 3"
        )
        connection.exec_driver_sql("INSERT INTO photo_groups SELECT id, 'children', 1, (id % 50) / 50.0 FROM photos")
        connection.exec_driver_sql("INSERT INTO events (happened_at, kind) SELECT '', 'photo_indexed' FROM photos")
    return database


def plan(database: Database, sql: str, values: dict[str, object]) -> str:
    connection = sqlite3.connect(database.engine.url.database or "")
    found = "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    connection.close()
    return found


def test_every_page_is_read_off_an_index(many: Database, example: ModuleType) -> None:
    values: dict[str, object] = {
        "tag": "x",
        "after": 0,
        "size": 5,
        "taken": "2015",
        "before": 9,
        "name": "children",
        "least": 0.5,
        "probability": 1.0,
        "cursor": 0,
        "few": 10,
    }

    def steps(sql: str) -> str:
        names = set(re.findall(r":(\w+)", sql))
        return plan(many, sql, {name: value for name, value in values.items() if name in names})

    sorted_by_hand = example.NEWEST.format(source=example.FEW)
    for sql in (
        example.BY_TAG,
        example.NEWEST.format(source=example.MANY),
        example.UNDATED.format(source=example.MANY),
        example.LIKELIEST,
        example.CHANGES,
        example.COUNT,
    ):
        assert "TEMP B-TREE" not in steps(sql), sql
        assert not re.search(r"^SCAN (?!\(subquery)", steps(sql), re.MULTILINE), (sql, steps(sql))
    assert "ix_tags_name_state_photo_id" in steps(example.BY_TAG)
    assert "ix_photos_taken_local" in steps(example.NEWEST.format(source=example.MANY))
    assert "ix_photo_groups_ranked" in steps(example.LIKELIEST)
    assert steps(sorted_by_hand).startswith("SEARCH t USING COVERING INDEX ix_tags_name_state_photo_id")


def test_all_ways_to_page_give_each_photo_once_in_order(many: Database, example: ModuleType) -> None:
    connection = example.connect(Path(many.engine.url.database or ""))
    try:
        expected = connection.execute(
            "SELECT photo_id FROM v1_photos JOIN v1_tags USING (photo_id)"
            " ORDER BY taken_local IS NULL, taken_local DESC, photo_id DESC"
        ).fetchall()
        for few in (1, 10**6):  # through the dates, and through the tag
            example.IS_FEW = few
            found = [row[0] for page in example.newest(connection, "People/Children", 70) for row in page]
            assert found == [row[0] for row in expected]
        by_number = [row[0] for page in example.pages(connection, "People/Children", 70) for row in page]
        assert by_number == sorted(found)
        ranked = [row for page in example.likeliest(connection, "children", 0.5, 70) for row in page]
        assert ranked == sorted(ranked, key=lambda row: (-row[2], row[0])) and len(ranked) == 1500
    finally:
        connection.close()


def sql_of_the_guide() -> list[str]:
    page = (ROOT / "docs" / "host-guide.md").read_text(encoding="utf-8")
    return re.findall(r"```sql\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("sql", sql_of_the_guide())
def test_the_queries_of_the_guide_run_and_use_an_index(many: Database, sql: str) -> None:
    for statement in filter(str.strip, sql.split(";")):
        values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
        steps = plan(many, statement, values)
        assert "TEMP B-TREE" not in steps, steps
        assert not re.search(r"^SCAN (?!\(subquery)(?!.*COVERING)", steps, re.MULTILINE), steps
