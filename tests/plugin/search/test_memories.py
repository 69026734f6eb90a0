"""Photos of this day in earlier years, with dates that stand still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall.host import Plugin

TAKEN = {
    "family.png": "2019-06-14T12:00:00",
    "crowd.png": "2019-06-14T13:00:00",
    "landscape.png": "2019-06-14T11:00:00",
    "long-ago.png": "1987-06-14T00:00:00",
    "the-day-after.png": "2019-06-15T00:00:00",
    "this-year.png": "2024-06-14T10:00:00",
    "leap.png": "2020-02-29T10:00:00",
    "undated.png": None,
}


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    library = tmp_path / "photos"
    for number, name in enumerate(TAKEN):
        people = {"family.png": [(40, 0), (5, 255)], "crowd.png": [(30, 0)], "landscape.png": []}.get(name, [(5, 0)])
        draw(library / name, *people, seed=number)
    with Plugin({"database.url": f"sqlite:///{tmp_path / 'days.db'}"}, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(library)
        with plugin.database.write() as session:
            # Drawn pictures are so alike that they would count as one, saved again.
            session.execute(text("UPDATE photos SET look = NULL"))
            for name, taken in TAKEN.items():
                session.execute(text("UPDATE photos SET taken_local = :t WHERE path = :p"), {"t": taken, "p": name})
        yield plugin


def on(plugin: Plugin, day: str, limit: int = 24) -> list[tuple[str, int]]:
    found = plugin.on_this_day(date.fromisoformat(day), limit=limit)
    names = {photo.photo_id: photo.path.name for photo in plugin.photos([one.photo_id for one in found])}
    return [(names[one.photo_id], one.years) for one in found]


def test_the_best_photo_of_every_year_comes_before_the_second_best_of_any(plugin: Plugin) -> None:
    assert on(plugin, "2024-06-14") == [
        ("family.png", 5),
        ("long-ago.png", 37),
        ("crowd.png", 5),
        ("landscape.png", 5),
    ]
    assert on(plugin, "2024-06-14", limit=2) == [("family.png", 5), ("long-ago.png", 37)]


def test_a_day_without_photos_has_none_and_this_year_is_no_memory(plugin: Plugin) -> None:
    assert on(plugin, "2024-06-13") == []
    assert on(plugin, "1987-06-14") == []
    assert on(plugin, "2024-06-15") == [("the-day-after.png", 5)]


def test_the_leap_day_is_remembered_on_the_day_before_where_there_is_none(plugin: Plugin) -> None:
    assert on(plugin, "2023-02-28") == [("leap.png", 3)]
    assert on(plugin, "2024-02-28") == []
    assert on(plugin, "2024-02-29") == [("leap.png", 4)]


def test_a_picture_that_was_saved_twice_comes_once(plugin: Plugin) -> None:
    with plugin.database.write() as session:
        session.execute(text("UPDATE photos SET look = :h WHERE path IN ('family.png', 'crowd.png')"), {"h": bytes(32)})
    assert [name for name, _ in on(plugin, "2024-06-14")] == ["family.png", "long-ago.png", "landscape.png"]
