"""Undo, redo and restore give exactly the earlier state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.corrections.kinds import Correction
from rollcall.errors import ConflictError, NotFoundError
from rollcall.host import Plugin
from rollcall.records import Box

PEOPLE = [(5, 255), (31, 40), (11, 200), (70, 0), (2, 128), (45, 255)]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    for number in range(6):
        draw(tmp_path / "photos" / f"{number}.png", *PEOPLE[: number % 4], seed=number)
    made = Plugin({"database.url": f"sqlite:///{tmp_path / 'undo.db'}"}, analyzer=BlobAnalyzer())
    made.start()
    made.index([tmp_path / "photos"])
    yield made
    made.stop()


def shown(plugin: Plugin) -> list[Any]:
    """Return the views of faces, tags and photos, without the numbers of faces: drawn ones get new numbers."""
    faces = (
        "SELECT photo_id, round(x, 4), round(y, 4), round(width, 4), round(height, 4), age, age_low, age_high,"
        " age_source, gender, p_female, gender_source, p_babies, p_children, p_adults,"
        " hex(substr(age_distribution, 1, 24)), hex(substr(embedding, 1, 4)), round(score, 4)"
        " FROM v1_faces ORDER BY photo_id, x, y"
    )
    with plugin.database.read() as session:
        return [
            session.execute(text(statement)).all()
            for statement in (
                faces,
                "SELECT photo_id, tag, source, round(probability, 6), state FROM v1_tags ORDER BY photo_id, tag",
                "SELECT photo_id, faces, reviewed, round(p_children, 6) FROM v1_photos ORDER BY photo_id",
            )
        ]


def random_corrections(plugin: Plugin, rng: random.Random) -> list[Correction]:
    """Return one to three corrections of any kind."""
    result = []
    with plugin.database.read() as session:
        faces = list(session.execute(text("SELECT face_id FROM v1_faces")).scalars())
    for _ in range(rng.randint(1, 3)):
        face, photo = rng.choice(faces), rng.randint(1, 6)
        box = Box(rng.uniform(0, 0.7), rng.uniform(0, 0.3), 0.1, 0.15)
        result.append(
            rng.choice(
                [
                    corrections.age(face, rng.randint(0, 90)),
                    corrections.age_group(face, rng.choice(["children", "seniors"])),
                    corrections.gender(face, rng.choice(["female", "male", "other", None])),
                    corrections.not_a_face(face),
                    corrections.ignore(face),
                    corrections.move(face, box),
                    corrections.draw(photo, box),
                    corrections.tag(photo, rng.choice(["People/Children", "x/y"]), rng.random() < 0.5),
                    corrections.take_back(rng.choice(["age", "gender", "box", "ignore"]), face_id=face),
                    corrections.take_back("tag", photo_id=photo, name="x/y"),
                ]
            )
        )
    return result


@pytest.mark.parametrize("seed", range(4))
def test_undo_redo_and_restore_give_every_earlier_state(plugin: Plugin, seed: int) -> None:
    rng = random.Random(seed)
    states: list[tuple[int, list[Any]]] = [(0, shown(plugin))]
    for _ in range(12):
        plugin.correct(*random_corrections(plugin, rng))
        states.append((plugin.corrections(limit=1)[0].id, shown(plugin)))
    for _, state in reversed(states[:-1]):
        plugin.undo()
        assert shown(plugin) == state
    with pytest.raises(ConflictError, match="nothing left to undo"):
        plugin.undo()
    for _, state in states[1:]:
        plugin.redo()
        assert shown(plugin) == state
    with pytest.raises(ConflictError, match="nothing to redo"):
        plugin.redo()
    for number, state in rng.sample(states, 6):
        plugin.restore(number)
        assert shown(plugin) == state


def test_a_new_correction_clears_what_can_be_redone(plugin: Plugin) -> None:
    plugin.correct(corrections.age(1, 5))
    plugin.undo()
    plugin.correct(corrections.age(2, 5))
    with pytest.raises(ConflictError, match="a correction was made since"):
        plugin.redo()


def test_a_batch_is_undone_as_one(plugin: Plugin) -> None:
    before = shown(plugin)
    plugin.correct(corrections.age(1, 5), corrections.gender(1, "male"), corrections.tag(1, "x", True))
    assert plugin.undo().count == 3
    assert shown(plugin) == before


def test_undo_after_a_full_reanalysis_restores_the_first_state(plugin: Plugin, tmp_path: Path) -> None:
    before = shown(plugin)
    plugin.correct(corrections.move(1, Box(0.5, 0.1, 0.1, 0.1)))
    plugin.correct(corrections.draw(2, Box(0.8, 0.1, 0.1, 0.1)))
    plugin.correct(corrections.not_a_face(3), corrections.age(4, 8))
    plugin.index([tmp_path / "photos"], force=True)
    for _ in range(3):
        plugin.undo()
    assert shown(plugin) == before


def test_the_newer_correction_wins_when_the_clock_goes_back(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.correct(corrections.age(1, 5))
    monkeypatch.setattr("rollcall.corrections.log.now", lambda: "1999-01-01T00:00:00.000Z")
    plugin.correct(corrections.age(1, 50))
    assert plugin.face(1).age == 50


def test_restoring_an_unknown_line_raises_not_found(plugin: Plugin) -> None:
    with pytest.raises(NotFoundError, match="no line 77"):
        plugin.restore(77)


def test_a_batch_with_an_unknown_face_is_not_recorded(plugin: Plugin) -> None:
    with pytest.raises(NotFoundError, match="no face 999"):
        plugin.correct(corrections.age(1, 5), corrections.age(999, 5))
    assert plugin.corrections() == []


def test_what_was_undone_in_one_place_is_redone_there_whatever_others_do(plugin: Plugin) -> None:
    for face, place in ((1, "here"), (2, "there")):
        plugin.correct(corrections.age(face, 5), origin=place)
    plugin.undo(origin="here")
    plugin.undo(origin="there")
    plugin.correct(corrections.gender(3, "male"), by="host")
    done = plugin.redo(origin="here")
    assert [entry.face_id for entry in done.entries] == [1]
    with pytest.raises(ConflictError, match="nothing to redo"):
        plugin.redo(origin="here")
    assert [entry.face_id for entry in plugin.redo(origin="there").entries] == [2]


def test_what_was_done_again_elsewhere_is_not_done_again_twice(plugin: Plugin) -> None:
    for face in (1, 2):
        plugin.correct(corrections.age(face, 5), origin="here")
    plugin.undo(origin="here")
    plugin.undo(origin="here")
    plugin.redo()  # from anywhere
    assert [entry.face_id for entry in plugin.redo(origin="here").entries] == [2]
