"""The photos of tags that are kept from one search to the next are those that a fresh look finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.host import Plugin
from rollcall.search import tagged
from rollcall.search.candidates import CandidatePhoto
from rollcall.search.grammar.tokens import quoted
from rollcall.search.tagged import TaggedPhotos, tagged_photos
from rollcall.search.terms.base import SqlParameters
from rollcall.storage.tables import EventRow, TagRow

NAMES = (("Beach",), ("People/Children",), ("Beach", "People/Children"), ("Nowhere",), None)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(8):
        draw(folder / f"{number}.png", *([(5 + number, 0)] if number % 2 else []), (40, 255), seed=number)
    return folder


@pytest.fixture
def plugin(library: Path, tmp_path: Path) -> Iterator[Plugin]:
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    made = Plugin(values, analyzer=BlobAnalyzer())
    made.start()
    made.index([library])
    yield made
    made.stop()


def assert_as_fresh(plugin: Plugin) -> list[int]:
    """Compare what is kept with what is not; return the photos of the beach."""
    with plugin.database.read() as session:
        for names in NAMES:
            kept = tagged_photos(plugin.database).of(session, names)
            assert kept.tolist() == TaggedPhotos().of(session, names).tolist(), names
        return [int(one) for one in tagged_photos(plugin.database).of(session, ("Beach",))]


def changes(plugin: Plugin, library: Path) -> Iterator[Callable[[], object]]:
    """Yield each way in which tags of photos change."""
    numbers = sorted(hit.photo_id for hit in plugin.search("", faces=False))
    faces = [face.face_id for photo in plugin.photos(numbers) for face in photo.faces]
    yield lambda: plugin.correct(*(corrections.tag(one, "Beach", True) for one in numbers[:4]))
    yield lambda: plugin.correct(corrections.tag(numbers[0], "Beach", False))
    yield plugin.undo
    yield plugin.redo
    yield lambda: plugin.add_tag(numbers[6], "Beach")
    yield lambda: plugin.remove_tag(numbers[6], "Beach")
    yield lambda: plugin.correct(*(corrections.age(one, 7) for one in faces[:3]))
    yield lambda: plugin.forget(photos=[numbers[1]])
    yield lambda: (draw(library / "new.png", (6, 0), seed=99), plugin.index([library]))
    yield lambda: (draw(library / "2.png", (6, 0), (7, 0), seed=98), plugin.index([library]))
    yield lambda: ((library / "3.png").rename(library / "moved.png"), plugin.index([library]))
    yield lambda: ((library / "4.png").unlink(), plugin.index([library]))
    yield lambda: plugin.restore(0)
    yield lambda: plugin.forget(everything=True)


def test_what_is_kept_of_tags_follows_every_change(plugin: Plugin, library: Path) -> None:
    assert assert_as_fresh(plugin) == []
    seen = []
    for change in changes(plugin, library):
        change()
        seen.append(assert_as_fresh(plugin))
    assert len({tuple(one) for one in seen}) > 4


def test_only_photos_that_changed_are_read_again(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [hit.photo_id for hit in plugin.search("", faces=False)]
    plugin.correct(*(corrections.tag(one, "Beach", True) for one in photos))
    assert_as_fresh(plugin)
    plugin.correct(corrections.tag(photos[3], "Beach", False))
    read, asked = tagged._read, []

    def noted(session: object, names: object, photo_ids: list[int] | None) -> object:
        asked.append(photo_ids)
        return read(session, names, photo_ids)  # type: ignore[arg-type]

    monkeypatch.setattr(tagged, "_read", noted)
    with plugin.database.read() as session:
        found = tagged_photos(plugin.database).of(session, ("Beach",))
    assert found.tolist() == sorted(set(photos) - {photos[3]})
    assert asked == [[photos[3]]]


def test_a_session_that_began_before_sees_its_own_state_and_keeps_nothing(plugin: Plugin) -> None:
    photos = sorted(hit.photo_id for hit in plugin.search("", faces=False))
    kept = tagged_photos(plugin.database)
    plugin.correct(corrections.tag(photos[0], "Beach", True))
    with plugin.database.read() as before:
        assert kept.of(before, ("Beach",)).tolist() == photos[:1]
        plugin.correct(corrections.tag(photos[1], "Beach", True))
        with plugin.database.read() as after:
            assert kept.of(after, ("Beach",)).tolist() == photos[:2]
        assert kept.of(before, ("Beach",)).tolist() == photos[:1]
    with plugin.database.read() as after:
        assert kept.of(after, ("Beach",)).tolist() == photos[:2]


def test_after_events_were_pruned_all_photos_of_a_tag_are_read_again(plugin: Plugin) -> None:
    photos = sorted(hit.photo_id for hit in plugin.search("", faces=False))
    plugin.correct(corrections.tag(photos[0], "Beach", True))
    assert_as_fresh(plugin)
    plugin.correct(corrections.tag(photos[1], "Beach", True))
    with plugin.database.write() as session:
        session.execute(delete(EventRow))
    plugin.correct(corrections.tag(photos[2], "Beach", True))
    assert assert_as_fresh(plugin) == photos[:3]


QUERIES = {
    "tag:People": {"People", "People/Children", "Old/People/Known"},
    'tag:"People|Children"': {"People/Children"},
    "tag:people/children": {"People/Children"},
    "tag:Children": {"People/Children"},
    "tag:Old|People": {"Old/People/Known"},
    'tag:"Old/Known"': set(),
    "tag:Peop": set(),
    "tag:/": set(),
    'tag:"AC/DC"': {"Music/AC\u2215DC"},
    "tag:MÜSIK|Ärzte": {"Müsik/Ärzte"},
    '"old|people"': {"Old/People/Known"},
}


@pytest.mark.parametrize("ways", ["columns", "sql", "memory"])
def test_a_tag_is_found_by_each_of_its_levels_however_they_are_divided(plugin: Plugin, ways: str) -> None:
    names = ["People", "People|Children", "Old/People/Known", "Music/AC\u2215DC", "Müsik|Ärzte"]
    photos = sorted(hit.photo_id for hit in plugin.search("", faces=False))
    with plugin.database.write() as session:
        session.execute(delete(TagRow))
        # As earlier versions have stored what was typed.
        for photo_id, name in zip(photos, names, strict=False):
            session.add(TagRow(photo_id=photo_id, name=name, source="user", state="applied", created_at=""))
    tag_of = dict(zip(photos, (name.replace("|", "/") for name in names), strict=False))
    for query, wanted in QUERIES.items():
        term = plugin.interpret(query).term
        if ways == "columns":
            found = {hit.photo_id for hit in plugin.search(query, faces=False)}
        elif ways == "sql":
            parameters = SqlParameters()
            where = term.condition(parameters)
            with plugin.database.read() as session:
                statement = text(f"SELECT p.photo_id FROM v1_photos p WHERE {where}")
                found = set(session.execute(statement, parameters.values).scalars())
        else:
            tags = {one.photo_id: frozenset(tag.name for tag in one.tags) for one in plugin.photos(photos)}
            found = {one for one in photos if term.match(CandidatePhoto(one, "", None, (), tags[one], False))}
        assert {tag_of[one] for one in found} == wanted, query


def test_a_tag_that_was_stored_with_bars_is_corrected_under_its_name(plugin: Plugin) -> None:
    photo = min(hit.photo_id for hit in plugin.search("", faces=False))
    with plugin.database.write() as session:
        session.add(TagRow(photo_id=photo, name="Places|Rome", source="host", state="applied", created_at=""))
    plugin.correct(corrections.tag(photo, "Places|Rome", False))
    assert [(tag.name, tag.state) for tag in plugin.photo(photo).tags if "Rome" in tag.name] == [
        ("Places/Rome", "rejected")
    ]
    plugin.correct(corrections.tag(photo, "Places | Oslo ", True))
    assert "Places/Oslo" in {tag.name for tag in plugin.photo(photo).tags}


@pytest.mark.parametrize("name", ['The "big" one', "Trip/“Sea”", "«»", '"', "a|b", "Anna, Ben", "No 'this'"])
def test_a_tag_is_found_by_its_name_whatever_signs_it_has(plugin: Plugin, name: str) -> None:
    photo, other = (hit.photo_id for hit in plugin.search("", faces=False, limit=2))
    plugin.correct(corrections.tag(photo, name, True), corrections.tag(other, "The big one", True))
    # A sign that separates levels elsewhere is stored as ours.
    (stored,) = (one.name for one in plugin.photo(photo).tags if one.source == "user")
    assert [hit.photo_id for hit in plugin.search(f"tag:{quoted(stored)} faces:>=0")] == [photo]
