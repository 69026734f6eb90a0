"""A person who is forgotten leaves nothing behind; what was said of others stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from people_blobs import faces_of, rows, who
from rollcall.errors import NotFoundError
from rollcall.host import Plugin


def test_a_person_is_forgotten_with_faces_names_and_every_line_about_them(family: Plugin, folder: Path) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna Unforgettable")
    family.name_person(ben, "Ben")
    family.reject_faces(anna, faces_of(family, 50, 50))
    family.relate(anna, "child_of", ben)
    uid = family.person(anna).uid
    report = family.forget(f"person:{anna}")
    assert report.faces == 6
    assert [one.name for one in family.people()] == ["Ben"]
    family.index(folder, force=True)
    family.group_people()
    assert faces_of(family, 4, 9) == []
    assert uid not in str(family.export_corrections())
    file = family.database.file
    assert file is not None
    family.stop()
    for path in file.parent.glob(f"{file.name}*"):
        content = path.read_bytes()
        assert b"Unforgettable" not in content and uid.encode() not in content
    family.start()
    assert who(family, faces_of(family, 30, 30)[0])[0] == "Ben"


def test_without_embeddings_only_what_was_said_is_left(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    family.forget(embeddings=True)
    assert [(one.name, one.faces) for one in family.people()] == [("Anna", 1)]
    assert rows(family, "SELECT DISTINCT person_state FROM v1_faces WHERE person_id = :id", id=anna) == [("confirmed",)]


def test_nobody_is_forgotten_by_a_number_that_is_not_there(family: Plugin) -> None:
    with pytest.raises(NotFoundError, match="there is no person 99"):
        family.forget(people=[99])
    assert len(family.people()) == 2
