"""A check finds what is wrong with a library, and a repair mends it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall import Plugin, corrections
from rollcall.cli import cli
from rollcall.host.correcting import CorrectingMixin
from rollcall.records import Box


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checked.db"


@pytest.fixture
def plugin(file: Path, library: Path) -> Iterator[Plugin]:
    for number in range(4):
        draw(library / f"{number}.png", (10 * number + 5, 255), seed=number)
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as made:
        made.index(library)
        yield made


def test_a_library_as_it_should_be_is_healthy(plugin: Plugin) -> None:
    plugin.correct(corrections.not_a_face(1))
    assert plugin.search("similar:face:2")
    report = plugin.check(every_file=True)
    assert report.healthy
    assert report.files == 4


def test_a_photo_of_another_content_is_found_and_analysed_again(plugin: Plugin, file: Path, library: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE photos SET content_hash = 'of another file' WHERE path = '2.png'")
    assert [path.name for path in plugin.check().wrong_content] == ["2.png"]
    assert plugin.index(library).skipped == 4, "nothing shows that from outside"
    assert not plugin.check(repair=True).healthy
    assert plugin.index(library).indexed == 1
    assert plugin.check(every_file=True).healthy


def test_orphans_and_wrong_counts_are_found_and_mended(plugin: Plugin, file: Path, library: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(
            "INSERT INTO tags (photo_id, name, source, state, created_at) VALUES (99, 'x', 'host', 'applied', '')"
        )
        connection.execute("UPDATE photos SET face_count = 7 WHERE path = '1.png'")
    found = plugin.check()
    assert (found.orphans, found.wrong_counts) == (1, 1)
    assert any("tags" in message for message in found.integrity)
    plugin.check(repair=True)
    plugin.index(library)
    assert plugin.check().healthy


def test_a_file_of_embeddings_that_is_not_the_databases_is_found(plugin: Plugin, file: Path) -> None:
    assert plugin.search("similar:face:2")
    vectors = file.with_name(file.name + ".vectors")
    assert vectors.exists()
    content = bytearray(vectors.read_bytes())
    content[-20] ^= 0xFF
    vectors.write_bytes(bytes(content))
    with Plugin({"database.url": f"sqlite:///{file}"}, analyzer=BlobAnalyzer()) as another:
        assert "embeddings" in another.check().embeddings_file
        another.check(repair=True)
        assert another.check().healthy


def test_the_command_ends_with_1_until_it_is_repaired(plugin: Plugin, file: Path) -> None:
    run = CliRunner()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE photos SET content_hash = 'of another file' WHERE path = '2.png'")
    found = run.invoke(cli, ["check", "--database", str(file)])
    assert found.exit_code == 1, found.output
    assert "2.png" in found.output
    as_json = json.loads(run.invoke(cli, ["check", "--json", "--database", str(file)]).stdout)
    assert (as_json["healthy"], len(as_json["wrong_content"])) == (False, 1)
    assert run.invoke(cli, ["check", "--repair", "--database", str(file)]).exit_code == 0


def test_the_embedding_of_a_drawn_face_reaches_who_read_before_it_was_there(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CorrectingMixin, "_describe", lambda self, result, wait: result)
        plugin.correct(corrections.draw(1, Box(0.7, 0.1, 0.2, 0.2)))
    assert plugin.check().embeddings_file == ""
    assert plugin.service.describe([1], 60)
    assert plugin.check().embeddings_file == ""
