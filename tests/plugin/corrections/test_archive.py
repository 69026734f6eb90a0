"""A second copy of the corrections lies beside the database, and outlives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall import Plugin, corrections
from rollcall.cli import cli
from rollcall.corrections.archive import archive_of
from rollcall.corrections.transfer import read_file
from rollcall.storage import backups


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "archived.db"


@pytest.fixture
def plugin(file: Path, library: Path) -> Iterator[Plugin]:
    draw(library / "a.png", (5, 255), (40, 0))
    draw(library / "b.png", (61, 255), seed=1)
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as made:
        made.index(library)
        yield made


def test_every_correction_is_in_the_archive_at_once(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.age(1, 7), corrections.gender(2, "male"))
    plugin.undo()
    plugin.correct(corrections.tag(2, "Holiday", True))
    lines = read_file(archive_of(file))
    assert [line["uid"] for line in lines] == [line["uid"] for line in plugin.export_corrections()]
    assert all(line["embedding"] is None for line in lines), "it holds no biometric data"


def test_a_line_that_was_cut_off_is_written_again(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.age(1, 7))
    archive = archive_of(file)
    archive.write_bytes(archive.read_bytes()[:-30])
    plugin.correct(corrections.age(2, 41))
    assert len(read_file(archive)) == 2


def test_corrections_made_after_the_backup_come_back_with_it(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.age(1, 7))
    backups.newest_first(file)[0].unlink()
    backups.make_daily(file, 2)
    plugin.correct(corrections.age(3, 66))
    plugin.stop()
    file.write_bytes(b"nothing is left of it")
    done = CliRunner().invoke(cli, ["restore", "--database", str(file)])
    assert done.exit_code == 0, done.output
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as restored:
        assert (restored.face(1).age, restored.face(3).age) == (7, 66)


def test_what_is_erased_leaves_the_archive_too(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.age(1, 7))
    plugin.correct(corrections.age(3, 66))
    plugin.forget(photos=[2])
    assert [line["value"] for line in read_file(archive_of(file))] == [{"low": 7, "high": 7}]
    plugin.forget(everything=True)
    assert not archive_of(file).exists()


def test_an_archive_that_cannot_be_written_stops_no_correction(plugin: Plugin, file: Path) -> None:
    archive_of(file).mkdir()
    assert plugin.correct(corrections.age(1, 7)).count == 1
    assert json.dumps(plugin.face(1).age) == "7.0"


def test_words_that_only_the_archive_has_stay_in_it(plugin: Plugin, file: Path) -> None:
    """As after a restore that was killed before it came to the archive, or a copy put in place by hand."""
    plugin.correct(corrections.age(1, 7))
    older = file.with_name("older.db")
    plugin.backup(older)
    plugin.correct(corrections.age(3, 66))
    plugin.stop()
    older.replace(file)
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as restored:
        restored.correct(corrections.age(2, 41))
        restored.correct(corrections.age(2, 42))
        lines = read_file(archive_of(file))
        assert sorted(line["value"]["low"] for line in lines) == [7, 41, 42, 66]
        restored.import_corrections(lines)
        assert restored.face(3).age == 66


def test_a_restore_reads_an_archive_that_was_cut_off(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.age(1, 7))
    plugin.correct(corrections.age(3, 66))
    plugin.stop()
    archive = archive_of(file)
    archive.write_bytes(archive.read_bytes() + b'{"uid": "half of')
    file.write_bytes(b"nothing is left of it")
    done = CliRunner().invoke(cli, ["restore", "--database", str(file)])
    assert done.exit_code == 0, done.output
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as restored:
        assert (restored.face(1).age, restored.face(3).age) == (7, 66)
