"""Photos of people with a name have a tag of it, as long as they have both."""

from __future__ import annotations

from pathlib import Path

from people_blobs import faces_of, rows
from rollcall import corrections
from rollcall.host import Plugin
from rollcall.people import grouping
from rollcall.settings import TagSettings


def tagged(plugin: Plugin, state: str = "applied") -> dict[str, int]:
    """Return how many photos have each tag that is no group's."""
    groups = (
        "('People/Adults', 'People/Children', 'People/Babies', 'People/Teenagers', 'People/Seniors', 'People/Group')"
    )
    found = rows(
        plugin,
        f"SELECT tag, COUNT(*) FROM v1_tags WHERE state = :state AND tag NOT IN {groups} GROUP BY tag ORDER BY tag",
        state=state,
    )
    return {str(tag): int(str(count)) for tag, count in found}


def named(plugin: Plugin, name: str = "Anna") -> int:
    """Name the group of most faces, accept its proposals, and return its number."""
    person = plugin.name_person(plugin.people()[0].person_id, name).person_id
    plugin.confirm_faces(person, [one.face_id for one in plugin.person_faces(person, state="proposed")])
    return person


def test_a_confirmed_face_gives_its_photo_the_name_as_a_tag_and_a_proposal_does_not(family: Plugin) -> None:
    person = family.name_person(family.people()[0].person_id, "Anna").person_id
    assert tagged(family) == {"People/Anna": 1}
    family.confirm_faces(person, [one.face_id for one in family.person_faces(person, state="proposed")])
    assert tagged(family) == {"People/Anna": 6}
    family.undo()
    assert tagged(family) == {"People/Anna": 1}


def test_the_tag_goes_with_the_name_the_face_and_the_person(family: Plugin) -> None:
    person = named(family)
    family.name_person(person, "Anna/Lena")
    assert tagged(family) == {"People/Anna-Lena": 6}
    family.reject_faces(person, faces_of(family, 4, 4))
    assert tagged(family) == {"People/Anna-Lena": 5}
    family.hide_people(person)
    assert tagged(family) == {}
    family.hide_people(person, hidden=False)
    family.name_person(person)
    assert tagged(family) == {}


def test_a_merge_gives_the_tag_to_all_photos_and_its_undoing_takes_it_away(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    named(family)
    family.name_person(ben, "Ben")
    assert tagged(family)["People/Ben"] == 1
    family.merge_people(anna, ben)
    assert "People/Ben" not in tagged(family)
    family.undo()
    assert tagged(family) == {"People/Anna": 6, "People/Ben": 1}


def test_a_name_that_somebody_else_keeps_leaves_the_photos_of_who_is_called_otherwise_now(family: Plugin) -> None:
    named(family)
    ben = family.name_face(faces_of(family, 33, 33)[0], "Ben").person_id
    family.name_person(ben, "Anna")
    assert tagged(family) == {"People/Anna": 7}
    family.undo()
    assert tagged(family) == {"People/Anna": 6, "People/Ben": 1}


def test_a_tag_that_a_person_rejected_does_not_come_back(family: Plugin, folder: Path) -> None:
    named(family)
    photo = int(str(rows(family, "SELECT MIN(photo_id) FROM v1_tags WHERE tag = 'People/Anna'")[0][0]))
    family.correct(corrections.tag(photo, "People/Anna", accepted=False))
    family.group_people()
    family.index(folder, force=True)
    assert tagged(family) == {"People/Anna": 5}
    assert tagged(family, "rejected") == {"People/Anna": 1}


def test_the_setting_takes_proposals_too_or_nothing(family: Plugin) -> None:
    family.name_person(family.people()[0].person_id, "Anna")
    for people, count in (("likely", 6), ("off", 0), ("confirmed", 1)):
        grouping.group_all(family.database, TagSettings.model_validate({"people": people, "precision": 0.5}))
        assert tagged(family).get("People/Anna", 0) == count


def test_somebody_called_like_a_group_gets_no_tag_of_it(family: Plugin) -> None:
    before = rows(family, "SELECT photo_id, tag FROM v1_tags ORDER BY 1, 2")
    named(family, "Adults")
    assert rows(family, "SELECT photo_id, tag FROM v1_tags ORDER BY 1, 2") == before
