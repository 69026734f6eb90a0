"""Watched folders: files that are being written wait, bursts are gathered, scans find what caused no event."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import events
from rollcall.errors import StoreError
from rollcall.indexing import hints, observers, watcher
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.run import Meanwhile
from rollcall.indexing.watcher import Updater, Watcher
from rollcall.records import Face, Picture, RunSummary
from rollcall.settings import DetectorSettings, Settings, WatchSettings
from rollcall.storage.database import Database


class Recorder:
    """An updater that records its calls; `run` fails while `failing`."""

    def __init__(self) -> None:
        self.runs: list[list[Path]] = []
        self.updates: list[list[Path]] = []
        self.failing = False

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave_alone: Callable[[Path, int], bool] | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> RunSummary:
        self.runs.append(list(roots))
        if self.failing:
            raise StoreError("sqlite:///x", "the disk is full")
        return RunSummary()

    def update(
        self, paths: Iterable[Path], *, stop: threading.Event | None = None, meanwhile: Meanwhile | None = None
    ) -> RunSummary:
        self.updates.append(list(paths))
        return RunSummary()


def _may_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _mounted(Path(folder)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """Mount an empty disk in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        # Something may be reading there at this moment.
        until(lambda: subprocess.run(["umount", folder], check=False, capture_output=True).returncode == 0)


def settings(**values: Any) -> Settings:
    return Settings(watch=WatchSettings(**({"settle_seconds": 0.2} | values)))


@contextmanager
def watching(
    updater: Updater, folder: Path, events_seen: list[events.Event], chosen: Settings | None = None
) -> Iterator[Watcher]:
    """Watch a folder on a thread until the block ends."""
    made = Watcher(updater, [folder], chosen or settings(), events_seen.append)
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        until(lambda: bool(made.observers.running) or any(isinstance(event, events.Warned) for event in events_seen))
        yield made
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def roots_are_checked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_CHECK_ROOTS_SECONDS", 0.2)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT path, state FROM v1_photos"))}


def warnings(events_seen: list[events.Event]) -> list[str]:
    return [event.message for event in events_seen if isinstance(event, events.Warned)]


_MAY_MOUNT: Final = _may_mount()


def test_a_file_that_is_still_being_written_is_not_indexed(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    content = draw(library.parent / "whole.png", (5, 255)).read_bytes()
    with (
        watching(indexer, library, events_seen, settings(settle_seconds=2.0)),
        (library / "slow.png").open("wb") as file,
    ):
        for start in range(0, len(content), len(content) // 8 + 1):
            file.write(content[start : start + len(content) // 8 + 1])
            file.flush()
            time.sleep(0.15)
            assert states(database).get("slow.png") in (None, "pending")
        file.close()
        until(lambda: states(database).get("slow.png") == "indexed")
    assert not any(isinstance(event, events.PhotoFailed) for event in events_seen)


def test_the_first_photo_of_an_empty_folder_is_found(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    with watching(indexer, library, events_seen):
        until(lambda: any("when they arrive" in message for message in warnings(events_seen)))
        draw(library / "first.png", (5, 0))
        until(lambda: states(database).get("first.png") == "indexed")


def test_a_file_that_is_being_written_during_a_scan_is_indexed_when_unchanged(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    whole = draw(library.parent / "whole.png", (5, 255)).read_bytes()
    (library / "half.png").write_bytes(whole[:200])
    with watching(indexer, library, events_seen, settings(settle_seconds=2.0)):
        time.sleep(1.0)
        assert states(database) == {}
        (library / "half.png").write_bytes(whole)
        until(lambda: states(database) == {"half.png": "indexed"})
    assert not any(isinstance(event, events.PhotoFailed) for event in events_seen)


def test_a_moved_photo_is_recognised(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    draw(library / "a.png", (5, 255))
    with watching(indexer, library, events_seen):
        until(lambda: states(database).get("a.png") == "indexed")
        (library / "sub").mkdir()
        (library / "a.png").rename(library / "sub" / "b.png")
        until(lambda: states(database) == {"sub/b.png": "indexed"})
    assert any(isinstance(event, events.PhotoMoved) for event in events_seen)


def test_folders_that_are_moved_in_and_out_are_updated(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    draw(library / "old" / "a.png", (5, 255))
    draw(library.parent / "elsewhere" / "deep" / "b.png", (6, 255), seed=1)
    with watching(indexer, library, events_seen):
        until(lambda: states(database).get("old/a.png") == "indexed")
        (library.parent / "elsewhere").rename(library / "new")
        until(lambda: states(database).get("new/deep/b.png") == "indexed")
        (library / "old").rename(library.parent / "away")
        until(lambda: states(database).get("old/a.png") == "missing")


def test_a_folder_that_opts_out_is_erased_at_once(
    indexer: Indexer, database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    draw(library / "sub" / "a.png", (5, 255))
    draw(library / "b.png", (5, 255), seed=1)
    with watching(indexer, library, events_seen):
        until(lambda: len(states(database)) == 2)
        (library / "sub" / ".rollcall-ignore").touch()
        until(lambda: states(database) == {"b.png": "indexed"})


def test_a_burst_of_thousands_of_files_takes_few_updates(library: Path, events_seen: list[events.Event]) -> None:
    recorder = Recorder()
    with watching(recorder, library, events_seen):
        until(lambda: bool(recorder.runs))
        for number in range(3000):
            (library / f"{number}.jpg").write_bytes(b"x")
        until(lambda: len({path for paths in recorder.updates for path in paths}) == 3000, 60)
    assert len(recorder.updates) < 300
    assert max(map(len, recorder.updates)) > 50


def test_too_many_changed_paths_become_one_scan(
    library: Path, events_seen: list[events.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "OVERFLOW", 10)
    recorder = Recorder()
    with watching(recorder, library, events_seen, settings(settle_seconds=1.0)):
        until(lambda: len(recorder.runs) == 1)
        for number in range(40):
            (library / f"{number}.jpg").write_bytes(b"x")
        until(lambda: len(recorder.runs) >= 2)


def test_roots_are_scanned_at_intervals(library: Path, events_seen: list[events.Event]) -> None:
    recorder = Recorder()
    with watching(recorder, library, events_seen, settings(reconcile_seconds=1.0)):
        until(lambda: len(recorder.runs) >= 3)
    assert all(run == [library] for run in recorder.runs)


def test_an_error_does_not_end_the_watching(library: Path, events_seen: list[events.Event]) -> None:
    recorder = Recorder()
    recorder.failing = True
    with watching(recorder, library, events_seen):
        until(lambda: bool(warnings(events_seen)))
        (library / "a.jpg").write_bytes(b"x")
        until(lambda: bool(recorder.updates))
    assert "the disk is full" in warnings(events_seen)[0]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "sudo sysctl fs.inotify.max_user_watches="),
        (errno.EMFILE, "sudo sysctl fs.inotify.max_user_instances="),
    ],
)
def test_running_out_of_watches_is_explained_and_the_folder_is_polled(
    library: Path, events_seen: list[events.Event], monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(self: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(observers.Observer, "start", refuse)
    recorder = Recorder()
    with watching(recorder, library, events_seen, settings(polling_seconds=0.2)) as made:
        until(lambda: bool(made.observers.running) and bool(recorder.runs))
        time.sleep(0.3)
        (library / "a.jpg").write_bytes(b"x")
        until(lambda: any(library / "a.jpg" in paths for paths in recorder.updates))
    assert advice in warnings(events_seen)[0] and str(library) in warnings(events_seen)[0]


@pytest.mark.usefixtures("roots_are_checked_often")
def test_a_root_that_goes_and_comes_back_is_watched_again(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
) -> None:
    draw(library / "a.png", (5, 255))
    with watching(indexer, library, events_seen):
        until(lambda: states(database).get("a.png") == "indexed")
        library.rename(library.parent / "unplugged")
        until(lambda: any("went away" in message for message in warnings(events_seen)))
        assert states(database) == {"a.png": "indexed"}
        draw(library.parent / "unplugged" / "b.png", (6, 255), seed=1)
        (library.parent / "unplugged").rename(library)
        until(lambda: states(database) == {"a.png": "indexed", "b.png": "indexed"})
        draw(library / "c.png", (7, 255), seed=2)
        until(lambda: states(database).get("c.png") == "indexed")


def test_a_root_that_goes_while_it_is_looked_at_is_said_to_have_gone(
    library: Path, events_seen: list[events.Event]
) -> None:
    with watching(Recorder(), library, events_seen) as made:
        until(lambda: made.observers.running.get(library) is not None)
        library.rename(library.parent / "unplugged")
        # As if it had been there a moment ago: whether events are to be had is no question of a limit.
        assert not made.observers.check_limit(library)
        made._check_roots(threading.Event())
        assert [one for one in warnings(events_seen) if "went away" in one] == warnings(events_seen)


def test_files_that_are_no_photos_cause_no_updates(library: Path, events_seen: list[events.Event]) -> None:
    recorder = Recorder()
    (library / "@eaDir").mkdir()
    with watching(recorder, library, events_seen):
        until(lambda: bool(recorder.runs))
        (library / "notes.txt").write_text("x")
        (library / ".hidden.jpg").write_bytes(b"x")
        (library / "@eaDir" / "thumb.jpg").write_bytes(b"x")
        (library / "a.jpg").write_bytes(b"x")
        until(lambda: bool(recorder.updates))
        time.sleep(0.5)
    assert {path for paths in recorder.updates for path in paths} == {library / "a.jpg"}


@pytest.mark.parametrize(
    ("kind", "expected"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("btrfs", False)]
)
def test_network_mounts_are_known_by_their_kind(tmp_path: Path, kind: str, expected: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x /mnt/my\\040photos {kind} rw 0 0\n/dev/b /mnt ext4 rw 0 0\n")
    assert observers.is_remote(Path("/mnt/my photos/2020"), mounts) is expected
    assert observers.is_remote(Path("/mnt/other"), mounts) is False


def test_lost_events_become_a_scan(library: Path, events_seen: list[events.Event]) -> None:
    recorder = Recorder()
    with watching(recorder, library, events_seen):
        until(lambda: len(recorder.runs) == 1)
        logging.getLogger("watchdog.observers.inotify_c").warning(
            "Inotify queue overflowed; filesystem events were lost"
        )
        until(lambda: len(recorder.runs) == 2, 5)


def test_a_flood_of_files_is_seen_as_a_whole(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hints, "OVERFLOW", 50)
    one = draw(library.parent / "one.png", (5, 255)).read_bytes()
    (library / "first.png").write_bytes(one)
    with watching(indexer, library, events_seen):
        until(lambda: "first.png" in states(database))
        for number in range(300):
            (library / f"{number}.png").write_bytes(one)
        until(lambda: len(states(database)) == 301 and set(states(database).values()) == {"indexed"}, 60)


@pytest.mark.usefixtures("roots_are_checked_often")
def test_a_folder_that_was_exchanged_for_another_is_scanned_and_watched_again(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
) -> None:
    draw(library / "a.png", (5, 255))
    draw(library.parent / "other" / "b.png", (6, 255), seed=1)
    with watching(indexer, library, events_seen):
        until(lambda: "a.png" in states(database))
        library.rename(library.parent / "gone")
        (library.parent / "other").rename(library)
        until(lambda: states(database).get("b.png") == "indexed")
        draw(library / "c.png", (7, 255), seed=2)
        until(lambda: states(database).get("c.png") == "indexed")


@pytest.mark.usefixtures("roots_are_checked_often")
def test_a_folder_that_was_removed_and_made_again_is_watched_again(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
) -> None:
    """The new folder often has the number of the old one."""
    draw(library / "a.png", (5, 255))
    with watching(indexer, library, events_seen):
        until(lambda: "a.png" in states(database))
        shutil.rmtree(library)
        draw(library / "b.png", (6, 255), seed=1)
        until(lambda: states(database).get("b.png") == "indexed")
        draw(library / "sub" / "c.png", (7, 255), seed=2)
        until(lambda: states(database).get("sub/c.png") == "indexed")


@pytest.mark.usefixtures("roots_are_checked_often")
def test_what_happens_behind_links_is_seen(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
) -> None:
    home = library.parent / "elsewhere"
    draw(home / "a.png", (5, 255))
    (library / "old").symlink_to(home)
    with watching(indexer, library, events_seen):
        until(lambda: "old/a.png" in states(database))
        draw(home / "sub" / "b.png", (6, 255), seed=1)
        until(lambda: states(database).get("old/sub/b.png") == "indexed")
        draw(library.parent / "other" / "c.png", (7, 255), seed=2)
        (library / "new").symlink_to(library.parent / "other")
        until(lambda: states(database).get("new/c.png") == "indexed")
        draw(library.parent / "other" / "d.png", (8, 255), seed=3)
        until(lambda: states(database).get("new/d.png") == "indexed")
        home.rename(library.parent / "away")
        until(lambda: states(database).get("old/a.png") == "missing")
        (library.parent / "away").rename(home)
        until(lambda: states(database).get("old/a.png") == "indexed")


@pytest.mark.skipif(not _MAY_MOUNT, reason="only root may mount file systems")
@pytest.mark.usefixtures("roots_are_checked_often")
def test_a_disk_that_is_mounted_again_at_once_is_watched_again_also_below_a_root(
    indexer: Indexer,
    database: Database,
    library: Path,
    events_seen: list[events.Event],
) -> None:
    """It often has the numbers of the one before."""
    (library / "card").mkdir()
    draw(library / "a.png", (5, 255))
    with ExitStack() as mounted:
        with watching(indexer, library, events_seen):
            until(lambda: "a.png" in states(database))
            mounted.enter_context(_mounted(library / "card"))
            draw(library / "card" / "b.png", (6, 255), seed=1)
            until(lambda: states(database).get("card/b.png") == "indexed")
            draw(library / "card" / "c.png", (7, 255), seed=2)
            until(lambda: states(database).get("card/c.png") == "indexed")
            mounted.close()
            until(lambda: states(database).get("card/c.png") == "missing")
        mounted.enter_context(_mounted(library))
        draw(library / "d.png", (8, 255), seed=3)
        with watching(indexer, library, events_seen):
            until(lambda: states(database).get("d.png") == "indexed")
            mounted.close()
            mounted.enter_context(_mounted(library))
            draw(library / "e.png", (9, 255), seed=4)
            until(lambda: states(database).get("e.png") == "indexed")
            draw(library / "sub" / "f.png", (10, 255), seed=5)
            until(lambda: states(database).get("sub/f.png") == "indexed")


@pytest.mark.skipif(sys.platform != "linux", reason="only inotify has such a limit")
@pytest.mark.usefixtures("roots_are_checked_often")
def test_folders_beyond_the_limit_of_watches_are_polled(
    library: Path, events_seen: list[events.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    draw(library / "a.png", (5, 255))
    with watching(recorder, library, events_seen, settings(polling_seconds=0.2)) as made:
        until(lambda: len(recorder.runs) == 1)

        def full(root: Path) -> None:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")

        monkeypatch.setattr(observers, "_demand_one_more_watch", full)
        until(lambda: any("max_user_watches" in message for message in warnings(events_seen)))
        until(lambda: len(recorder.runs) == 2)
        draw(library / "b.png", (6, 255), seed=1)
        until(lambda: any(path.name == "b.png" for update in recorder.updates for path in update))
        assert made.observers.running


class Slow(BlobAnalyzer):
    """Waits in its first batch until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.may_go_on = threading.Event(), threading.Event()
        self.batches = 0

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        self.batches += 1
        if self.batches == 1:
            self.started.set()
            self.may_go_on.wait(30)
        return super().analyze(pictures)


@pytest.mark.parametrize("lost", [False, True])
def test_new_files_are_in_the_library_while_a_run_goes_on(
    lost: bool, library: Path, database: Database, events_seen: list[events.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_NOTICE_SECONDS", 0.0)
    chosen = Settings(watch=WatchSettings(settle_seconds=0.1), detector=DetectorSettings(batch=1))
    analyzer = Slow()
    for number in range(4):
        draw(library / f"{number}.png", (5, 255), seed=number)
    known: list[set[str]] = []

    def note(event: events.Event) -> None:
        if isinstance(event, events.PhotoIndexed):
            known.append(set(states(database)))

    with watching(Indexer(database, analyzer, chosen, note), library, events_seen, chosen) as watched:
        assert analyzer.started.wait(30)
        draw(library / "sub" / "new.png", (7, 255), seed=50)
        until(lambda: library / "sub" / "new.png" in watched.hints._hints)
        time.sleep(0.4)  # until it is still
        if lost:
            watched.hints.overflow()
        analyzer.may_go_on.set()
        until(lambda: states(database).get("sub/new.png") == "indexed")
    # Before the photos of the run were done.
    assert any("sub/new.png" in paths and "3.png" in paths for paths in known[:3])
    assert not any(isinstance(event, events.PhotoFailed) for event in events_seen)
