"""Corrections of many photos at once amount to what they amount to one by one, and take few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.corrections import before
from rollcall.host import Plugin

#: What corrections amount to, apart from numbers of rows, times and revisions.
ROWS = (
    "SELECT photo_id, name, source, probability, state FROM tags ORDER BY 1, 2",
    "SELECT photo_id, name, at_least, probability FROM photo_groups ORDER BY 1, 2, 3",
    "SELECT id, face_count, reviewed FROM photos ORDER BY 1",
    "SELECT face_id, age_low, age_high, gender, gender_given, dismissed FROM verdicts ORDER BY 1",
    "SELECT a.name, p.photo_id, p.inside FROM album_photos p JOIN albums a ON a.uid = p.album_uid ORDER BY 1, 2",
    "SELECT kind, photo_id, face_id, value_before FROM corrections WHERE kind NOT IN ('undo', 'redo') ORDER BY id",
)


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[tuple[Plugin, Plugin]]:
    """Two libraries that are equal."""
    for number in range(10):
        people = [(5 + 3 * number, 0), (40, 255)][: number % 3]
        draw(tmp_path / "photos" / f"{number}.png", *people, seed=number)
    shared = {"cache.folder": str(tmp_path / "cache")}
    first = Plugin({"database.url": f"sqlite:///{tmp_path / 'a.db'}", **shared}, analyzer=BlobAnalyzer())
    first.start()
    first.index([tmp_path / "photos"])
    first.save_album("Chosen", photos=[1])
    first.add_tag(3, "From a host")
    first.backup(tmp_path / "b.db")
    second = Plugin({"database.url": f"sqlite:///{tmp_path / 'b.db'}", **shared}, analyzer=BlobAnalyzer())
    second.start()
    yield first, second
    first.stop()
    second.stop()


def rows(plugin: Plugin) -> list[list[tuple[Any, ...]]]:
    """Return what the database holds."""
    with sqlite3.connect(str(plugin.database.file)) as connection:
        return [connection.execute(one).fetchall() for one in ROWS]


def given(plugin: Plugin) -> list[list[Any]]:
    """Return batches of corrections."""
    photos = sorted(hit.photo_id for hit in plugin.search("", faces=False))
    faces = [face.face_id for photo in plugin.photos(photos) for face in photo.faces]
    tag, rejected = corrections.tag, [corrections.tag(one, "People/Children", False) for one in photos]
    return [
        [tag(one, "Beach", True) for one in photos],
        [*rejected, *(tag(one, "Beach", False) for one in photos[::2])],
        [corrections.age(one, 8) for one in faces],
        [corrections.take_back("tag", photo_id=one, name="People/Children") for one in photos],
        [tag(3, "From a host", False), corrections.gender(faces[0], "male"), corrections.not_a_face(faces[1])],
        [corrections.not_a_face(faces[2]), corrections.age(faces[2], 30), tag(photos[1], "Beach", True)],
    ]


def test_many_at_once_are_as_one_by_one(plugins: tuple[Plugin, Plugin], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "_AT_ONCE", 4)  # so that a batch is read in several parts
    together, single = plugins
    for batch in given(together):
        together.correct(*batch)
        for one in batch:
            single.correct(one)
        assert rows(together) == rows(single), batch
        together.undo()
        for _ in batch:
            single.undo()
        assert rows(together) == rows(single), batch
        together.redo()
        for _ in batch:
            single.redo()
        assert rows(together) == rows(single), batch
    for plugin in plugins:
        plugin.restore(0)
    assert rows(together) == rows(single)
    assert not any(reviewed for *_, reviewed in rows(together)[2])


@contextmanager
def counted(plugin: Plugin) -> Iterator[list[str]]:
    """Give the statements that are run meanwhile."""
    seen: list[str] = []

    def note(*given: Any) -> None:
        seen.append(given[2])

    event.listen(plugin.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(plugin.database.engine, "before_cursor_execute", note)


def test_tags_of_many_photos_are_written_and_undone_in_as_few_statements_as_of_two(
    plugins: tuple[Plugin, Plugin],
) -> None:
    found = []
    for plugin, count in zip(plugins, (2, 10), strict=True):
        with counted(plugin) as seen:
            plugin.correct(*(corrections.tag(one, "Beach", True) for one in range(1, count + 1)))
            plugin.undo()
            plugin.redo()
            plugin.add_to_album(1, *range(1, count + 1))
            plugin.undo()
        found.append(len(seen))
    assert found[1] <= found[0] + 10, found


def test_an_undo_reads_no_more_of_a_long_log(plugins: tuple[Plugin, Plugin]) -> None:
    plugin = plugins[0]
    read = []
    for _ in range(2):
        for number in range(30):
            plugin.correct(corrections.tag(1 + number % 10, f"Tag {number}", True))
        with counted(plugin) as seen:
            plugin.undo()
        read.append(len(seen))
        whole = [one for one in seen if "look" in one and one.startswith("SELECT") and "WHERE" not in one]
        assert whole == []
    assert read[0] == read[1]
