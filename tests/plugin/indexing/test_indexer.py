"""The effect of index runs on the database."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import event, text, update

from blobs import BlobAnalyzer, draw
from rollcall import events
from rollcall.detector_settings import DetectorSettings
from rollcall.errors import LibraryError, StoreError
from rollcall.indexing.batch import AnalysedPhoto, BatchStore
from rollcall.indexing.indexer import Indexer
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import TagRow


def rows(database: Database, sql: str) -> list[tuple]:
    with database.read() as session:
        return [tuple(row) for row in session.execute(text(sql))]


def states(database: Database) -> dict[str, str]:
    return dict(rows(database, "SELECT path, state FROM v1_photos"))


def test_a_folder_becomes_photos_and_faces(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 255), (40, 0))
    draw(library / "deep" / "er" / "b.png")
    summary = indexer.run([library])
    assert (summary.photos, summary.indexed, summary.faces, summary.failed) == (2, 2, 2, 0)
    assert states(database) == {"a.png": "indexed", "deep/er/b.png": "indexed"}
    ((x, y, width, height, age, p_children, gender),) = rows(
        database, "SELECT x, y, width, height, age, p_children, gender FROM v1_faces ORDER BY x LIMIT 1"
    )
    assert (x, y, width, height) == pytest.approx((10 / 200, 50 / 120, 30 / 200, 30 / 120))
    assert (age, p_children, gender) == (pytest.approx(5), 1.0, "female")
    assert rows(database, "SELECT faces, p_children FROM v1_photos ORDER BY path") == [(2, 1.0), (0, None)]


@pytest.mark.parametrize("shown", [False, True])
def test_of_many_photos_two_batches_are_stored_at_once_unless_they_are_shown(
    database: Database, library: Path, shown: bool
) -> None:
    for number in range(8):
        draw(library / f"{number}.png", seed=number)
    indexer = Indexer(database, BlobAnalyzer(), Settings(detector=DetectorSettings(batch=1)))
    if shown:
        indexer.tools.picture_listener = lambda picture: None
    assert indexer.run([library]).indexed == 8
    # Each transaction has a number of its own.
    assert rows(database, "SELECT COUNT(DISTINCT revision) FROM photos") == [(8 if shown else 4,)]


def test_a_batch_of_new_photos_takes_as_many_statements_as_a_smaller_one(
    indexer: Indexer, database: Database, library: Path
) -> None:
    counts: list[int] = []
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]), named=False)

    def store(batch: Sequence[AnalysedPhoto], began: str) -> list[tuple[int, int]]:
        statements.clear()
        stored = BatchStore.store(indexer.pipeline.store, batch, began)
        counts.append(len(statements))
        return stored

    for batch in (1, 2, 8):  # the first one asks what later ones know
        for number in range(batch):
            draw(library / f"{batch}-{number}.png", (5, 255), (40, 0), seed=number)
        with mock.patch.object(indexer.pipeline.store, "store", store):
            assert indexer.run([library]).indexed == batch
    assert 0 < counts[1] == counts[2], statements


def test_photos_that_are_new_are_stored_as_they_are_when_analysed_again(
    indexer: Indexer, database: Database, library: Path
) -> None:
    for number, faces in enumerate([((5, 255), (40, 0)), (), ((70, 100),), ((30, 255), (31, 255), (2, 0))]):
        draw(library / f"{number}.png", *faces, seed=number)
    kept = (
        "SELECT id, path, state, face_count, width, height, content_hash, look, error, model_version FROM photos",
        "SELECT * FROM faces ORDER BY id",
        "SELECT * FROM predictions ORDER BY face_id",
        "SELECT * FROM embeddings ORDER BY face_id",
        "SELECT * FROM photo_groups ORDER BY photo_id, name, at_least",
        "SELECT photo_id, name, source, probability, state FROM tags ORDER BY photo_id, name",
    )
    indexer.run([library])
    new = [rows(database, sql) for sql in kept]
    indexer.run([library], force=True)
    assert [rows(database, sql) for sql in kept] == new
    assert all(new)


def test_a_second_run_analyses_nothing(indexer: Indexer, analyzer: BlobAnalyzer, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    summary = indexer.run([library])
    assert (summary.photos, summary.skipped, summary.indexed) == (1, 1, 0)
    assert analyzer.seen == 1


def test_a_changed_photo_is_analysed_again_and_its_face_keeps_its_number(
    indexer: Indexer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    before = rows(database, "SELECT face_id FROM v1_faces")
    draw(library / "a.png", (70, 255), (5, 0), seed=9)
    os.utime(library / "a.png", ns=(1, 1))
    assert indexer.run([library]).indexed == 1
    after = rows(database, "SELECT face_id, ROUND(age), x > 0.2 FROM v1_faces ORDER BY face_id")
    # Matched by its embedding: another person is at its old place.
    assert after[0] == (before[0][0], 5, True)
    assert after[1][1:] == (70, False)


def test_somebody_else_at_the_same_place_is_another_face(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    draw(library / "a.png", (30, 0), seed=9)
    os.utime(library / "a.png", ns=(1, 1))
    indexer.run([library])
    assert rows(database, "SELECT face_id, ROUND(age) FROM v1_faces") == [(2, 30)]


def test_another_model_version_analyses_photos_again(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    analyzer.model_version = "blobs-2"
    assert indexer.run([library]).indexed == 1
    assert rows(database, "SELECT model_version FROM v1_faces") == [("blobs-2",)]


def test_moved_and_renamed_photos_are_recognised(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    draw(library / "b.png", (50, 0), seed=2)
    indexer.run([library])
    before = dict(rows(database, "SELECT path, photo_id FROM v1_photos"))
    faces = rows(database, "SELECT face_id, photo_id FROM v1_faces ORDER BY face_id")
    (library / "new").mkdir()
    (library / "a.png").rename(library / "new" / "renamed.png")
    summary = indexer.run([library])
    assert (summary.moved, summary.indexed, analyzer.seen) == (1, 0, 2)
    after = dict(rows(database, "SELECT path, photo_id FROM v1_photos"))
    assert after == {"new/renamed.png": before["a.png"], "b.png": before["b.png"]}
    assert rows(database, "SELECT face_id, photo_id FROM v1_faces ORDER BY face_id") == faces
    assert set(states(database).values()) == {"indexed"}


def test_a_copy_is_a_photo_of_its_own(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    shutil.copy(library / "a.png", library / "copy.png")
    summary = indexer.run([library])
    assert (summary.moved, summary.indexed) == (0, 1)
    assert states(database) == {"a.png": "indexed", "copy.png": "indexed"}


def test_of_two_copies_of_a_lost_file_one_is_the_lost_one(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    shutil.copy(library / "a.png", library / "x.png")
    shutil.move(library / "a.png", library / "y.png")
    summary = indexer.run([library])
    assert (summary.moved, summary.indexed) == (1, 1)
    assert states(database) == {"x.png": "indexed", "y.png": "indexed"}


def test_a_missing_photo_is_marked_and_its_faces_stay(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    draw(library / "b.png", (6, 0), seed=1)
    indexer.run([library])
    away = (library / "a.png").rename(library.parent / "away.png")
    assert indexer.run([library]).missing == 1
    assert states(database)["a.png"] == "missing"
    assert len(rows(database, "SELECT 1 FROM v1_faces")) == 2
    away.rename(library / "a.png")
    summary = indexer.run([library])
    assert (summary.skipped, summary.indexed, analyzer.seen) == (2, 0, 2)
    assert states(database)["a.png"] == "indexed"


@pytest.mark.parametrize("empty", [True, False])
def test_a_root_that_is_gone_or_empty_marks_nothing(
    indexer: Indexer, database: Database, library: Path, empty: bool
) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    (library / "a.png").unlink()
    if not empty:
        library.rmdir()
    with pytest.raises(LibraryError, match="nothing was marked as missing"):
        indexer.run([library])
    assert states(database) == {"a.png": "indexed"}


def test_one_missing_root_does_not_stop_the_others(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    summary = indexer.run([library, library.parent / "nowhere"])
    assert summary.indexed == 1
    assert "nowhere" in summary.warnings[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"no picture at all", "not a picture"), (b"\x89PNG\r\n\x1a\n" + bytes(50), "")],
)
def test_a_bad_file_is_recorded_and_not_tried_again(
    indexer: Indexer, database: Database, library: Path, content: bytes, reason: str
) -> None:
    draw(library / "good.png", (5, 0))
    (library / "bad.png").write_bytes(content)
    summary = indexer.run([library])
    assert (summary.indexed, summary.failed) == (1, 1)
    ((state, error),) = rows(database, "SELECT state, error FROM v1_photos WHERE path = 'bad.png'")
    assert state == "failed" and reason in error
    assert indexer.run([library]).failed == 0
    assert indexer.run([library], force=True).failed == 1
    draw(library / "bad.png", (7, 0))
    assert indexer.run([library]).indexed == 1


def test_a_photo_that_fails_the_analysis_does_not_fail_its_batch(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    for number in range(5):
        draw(library / f"{number}.png", (5, 0), seed=number)
    analyzer.refuse = {"3.png"}
    summary = indexer.run([library])
    assert (summary.indexed, summary.failed) == (4, 1)
    assert states(database)["3.png"] == "failed"


def test_photos_of_a_folder_that_was_renamed_are_moved_and_not_missing(
    indexer: Indexer, database: Database, library: Path
) -> None:
    for number in range(3):
        draw(library / "in" / f"{number}.png", (5 + number, 0), seed=number)
    indexer.run([library])
    (library / "in").rename(library / "elsewhere")
    (library / "elsewhere" / "2.png").unlink()
    summary = indexer.run([library])
    assert (summary.moved, summary.missing, summary.indexed) == (2, 1, 0)
    assert states(database) == {"elsewhere/0.png": "indexed", "elsewhere/1.png": "indexed", "in/2.png": "missing"}


def test_a_folder_inside_a_known_root_belongs_to_it(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "in" / "a.png", (5, 0))
    draw(library / "b.png", (6, 0), seed=1)
    indexer.run([library])
    draw(library / "in" / "c.png", (8, 0), seed=3)
    summary = indexer.run([library / "in"])
    assert (summary.photos, summary.skipped, summary.indexed, summary.missing) == (2, 1, 1, 0)
    assert len(rows(database, "SELECT DISTINCT root FROM v1_photos")) == 1


def test_a_root_above_known_ones_takes_them_in(
    indexer: Indexer, analyzer: BlobAnalyzer, database: Database, library: Path
) -> None:
    draw(library / "in" / "a.png", (5, 0))
    draw(library / "b.png", (6, 0), seed=1)
    indexer.run([library / "in"])
    before = rows(database, "SELECT photo_id FROM v1_photos")
    indexer.run([library])
    assert states(database) == {"in/a.png": "indexed", "b.png": "indexed"}
    assert analyzer.seen == 2
    assert rows(database, "SELECT photo_id FROM v1_photos WHERE path = 'in/a.png'") == before


def test_updates_of_single_files_and_folders(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    draw(library / "folder" / "b.png", (6, 0), seed=1)
    assert indexer.update([library / "folder"]).indexed == 1
    (library / "a.png").rename(library / "c.png")
    summary = indexer.update([library / "a.png", library / "c.png"])
    assert (summary.moved, summary.indexed) == (1, 0)
    shutil.rmtree(library / "folder")
    assert indexer.update([library / "folder"]).missing == 1
    assert states(database) == {"c.png": "indexed", "folder/b.png": "missing"}
    assert indexer.update([Path("/elsewhere/x.png")]).photos == 0


def test_tags_of_people_stay_after_a_reanalysis(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    assert ("People/Children", "auto", "applied") in rows(database, "SELECT tag, source, state FROM v1_tags")
    with database.write() as session:
        session.execute(update(TagRow).where(TagRow.name == "People/Children").values(state="rejected"))
        session.add(
            TagRow(photo_id=1, name="People/Adults", source="user", probability=None, state="applied", created_at="")
        )
    indexer.run([library], force=True)
    found = rows(database, "SELECT tag, source, state FROM v1_tags")
    assert ("People/Children", "auto", "rejected") in found
    assert ("People/Adults", "user", "applied") in found


def test_a_run_stops_when_asked_and_goes_on_later(database: Database, analyzer: BlobAnalyzer, library: Path) -> None:
    for number in range(12):
        draw(library / f"{number:02}.png", (5, 0), seed=number)
    stop = threading.Event()

    def stop_at_the_first(event: events.Event) -> None:
        if isinstance(event, events.PhotoIndexed):
            stop.set()

    indexer = Indexer(database, analyzer, Settings(detector=DetectorSettings(batch=2)), stop_at_the_first)
    first = indexer.run([library], stop=stop)
    assert 0 < first.indexed < 12
    second = indexer.run([library])
    assert first.indexed + second.indexed == 12
    assert set(states(database).values()) == {"indexed"}


def test_only_one_process_indexes_at_a_time(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    other = open_database(database.engine.url.database or "")
    with other.indexing(), pytest.raises(StoreError, match="another Rollcall"):
        indexer.run([library])
    other.close()


def test_readers_do_not_wait_for_the_writer(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    reader = sqlite3.connect(f"file:{database.engine.url.database}?mode=ro", uri=True, timeout=0)
    with database.write() as session:
        session.execute(text("UPDATE photos SET error = 'x'"))
        assert reader.execute("SELECT error FROM v1_photos").fetchall() == [(None,)]
    assert reader.execute("SELECT error FROM v1_photos").fetchall() == [("x",)]
    reader.close()


def test_file_names_that_are_not_text_are_stored(indexer: Indexer, database: Database, library: Path) -> None:
    draw(library / "plain.png", (5, 0))
    odd = os.fsencode(library) + b"/caf\xe9\n'\".png"
    try:
        os.rename(os.fsencode(library / "plain.png"), odd)
    except OSError:
        pytest.skip("this file system takes valid names only")
    assert indexer.run([library]).indexed == 1
    assert indexer.run([library]).skipped == 1
    assert [path for (path,) in rows(database, "SELECT path FROM v1_photos")] == ["caf\uf7e9\n'\".png"]


_CHILD = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from blobs import BlobAnalyzer
    from rollcall.indexing.indexer import Indexer
    from rollcall.settings import Settings, DetectorSettings
    from rollcall.storage.database import open_database

    class Slow(BlobAnalyzer):
        def analyze(self, pictures):
            time.sleep(0.02)
            return super().analyze(pictures)

    database = open_database(sys.argv[1])
    print("ready", flush=True)
    Indexer(database, Slow(), Settings(detector=DetectorSettings(batch=3))).run([Path(sys.argv[2])])
"""


def _content(file: Path) -> dict[str, list[tuple]]:
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {
            "photos": sorted(
                connection.execute("SELECT path, state, faces, content_hash, width, height, p_children FROM v1_photos")
            ),
            "faces": sorted(
                connection.execute(
                    "SELECT p.path, f.x, f.y, f.age, f.p_female, f.embedding FROM v1_faces f"
                    " JOIN v1_photos p USING (photo_id)"
                )
            ),
            "tags": sorted(
                connection.execute("SELECT p.path, t.tag, t.state FROM v1_tags t JOIN v1_photos p USING (photo_id)")
            ),
        }
    finally:
        connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kills_at_any_moment_lose_nothing(indexer: Indexer, database: Database, library: Path, tmp_path: Path) -> None:
    for number in range(60):
        draw(library / f"{number:02}.png", *[(5 + number, 0)] * (number % 4), seed=number)
    (library / "bad.png").write_bytes(b"bad")
    indexer.run([library])
    file = tmp_path / "killed.db"
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(_CHILD.format(tests=str(Path(__file__).resolve().parents[2]))))
    for attempt in range(4):
        child = subprocess.Popen([sys.executable, str(script), str(file), str(library)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.02 + 0.06 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    subprocess.run([sys.executable, str(script), str(file), str(library)], check=True, capture_output=True)
    database.close()
    assert _content(file) == _content(tmp_path / "data" / "rollcall.db")
