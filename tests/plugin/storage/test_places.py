"""A full disk and a share as the database's place: one sentence, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import event

import full_disk
from blobs import BlobAnalyzer, draw
from drawn import open_to_all, ordinary_user
from rollcall import corrections
from rollcall.cli import main
from rollcall.corrections import transfer
from rollcall.errors import RollcallError, StoreError
from rollcall.host import Plugin
from rollcall.media import annotate
from rollcall.storage import failures, mounts, sqlite
from rollcall.storage.database import open_database

CHILD = Path(__file__).resolve().parents[2] / "soak" / "child.py"
Limit = Callable[[int | None], None]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Let databases that are opened from now on have at most so many pages, as on a disk that is full."""
    pages: list[int | None] = [None]
    original = sqlite.prepare

    def prepare(engine: Any, read_only: bool) -> None:
        original(engine, read_only)

        @event.listens_for(engine, "connect")
        def _connect(connection: sqlite3.Connection, _record: Any) -> None:
            if pages[0] is not None:
                connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    monkeypatch.setattr(sqlite, "prepare", prepare)

    def set_limit(count: int | None) -> None:
        pages[0] = count

    return set_limit


def opened(database: Path) -> Plugin:
    plugin = Plugin({"database.url": f"sqlite:///{database}", "detector.batch": "4"}, analyzer=BlobAnalyzer())
    plugin.start()
    return plugin


def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path: Path, limit: Limit) -> None:
    library, database = tmp_path / "photos", tmp_path / "x.db"
    draw(library / "first.png", (30, 255))
    plugin = opened(database)
    plugin.index(library)
    face_id = plugin.photo(plugin.search("faces:1")[0].photo_id).faces[0].face_id
    plugin.correct(corrections.age(face_id, 41))
    plugin.stop()
    for number in range(60):
        draw(library / f"{number}.png", *[(20 + number % 50, 255)] * 4, seed=number + 1)
    with sqlite3.connect(database) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()
    limit(pages + 12)
    plugin = opened(database)
    with pytest.raises(StoreError, match="the disk is full .*make room") as caught:
        plugin.index(library)
    assert caught.value.exit_code == 4
    assert len(plugin.corrections()) == 1
    plugin.stop()
    limit(None)
    plugin = opened(database)
    summary = plugin.index(library)
    assert summary.failed == 0
    assert plugin.status().photos == {"indexed": 61}
    assert plugin.face(face_id).age_source == "user"
    assert plugin.check(every_file=True).healthy
    plugin.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with full_disk.small_disk(tmp_path / "disk") as folder:
        yield folder


def test_a_disk_without_any_room_is_called_full_and_not_broken(small_disk: Path) -> None:
    with full_disk.full(small_disk), pytest.raises(StoreError, match="the disk is full .*make room"):
        open_database(str(small_disk / "x.db"))
    assert "check it" in failures.reason("disk I/O error", Path(__file__))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file is always full here")
def test_output_to_a_full_disk_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollcall", "settings"])
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    assert "the output: cannot be written, as the disk is full" in capsys.readouterr().err


def test_a_file_that_the_system_keeps_from_us_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollcall", "backup", str(tmp_path / ("x" * 300)), "-d", str(tmp_path / "x.db")])
    open_database(str(tmp_path / "x.db")).close()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert "xxx: cannot be used (File name too long); check its permissions" in errors and "Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_database_in_a_closed_folder_is_refused(tmp_path: Path) -> None:
    with open_to_all() as folder:
        (folder / "closed").mkdir(mode=0o700)
        for read_only in (True, False):
            with ordinary_user(), pytest.raises(StoreError, match="cannot be reached|may not be written"):
                open_database(str(folder / "closed" / "x.db"), read_only=read_only)


def test_the_command_says_so_and_the_next_one_goes_on_when_there_is_room(tmp_path: Path, small_disk: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}

    def index() -> subprocess.CompletedProcess[str]:
        words = ["index", str(tmp_path / "photos"), "-d", str(small_disk / "x.db"), "--set", "database.daily_backups=0"]
        return subprocess.run([sys.executable, str(CHILD), *words], capture_output=True, text=True, env=environment)

    for number in range(40):
        draw(tmp_path / "photos" / f"{number}.png", *[(20 + number % 50, 255)] * 4, seed=number + 1)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(250_000))
    full = index()
    assert full.returncode == 4, full.stderr
    assert "is full" in full.stderr and "make room" in full.stderr and "Traceback" not in full.stderr
    assert len([line for line in full.stderr.splitlines() if line.startswith("rollcall: ")]) == 1
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = index()
    assert again.returncode == 0, again.stderr
    with sqlite3.connect(small_disk / "x.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT state, COUNT(*) FROM photos GROUP BY state").fetchall() == [("indexed", 40)]
    connection.close()


def test_a_library_on_a_full_disk_is_still_read_and_copied_to_another(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    draw(tmp_path / "photos" / "a.png", (30, 255))
    database = small_disk / "x.db"
    with opened(database) as plugin:
        plugin.index(tmp_path / "photos")
        plugin.correct(corrections.age(1, 41))
    with full_disk.full(small_disk):
        # What could not be opened for writing leaves files that must not keep it from being read.
        with pytest.raises(StoreError, match="the disk is full"):
            opened(database)
        plugin = Plugin({"database.url": f"sqlite:///{database}"}, analyzer=BlobAnalyzer())
        plugin.start(read_only=True)
        assert [hit.path.name for hit in plugin.search("faces:1")] == ["a.png"]
        assert len(plugin.corrections()) == 1
        with pytest.raises(StoreError, match=r"copy\.db cannot be written, as the disk is full; make room"):
            plugin.backup(small_disk / "copy.db")
        plugin.backup(tmp_path / "copy.db")
        plugin.stop()
    with opened(tmp_path / "copy.db") as copy, opened(database) as plugin:
        plugin.correct(corrections.age(1, 42))
        assert (len(copy.corrections()), len(plugin.corrections())) == (1, 2)


def test_what_is_written_to_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    draw(tmp_path / "photos" / "a.png", (30, 255))
    with opened(tmp_path / "x.db") as plugin:
        plugin.index(tmp_path / "photos")
        album = plugin.save_album("All", "adults").album_id
        with full_disk.full(small_disk):
            for write in (
                lambda: annotate.save(Image.fromarray(pixels), small_disk / "a.jpg"),
                lambda: transfer.write_file(plugin.export_corrections(), small_disk / "a.jsonl"),
                lambda: plugin.export_album(album, small_disk / "a.zip"),
            ):
                with pytest.raises(RollcallError, match="cannot be written, as the disk is full; make room") as caught:
                    write()
                assert "Errno" not in str(caught.value)
            assert [path.name for path in small_disk.iterdir()] == ["filler"]


@pytest.fixture
def on_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "is_remote", lambda path: True)


def test_a_database_on_a_share_has_no_shared_memory(tmp_path: Path, on_a_share: None) -> None:
    draw(tmp_path / "photos" / "a.png", (30, 255))
    plugin = opened(tmp_path / "x.db")
    plugin.index(tmp_path / "photos")
    plugin.correct(corrections.age(1, 41))
    assert not (tmp_path / "x.db-wal").exists() and not (tmp_path / "x.db-shm").exists()
    plugin.stop()
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def test_one_that_was_moved_to_a_share_gives_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(str(tmp_path / "x.db")).close()
    monkeypatch.setattr(mounts, "is_remote", lambda path: True)
    open_database(str(tmp_path / "x.db")).close()
    assert (tmp_path / "x.db").read_bytes()[18:20] == b"\x01\x01"  # the file's formats: 2 is WAL


def test_a_share_without_locks_is_refused(tmp_path: Path, on_a_share: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "can_lock", lambda folder: False)
    with pytest.raises(StoreError, match="does not lock files.*local disk"):
        open_database(str(tmp_path / "x.db"))
    assert not (tmp_path / "x.db").exists()


def test_a_local_disk_locks(tmp_path: Path) -> None:
    assert mounts.can_lock(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not mounts.can_lock(tmp_path / "nowhere")
