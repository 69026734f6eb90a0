"""`rollcall backup` copies a database that others write into."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import Plugin, cli
from rollcall.records import Face, Picture

PHOTOS = 6


class GatedAnalyzer(BlobAnalyzer):
    """Analyses one batch, then waits in the next one until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting, self.go_on = threading.Event(), threading.Event()

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        if self.seen:
            self.waiting.set()
            assert self.go_on.wait(30)
        return super().analyze(pictures)


@pytest.fixture
def analyzer() -> GatedAnalyzer:
    return GatedAnalyzer()


@pytest.fixture
def plugin(tmp_path: Path, analyzer: GatedAnalyzer, library: Path) -> Iterator[Plugin]:
    for number in range(PHOTOS):
        draw(library / f"{number}.png", (5 + number, 0), seed=number)
    values = {"database.url": str(tmp_path / "faces.db"), "detector.batch": 2}
    with Plugin(values, analyzer=analyzer) as plugin:
        yield plugin
        analyzer.go_on.set()


def backup(monkeypatch: pytest.MonkeyPatch, database: Path, file: Path) -> int:
    monkeypatch.setattr("sys.argv", ["rollcall", "backup", str(file), "--database", str(database)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def photos(file: Path) -> int:
    """Return how many analysed photos a database has, after checking that it is whole."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = connection.execute("SELECT COUNT(*) FROM v1_photos WHERE state = 'indexed'").fetchone()
    return int(count)


def test_a_backup_while_a_writer_holds_a_transaction_has_what_was_committed_before(
    plugin: Plugin, analyzer: GatedAnalyzer, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer.go_on.set()
    plugin.index(library)
    file = tmp_path / "faces.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE photos SET state = 'missing'")
        assert backup(monkeypatch, file, tmp_path / "copy.db") == 0
        writer.execute("COMMIT")
    assert photos(tmp_path / "copy.db") == PHOTOS
    assert photos(file) == 0


def test_a_backup_during_an_index_run_opens_and_the_run_goes_on(
    plugin: Plugin, analyzer: GatedAnalyzer, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed: list[int] = []
    run = threading.Thread(target=lambda: indexed.append(plugin.index(library).indexed))
    run.start()
    assert analyzer.waiting.wait(30)
    assert plugin.status().state == "indexing"
    assert backup(monkeypatch, tmp_path / "faces.db", tmp_path / "copy.db") == 0
    analyzer.go_on.set()
    run.join(30)
    assert indexed == [PHOTOS]
    assert photos(tmp_path / "copy.db") < PHOTOS
    # The copy is a database like any other: what was pending in it is analysed by the next run.
    with Plugin({"database.url": str(tmp_path / "copy.db")}, analyzer=analyzer) as restored:
        restored.index(library)
    assert photos(tmp_path / "copy.db") == PHOTOS


def test_a_file_that_exists_is_refused_in_one_sentence_and_stays_as_it_is(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.txt"
    taken.write_text("something else")
    assert backup(monkeypatch, tmp_path / "faces.db", taken) == 4
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(f"{taken} exists already; choose another name for the backup")
    assert taken.read_text() == "something else"


def test_a_file_in_a_folder_that_is_not_there_is_refused_and_leaves_nothing_behind(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(monkeypatch, tmp_path / "faces.db", tmp_path / "nowhere" / "copy.db") == 4
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_is_not_there_is_not_made_by_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(monkeypatch, tmp_path / "none.db", tmp_path / "copy.db") == 4
    assert "there is no database yet" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told_in_plain_words(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(monkeypatch, tmp_path / "faces.db", tmp_path / "nowhere" / "copy.db") == 4
    told = capsys.readouterr().err
    assert "it, or its folder, may not be opened" in told and "unable to open" not in told
