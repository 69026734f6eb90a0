"""One more photo: what is read for its faces does not grow with the library, and says who they are."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
from sqlalchemy import delete, event, func, select, update

from blobs import draw
from people_blobs import ANNA, rows, who
from rollcall.host import Plugin
from rollcall.people import grouping
from rollcall.people.shapes import NO_GROUP, Shapes
from rollcall.storage import people_changes, revisions
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow

#: Of a face that becomes one of a group; a grouping that reads less may lower it.
STATEMENTS = 22


def _newest(plugin: Plugin) -> int:
    with plugin.database.read() as session:
        return session.scalar(select(func.max(FaceRow.id))) or 0


def _as_new(plugin: Plugin, face_id: int) -> None:
    """Make a face one that grouping has not looked at."""
    with plugin.database.write() as session:
        session.execute(delete(FacePersonRow).where(FacePersonRow.face_id == face_id))
        revisions.set_grouped(session, None)


def test_a_new_face_takes_few_statements(family: Plugin, folder: Path) -> None:
    draw(folder / "IMG_20200701_120000.png", (10, ANNA), seed=40)
    family.index(folder)
    new = _newest(family)
    group = family.people()[0].person_id
    assert who(family, new)[0] is None
    expected = rows(family, "SELECT person_id FROM face_people WHERE face_id = :new", new=new)
    assert expected == [(group,)]
    _as_new(family, new)
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement)

    event.listen(family.database.engine, "before_cursor_execute", note)
    grouping.group_new(family.database, family.settings.tags)
    event.remove(family.database.engine, "before_cursor_execute", note)
    assert rows(family, "SELECT person_id FROM face_people WHERE face_id = :new", new=new) == expected
    assert len(found) <= STATEMENTS, "\n".join(found)


def test_a_face_of_another_network_is_compared_with_none_of_the_others(family: Plugin) -> None:
    new = _newest(family)
    _as_new(family, new)
    with family.database.write() as session:
        session.execute(
            update(EmbeddingRow).where(EmbeddingRow.face_id == new).values(model_version="other-attributes-9")
        )
    grouping.group_new(family.database, family.settings.tags)
    assert rows(family, "SELECT person_id FROM face_people WHERE face_id = :new", new=new) == [(None,)]


def test_changes_of_people_are_forgotten_after_corrections_alone(family: Plugin) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    faces = [face.face_id for face in family.person_faces(anna, state="proposed")]
    with patch.object(people_changes, "KEPT", 3):
        for face in faces:
            family.confirm_faces(anna, [face])
            assert len(rows(family, "SELECT id FROM people_changes")) <= 3


def test_the_order_of_groups_that_is_kept_follows_every_change() -> None:
    chance, kept = np.random.default_rng(3), Shapes()
    group = chance.integers(-500, 40, 500)
    for count in (0, 1, 7, 200, 500, 0, 3):
        changed = chance.choice(500, count, replace=False)
        group = group.copy()
        group[changed] = np.where(chance.random(count) < 0.3, NO_GROUP, chance.integers(-500, 40, count))
        grouped = np.flatnonzero(group != NO_GROUP)
        expected = grouped[np.argsort(group[grouped], kind="stable")]
        assert np.array_equal(kept.ordered(group), expected)
    assert len(kept.ordered(np.full(9, NO_GROUP))) == 0
