"""Erasure: no byte of the erased data is left in any file, and it is not stored again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import corrections, events
from rollcall.cli import cli
from rollcall.errors import LibraryError, RequestError, StoreError
from rollcall.host import Plugin
from rollcall.storage import sqlite
from rollcall.storage.estimates import pack


def vector(age: int, blue: int) -> bytes:
    """Return the stored embedding of a drawn face."""
    found = np.random.default_rng([age, blue]).normal(size=128).astype(np.float32)
    return pack(found / np.linalg.norm(found))


def traces(folder: Path, embedding: bytes) -> dict[str, int]:
    """Return, by file of a folder, how many of all 16-byte runs of an embedding it contains; others are left out."""
    runs = [embedding[start : start + 16] for start in range(len(embedding) - 15)]
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            count = sum(run in content for run in runs)
            if count:
                found[file.name] = count
    return found


@pytest.fixture
def events_seen() -> list[events.Event]:
    return []


@pytest.fixture
def plugin(tmp_path: Path, events_seen: list[events.Event]) -> Iterator[Plugin]:
    made = Plugin(
        {"database.url": f"sqlite:///{tmp_path / 'data' / 'r.db'}", "cache.folder": str(tmp_path / "data" / "cache")},
        events_seen.append,
        analyzer=BlobAnalyzer(),
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def filled(plugin: Plugin, library: Path, data: Path) -> Plugin:
    """Three photos: two faces in a.png, one in sub/b.png, one in c.png; a copy, a matrix, thumbnails, corrections."""
    draw(library / "a.png", (5, 255), (40, 0))
    draw(library / "sub" / "b.png", (60, 255), seed=1)
    draw(library / "c.png", (30, 0), seed=2)
    plugin.index([library])
    plugin.correct(corrections.age(face(plugin, 5), 6), corrections.gender(face(plugin, 40), "male"))
    plugin.correct(corrections.age(face(plugin, 60), 61))
    plugin.undo()
    plugin.redo()
    assert plugin.search(f"similar:face:{face(plugin, 30)}")  # makes the matrix
    sqlite.back_up(data / "r.db", 3)
    thumbnail = plugin.settings.thumbnail_folder / "1" / "face.jpg"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"a face")
    return plugin


def face(plugin: Plugin, age: int) -> int:
    """Return the face that was drawn with an age."""
    return rows(plugin, "SELECT face_id FROM v1_faces ORDER BY ABS(age - :age) LIMIT 1", age=age)[0][0]


def photo(plugin: Plugin, path: str) -> int:
    return rows(plugin, "SELECT photo_id FROM v1_photos WHERE path = :path", path=path)[0][0]


def rows(plugin: Plugin, sql: str, **values: object) -> list[tuple]:
    with plugin.database.read() as session:
        return [tuple(row) for row in session.execute(text(sql), values)]


def ages(plugin: Plugin) -> list[int]:
    with plugin.database.read() as session:
        return sorted(round(age) for (age,) in session.execute(text("SELECT age FROM predictions")))


def test_an_erased_face_is_in_no_file(filled: Plugin, data: Path) -> None:
    gone, other = vector(5, 255), vector(40, 0)
    before = traces(data, gone)
    assert "r.db.vectors" in before and {"r.db", "r.db-wal"} & before.keys()
    assert any(name.endswith(".backup") for name in before)
    report = filled.forget(f"face:{face(filled, 6)}")
    assert traces(data, gone) == {}
    assert traces(data, other)["r.db"] > 200
    assert (report.photos, report.faces, report.estimates, report.embeddings, report.corrections) == (0, 1, 1, 2, 1)
    assert {file.name.split(".")[-1] for file in report.files} == {"backup", "vectors", "jpg"}
    assert report.bytes > 0
    assert ages(filled) == [30, 40, 60]


def test_an_erased_face_is_not_stored_again(filled: Plugin, library: Path, data: Path) -> None:
    filled.forget(f"face:{face(filled, 6)}")
    shutil.copy(library / "a.png", library / "copy.png")
    (library / "a.png").rename(library / "sub" / "renamed.png")
    filled.index([library], force=True)
    filled.index([library], force=True)
    assert ages(filled) == [30, 40, 40, 60]
    assert traces(data, vector(5, 255)) == {}
    assert rows(filled, "SELECT faces FROM v1_photos ORDER BY path") == [(1,)] * 4


def test_an_erased_face_that_was_moved_by_hand_is_not_stored_again(filled: Plugin, library: Path) -> None:
    number = face(filled, 30)
    where = filled.face(number).box
    filled.correct(corrections.move(number, where._replace(x=where.x + 0.4)))
    filled.forget(f"face:{number}")
    filled.index([library], force=True)
    assert 30 not in ages(filled)


def test_an_erased_face_is_erased_from_copies_of_its_photo(filled: Plugin, library: Path, data: Path) -> None:
    shutil.copy(library / "a.png", library / "copy.png")
    filled.index([library])
    assert filled.forget(f"face:{face(filled, 6)}").faces == 2
    assert traces(data, vector(5, 255)) == {}


def test_an_erased_photo_is_in_no_file_and_not_stored_again_under_any_name(
    filled: Plugin, library: Path, data: Path
) -> None:
    report = filled.forget(f"photo:{photo(filled, 'a.png')}")
    assert (report.photos, report.faces, report.corrections) == (1, 2, 2)
    assert traces(data, vector(5, 255)) == traces(data, vector(40, 0)) == {}
    seen = filled.analyzer.seen  # type: ignore[attr-defined]
    assert filled.index([library]).indexed == 0
    (library / "a.png").rename(library / "b.png")
    os.utime(library / "b.png", ns=(5, 5))
    assert filled.index([library], force=True).indexed == 2
    assert filled.analyzer.seen == seen + 2, "the networks analysed it"  # type: ignore[attr-defined]
    assert rows(filled, "SELECT path FROM v1_photos ORDER BY path") == [("c.png",), ("sub/b.png",)]
    assert traces(data, vector(5, 255)) == {}


def test_an_erased_photo_is_indexed_again_when_it_is_named(filled: Plugin, library: Path) -> None:
    filled.forget(f"photo:{photo(filled, 'a.png')}")
    assert filled.index([library / "a.png"], again=True).indexed == 1
    assert ages(filled) == [5, 30, 40, 60]


def test_naming_a_file_lifts_the_tombstones_of_its_faces(filled: Plugin, library: Path) -> None:
    filled.forget(f"face:{face(filled, 6)}")
    assert filled.index([library / "a.png"], again=True, force=True).faces == 2
    assert ages(filled) == [5, 30, 40, 60]


def test_an_erased_folder_is_not_indexed_until_it_is_named(filled: Plugin, library: Path, data: Path) -> None:
    report = filled.forget(library / "sub")
    assert (report.photos, report.faces, report.corrections) == (1, 1, 3)
    assert traces(data, vector(60, 255)) == {}
    draw(library / "sub" / "new.png", (70, 0), seed=7)
    assert filled.index([library], again=True).indexed == 0
    with pytest.raises(LibraryError, match="was forgotten"):
        filled.index([library / "sub"])
    assert filled.index([library / "sub"], again=True).indexed == 2


def test_an_erased_root_is_no_root_any_more(filled: Plugin, library: Path) -> None:
    assert filled.forget(library).photos == 3
    assert rows(filled, "SELECT COUNT(*) FROM roots") == [(0,)]
    with pytest.raises(LibraryError, match="was forgotten"):
        filled.index([library])
    assert filled.index([library], again=True).indexed == 3


def test_a_file_is_erased_by_its_path(filled: Plugin, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library / "sub")
    assert filled.forget("../c.png").photos == 1
    assert filled.index([library]).indexed == 0


def test_erasing_embeddings_erases_nothing_else(filled: Plugin, data: Path) -> None:
    report = filled.forget(embeddings=True)
    assert (report.embeddings, report.faces, report.corrections) == (4 + 3, 0, 0)
    for age, blue in ((5, 255), (40, 0), (60, 255), (30, 0)):
        assert traces(data, vector(age, blue)) == {}
    assert "attributes.embeddings is on" in report.notes[0]
    assert len(filled.corrections()) == 5


def test_erasing_ages_and_genders_leaves_corrections(filled: Plugin) -> None:
    assert filled.search("kids", min_probability=0.5)
    report = filled.forget(ages=True, genders=True)
    assert (report.estimates, report.embeddings) == (4, 0)
    assert rows(filled, "SELECT age_source, COUNT(*) FROM v1_faces GROUP BY 1 ORDER BY 1") == [(None, 2), ("user", 2)]
    assert rows(filled, "SELECT COUNT(*) FROM v1_faces WHERE gender_source = 'model'") == [(0,)]
    assert [hit.path.name for hit in filled.search("kids", min_probability=0.5)] == ["a.png"]


def test_erasing_everything_leaves_no_bytes_and_does_not_reuse_numbers(
    filled: Plugin, library: Path, data: Path
) -> None:
    last = rows(filled, "SELECT MAX(event_id) FROM v1_events")[0][0]
    assert filled.forget(everything=True).photos == 3
    for age, blue in ((5, 255), (40, 0), (60, 255), (30, 0)):
        assert traces(data, vector(age, blue)) == {}
    assert traces(data, os.fsencode(library)) == {}, "the folder's name is still there"
    assert rows(filled, "SELECT event_id > :last, kind, photo_id FROM v1_events", last=last) == [
        (1, "photo_forgotten", None)
    ]
    filled.index([library])
    assert rows(filled, "SELECT MIN(photo_id) FROM v1_photos") == [(4,)]


def test_rows_that_were_deleted_earlier_are_scrubbed_too(filled: Plugin, library: Path, data: Path) -> None:
    (library / "a.png").unlink()
    draw(library / "a.png", (41, 0), seed=9)
    filled.index([library], force=True)  # the child's row is deleted, its bytes may still be in the file
    filled.forget(f"photo:{photo(filled, 'c.png')}")
    assert traces(data, vector(30, 0)) == {}


def test_a_dry_run_reports_the_same_and_changes_nothing(filled: Plugin, library: Path, data: Path) -> None:
    before = {file: file.stat().st_size for file in data.rglob("*.backup")}
    planned = filled.forget(library / "sub", embeddings=True, dry_run=True)
    assert planned.dry_run and ages(filled) == [5, 30, 40, 60]
    assert {file: file.stat().st_size for file in data.rglob("*.backup")} == before
    done = filled.forget(library / "sub", embeddings=True)
    assert replace(done, bytes=0, notes=[]) == replace(planned, bytes=0, dry_run=False)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("face:99", "no face 99"),
        ("photo:99", "no photo 99"),
        ("face:x", "face:12"),
        ("/elsewhere/x.png", "no folder of the library"),
        ("{library}/unknown.png", "no photos there"),
    ],
)
def test_an_unknown_target_is_an_error_and_nothing_is_erased(
    filled: Plugin, library: Path, target: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        filled.forget(f"photo:{photo(filled, 'a.png')}", target.format(library=library))
    assert ages(filled) == [5, 30, 40, 60]


def test_a_reader_that_blocks_the_scrub_is_an_error_and_the_next_call_finishes(filled: Plugin, data: Path) -> None:
    reader = sqlite3.connect(f"file:{data / 'r.db'}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM v1_faces").fetchone()
    with pytest.raises(StoreError, match="close it and run `rollcall forget` again"):
        filled.forget(f"face:{face(filled, 6)}", wait=0.2)
    reader.execute("COMMIT")
    reader.close()
    filled.forget()
    assert traces(data, vector(5, 255)) == {}


def test_the_next_run_finishes_an_interrupted_erasure(filled: Plugin, library: Path, data: Path) -> None:
    reader = sqlite3.connect(f"file:{data / 'r.db'}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM v1_faces").fetchone()
    with pytest.raises(StoreError):
        filled.forget(f"face:{face(filled, 6)}", wait=0.2)
    reader.close()
    filled.index([library])
    assert traces(data, vector(5, 255)) == {}


@contextmanager
def held_elsewhere(lock: Path) -> Iterator[IO[str]]:
    """Hold a lock in another process until what is given is closed."""
    script = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None and other.stdout.readline() == "held\n"
        yield other.stdin


def test_erasure_waits_for_another_process_that_indexes(filled: Plugin, data: Path) -> None:
    released = threading.Event()
    with held_elsewhere(data / "r.db.lock") as held:

        def release() -> None:
            released.set()
            held.close()

        threading.Timer(0.3, release).start()
        filled.forget(f"face:{face(filled, 6)}", wait=60)
        assert released.is_set()


def test_erasure_waits_for_another_process_no_longer_than_asked(filled: Plugin, data: Path) -> None:
    with held_elsewhere(data / "r.db.lock"), pytest.raises(StoreError, match="indexing into this database"):
        filled.forget(embeddings=True, wait=0.1)


def test_readers_see_a_consistent_state_during_an_erasure(filled: Plugin, data: Path) -> None:
    errors: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        connection = sqlite3.connect(f"file:{data / 'r.db'}?mode=ro", uri=True, timeout=60)
        try:
            while not stop.is_set():
                assert connection.execute("SELECT COUNT(*) FROM v1_faces").fetchone()[0] in (3, 4)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    filled.forget(f"face:{face(filled, 6)}")
    stop.set()
    reader.join()
    assert errors == []


def test_undo_after_an_erasure_skips_erased_corrections(filled: Plugin) -> None:
    filled.forget(f"photo:{photo(filled, 'sub/b.png')}")
    assert [entry.kind for entry in filled.corrections()] == ["gender", "age"]
    assert filled.undo().count == 2


def test_importing_an_old_log_does_not_bring_erased_data_back(filled: Plugin, library: Path, data: Path) -> None:
    copy = filled.export_corrections()
    filled.forget(f"face:{face(filled, 6)}", f"photo:{photo(filled, 'sub/b.png')}")
    imported = filled.import_corrections(copy)
    assert (imported.known, imported.waiting) == (1, 0)
    filled.index([library], force=True)
    assert ages(filled) == [30, 40]
    assert traces(data, vector(5, 255)) == traces(data, vector(60, 255)) == {}


def test_erasures_are_events(filled: Plugin, events_seen: list[events.Event]) -> None:
    last = rows(filled, "SELECT MAX(event_id) FROM v1_events")[0][0]
    number, of_photo, whole = face(filled, 6), photo(filled, "a.png"), photo(filled, "c.png")
    filled.forget(f"face:{number}", f"photo:{whole}")
    found = rows(filled, "SELECT kind, photo_id, face_id FROM v1_events WHERE event_id > :last", last=last)
    assert {("face_forgotten", of_photo, number), ("photo_forgotten", whole, None)} <= set(found)
    assert events.Forgotten(1, 2) in events_seen


def test_similarity_searches_leave_erased_faces_out(filled: Plugin) -> None:
    number = face(filled, 30)
    assert filled.search(f"similar:face:{number}")
    filled.forget(f"face:{face(filled, 6)}")
    assert all(hit.path.name != "a.png" for hit in filled.search(f"similar:face:{number}", min_probability=0.5))


# ---- Folders that opt out


def test_a_folder_that_opts_out_is_erased_at_the_next_scan(filled: Plugin, library: Path, data: Path) -> None:
    (library / "sub" / ".rollcall-ignore").touch()
    summary = filled.index([library])
    assert (summary.forgotten, summary.missing) == (1, 0)
    assert ".rollcall-ignore" in summary.warnings[0] and "sub" in summary.warnings[0]
    assert traces(data, vector(60, 255)) == {}
    assert ages(filled) == [5, 30, 40]
    assert filled.index([library]).warnings == []


def test_corrections_wait_for_their_folder_to_opt_in_again(filled: Plugin, library: Path) -> None:
    marker = library / "sub" / ".rollcall-ignore"
    marker.touch()
    filled.index([library])
    assert [entry.kind for entry in filled.waiting_corrections()] == ["age"]
    marker.unlink()
    filled.index([library])
    assert rows(filled, "SELECT age FROM v1_faces WHERE age_source = 'user' ORDER BY age") == [(6,), (61,)]


def test_a_folder_below_one_that_opts_out_is_erased_too(filled: Plugin, library: Path) -> None:
    draw(library / "sub" / "deep" / "d.png", (33, 0), seed=4)
    filled.index([library])
    (library / "sub" / ".rollcall-ignore").touch()
    assert filled.index([library / "sub" / "deep"]).forgotten == 2
    assert ages(filled) == [5, 30, 40]


def test_a_root_can_opt_out(filled: Plugin, library: Path) -> None:
    (library / ".rollcall-ignore").touch()
    assert filled.index([library]).forgotten == 3


def test_nomedia_hides_a_folder_and_does_not_erase_it(filled: Plugin, library: Path) -> None:
    (library / "sub" / ".nomedia").touch()
    summary = filled.index([library])
    assert (summary.forgotten, summary.missing) == (0, 1)
    assert 60 in ages(filled)


# ---- The command


def command(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["forget", *arguments, "-d", str(data / "r.db")])


def test_the_command_asks_for_confirmation(filled: Plugin, data: Path) -> None:
    done = command(data, "face:1")
    assert done.exit_code == 2 and "--yes" in done.output
    assert ages(filled) == [5, 30, 40, 60]


def test_the_command_reports_what_it_would_remove_and_what_it_removed(filled: Plugin, data: Path) -> None:
    planned = json.loads(command(data, "photo:1", "--dry-run", "--json").stdout)
    assert planned["dry_run"] and len(ages(filled)) == 4
    done = json.loads(command(data, "photo:1", "--yes", "--json").stdout)
    assert done.items() >= {"photos": 1, "faces": 2, "embeddings": 4, "corrections": 2}.items()
    assert done.items() >= {key: planned[key] for key in ("photos", "faces", "embeddings", "tags")}.items()
    assert ages(filled) == [30, 60]
    assert command(data).output.startswith("Removed: nothing")
