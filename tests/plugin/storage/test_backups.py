"""A copy a day is kept beside the database, and put in its place when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from blobs import BlobAnalyzer, draw
from rollcall import Plugin, corrections
from rollcall.cli import cli
from rollcall.errors import BusyError, StoreError
from rollcall.storage import backups, sqlite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "library.db"


def opened(file: Path) -> Plugin:
    return Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer())


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 2048] = b"\xff" * len(content[start : start + 2048])
    file.write_bytes(bytes(content))


def days_ago(file: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(file, (then, then))


def test_a_run_makes_one_copy_a_day_and_keeps_the_newest(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        (first,) = backups.newest_first(file)
        plugin.index(library)
        assert backups.newest_first(file) == [first], "the day is not over"
        for days in (4, 3, 2):
            copy = first.with_name(f"{file.name}.2020010{5 - days}T000000Z.daily.backup")
            copy.write_bytes(first.read_bytes())
            days_ago(copy, days)
        days_ago(first, 1.1)
        plugin.index(library)
        assert len(backups.newest_first(file)) == plugin.settings.database.daily_backups


def test_a_damaged_database_says_what_to_do_and_the_copy_takes_its_place(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
        backups.newest_first(file)[0].unlink()
        backups.make_daily(file, 2)
    damage(file)
    with pytest.raises(StoreError, match="rollcall restore") as caught, opened(file) as plugin:
        plugin.status()
        plugin.search("kids")
    assert caught.value.exit_code == 4
    used, former = backups.restore(file)
    assert used.name.endswith(".daily.backup")
    assert former is not None and former.exists()
    with opened(file) as plugin:
        assert plugin.face(1).age == 33


def test_a_damaged_copy_is_passed_over(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
    (sound,) = backups.newest_first(file)
    broken = sound.with_name(f"{file.name}.29990101T000000Z.daily.backup")
    broken.write_bytes(b"this is no database")
    days_ago(sound, 1)
    assert backups.restore(file)[0] == sound


@pytest.mark.parametrize("there", [False, True])
def test_without_a_sound_copy_nothing_is_touched(file: Path, there: bool) -> None:
    file.write_bytes(b"damaged")
    if there:
        file.with_name(f"{file.name}.20200101T000000Z.daily.backup").write_bytes(b"damaged, too")
    with pytest.raises(StoreError, match="sound"):
        backups.restore(file)
    assert file.read_bytes() == b"damaged"


def test_a_file_that_is_named_and_no_backup_is_told_so_without_speaking_of_indexing_anew(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no database")
    with pytest.raises(StoreError, match=r"notes.txt is not a sound backup; name another one, nothing was changed$"):
        backups.restore(file, tmp_path / "notes.txt")


def test_a_database_in_use_by_an_index_run_is_not_replaced(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
    with FileLock(f"{file}.lock"), pytest.raises(BusyError):
        backups.restore(file)


def test_erasing_removes_the_copies(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        assert backups.newest_first(file)
        plugin.forget(faces=[1])
        assert backups.newest_first(file) == []


def test_a_copy_that_cannot_be_written_is_a_warning(file: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    draw(library / "a.png", (5, 255))
    monkeypatch.setattr("rollcall.storage.sqlite.copy", full)
    with opened(file) as plugin:
        summary = plugin.index(library)
    assert summary.indexed == 1
    assert any("No space left" in message for message in summary.warnings)


def test_the_copy_is_whole_while_others_write(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        with sqlite3.connect(file, isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE photos SET error = 'half way'")
            copy = file.with_name("copy.db")
            plugin.backup(copy)
            writer.execute("ROLLBACK")
    assert backups.is_sound(copy)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT COUNT(*) FROM photos WHERE error IS NULL").fetchone() == (1,)


def test_the_command_restores_and_says_what_it_did(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
    damage(file)
    run = CliRunner()
    assert str(backups.newest_first(file)[0]) in run.invoke(cli, ["restore", "--list", "--database", str(file)]).output
    done = run.invoke(cli, ["restore", "--database", str(file)])
    assert done.exit_code == 0, done.output
    with opened(file) as plugin:
        assert plugin.status().photos == {"indexed": 1}


def test_an_empty_copy_is_no_backup(file: Path) -> None:
    """It is what a copy before a migration left that found the disk full."""
    with opened(file):
        pass
    sound = file.with_name(f"{file.name}.1.backup")
    sqlite.copy(file, sound)
    file.with_name(f"{file.name}.2.backup").touch()
    assert backups.restore(file)[0] == sound


def test_a_kill_at_any_step_of_a_restore_leaves_a_database(
    file: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
    damage(file)
    steps = 0

    class KilledError(Exception):
        pass

    def dies(*_: object) -> None:
        raise KilledError

    original = Path.replace

    def dies_later(self: Path, target: Path) -> Path:
        if self.name == f"{file.name}.part":
            dies()
        return original(self, target)

    for patch in ("link", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, "link", dies) if patch == "link" else patched.setattr(Path, "replace", dies_later)
            with pytest.raises(KilledError):
                backups.restore(file)
        assert file.exists(), patch
        steps += 1
    backups.restore(file)
    assert backups.is_sound(file) and steps == 2


def test_a_restore_that_is_killed_leaves_a_sound_database_with_its_newest_words(
    file: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
        # As a process that is killed leaves it: with a log.
        left = {beside: beside.read_bytes() for beside in (file, file.with_name(f"{file.name}-wal"))}
    for path, content in left.items():
        path.write_bytes(content)
    assert left[file.with_name(f"{file.name}-wal")]
    original = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if self.name == f"{file.name}.part":
            raise KeyboardInterrupt
        return original(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", dies)
        backups.restore(file)
    with opened(file) as plugin:
        assert plugin.face(1).age == 33


def test_a_file_that_lost_all_its_bytes_is_restored_and_not_begun_anew(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
    file.write_bytes(b"")
    with pytest.raises(StoreError, match="its file is empty.*rollcall restore"):
        opened(file).start()
    done = CliRunner().invoke(cli, ["restore", "--database", str(file)])
    assert done.exit_code == 0, done.output
    with opened(file) as plugin:
        plugin.index(library)
        assert plugin.face(1).age == 33


def test_a_database_that_another_program_has_open_is_not_replaced(file: Path, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    with opened(file) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
        with pytest.raises(BusyError, match="rollcall serve"):
            backups.restore(file)
        plugin.correct(corrections.age(1, 44))
    assert not list(file.parent.glob("*.damaged*"))
    with opened(file) as plugin:
        assert plugin.face(1).age == 44
    assert backups.restore(file)[1] is not None


def test_who_has_the_former_database_open_is_told_before_a_word_is_lost(
    file: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network mount, where SQLite cannot tell that a database is open."""
    draw(library / "a.png", (5, 255))
    monkeypatch.setattr(sqlite, "is_open_elsewhere", lambda file: False)
    with opened(file) as plugin:
        plugin.index(library)
        backups.restore(file)
        with pytest.raises(StoreError, match="start Rollcall again"):
            plugin.correct(corrections.age(1, 33))
    with opened(file) as plugin:
        plugin.correct(corrections.age(1, 33))
        assert plugin.face(1).age == 33


def test_a_link_to_a_database_stays_one(file: Path, library: Path, tmp_path: Path) -> None:
    draw(library / "a.png", (5, 255))
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(file)
    with opened(link) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
        with FileLock(f"{file}.lock"), pytest.raises(BusyError):
            plugin.index(library, timeout=0)
        plugin.backup(link.parent / "mine")
    assert sorted(one.name for one in link.parent.iterdir()) == ["link.db", "mine"], "all else lies beside its file"
    file.write_bytes(b"damaged")
    done = CliRunner().invoke(cli, ["restore", "--database", str(link)])
    assert done.exit_code == 0, done.output
    assert link.is_symlink() and backups.is_sound(file)
    with opened(file) as plugin:
        assert plugin.face(1).age == 33


def test_an_export_through_a_link_keeps_the_link(file: Path, library: Path, tmp_path: Path) -> None:
    draw(library / "a.png", (5, 255))
    target, link = tmp_path / "there.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(target)
    with opened(file) as plugin:
        plugin.index(library)
        plugin.correct(corrections.age(1, 33))
    done = CliRunner().invoke(cli, ["corrections", "export", str(link), "--database", str(file)])
    assert done.exit_code == 0, done.output
    assert link.is_symlink() and '"age"' in target.read_text(encoding="utf-8")
