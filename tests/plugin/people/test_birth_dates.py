"""A birth date gives the ages of a person's faces, everywhere, and keeps them out of earlier photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blobs import draw
from people_blobs import ANNA, faces_of, rows, who
from rollcall import corrections
from rollcall.host import Plugin


def ages(plugin: Plugin) -> list[tuple[object, ...]]:
    return rows(
        plugin,
        "SELECT age_low, age_high, age_source FROM v1_faces WHERE face_id IN (SELECT face_id FROM v1_faces"
        " WHERE person = 'Anna') ORDER BY age",
    )


def test_the_age_of_each_face_follows_and_goes_with_the_birth_date(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    family.set_birth_date(anna, "2011-02")
    assert ages(family) == [(year, year, "birth_date") for year in range(3, 9)]
    assert [hit.photo_id for hit in family.search("faces aged 3")][:1] == [
        rows(family, "SELECT photo_id FROM v1_faces WHERE face_id = :id", id=faces_of(family, 4, 4)[0])[0][0]
    ]
    family.undo()
    assert "birth_date" not in {source for *_, source in ages(family)}


def test_an_age_that_a_person_gave_stays(family: Plugin) -> None:
    face = faces_of(family, 4, 4)[0]
    family.correct(corrections.age(face, 6))
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    family.set_birth_date(anna, "2011-02")
    assert (6, 6, "user") in ages(family)
    family.correct(corrections.take_back("age", face_id=face))
    family.group_people()
    assert (3, 3, "birth_date") in ages(family)


def test_ages_that_follow_from_a_birth_date_count_for_tags(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    sql = "SELECT p_children FROM v1_photos WHERE photo_id IN (SELECT photo_id FROM v1_faces WHERE person = 'Anna')"
    assert {round(float(str(p)), 2) for (p,) in rows(family, sql)} == {1.0}
    family.set_birth_date(anna, "1990")
    assert {round(float(str(p)), 2) for (p,) in rows(family, sql)} == {0.0}


def test_nobody_is_in_photos_from_before_their_birth(family: Plugin, folder: Path) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    family.set_birth_date(anna, "2016-01-01")
    early = [face for face in faces_of(family, 4, 5) if who(family, face)[1] != "confirmed"]
    assert all(who(family, face)[0] is None for face in early)
    draw(folder / "IMG_20120601_120000.png", (7, ANNA), seed=50)
    family.index(folder)
    family.group_people()
    taken = rows(
        family,
        "SELECT MIN(p.taken_local) FROM v1_faces f JOIN v1_photos p USING (photo_id)"
        " WHERE f.person = 'Anna' AND f.person_state = 'proposed'",
    )[0][0]
    assert str(taken) >= "2016"


def test_a_single_new_face_is_nobody_whose_faces_tell_a_much_later_birth(family: Plugin, folder: Path) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    theirs = faces_of_person(family, anna)
    draw(folder / "IMG_20200601_120000.png", (10, ANNA), seed=50)
    family.index(folder)
    joined = faces_of_person(family, anna) - theirs
    # As old as Anna is now, on a photo from before her birth: her faces tell it, nobody gave it.
    draw(folder / "IMG_20050601_120000.png", (0, ANNA), seed=51)
    family.index(folder)
    assert joined == set(faces_of(family, 10, 10))
    assert who(family, faces_of(family, 0, 0)[0])[0] is None


def test_naming_a_group_does_not_confirm_a_face_from_before_the_birth_that_the_others_tell(
    folder: Path, make_plugin: Callable[..., Plugin]
) -> None:
    # All are as good for a cover, so that it would be the first: of too few faces to keep it out of the group.
    for year, age in ((2004, 1), (2014, 4), (2015, 5), (2016, 6)):
        draw(folder / f"IMG_{year}0601_120000.png", (age, ANNA), seed=year)
    plugin = make_plugin()
    plugin.index(folder)
    group = plugin.people()[0]
    assert faces_of_person(plugin, group.person_id) == set(faces_of(plugin, 1, 6))
    plugin.name_person(group.person_id, "Anna")
    states = [who(plugin, face)[1] for face in faces_of(plugin, 1, 6)]
    assert states[0] != "confirmed"
    assert states.count("confirmed") == 1


def test_a_group_has_an_estimate_with_its_uncertainty(family: Plugin) -> None:
    first = family.people()[0]
    assert first.birth_date_source == "estimate"
    assert first.birth_estimate is not None and abs(first.birth_estimate - 2010) < 1
    assert first.birth_deviation is not None and 0.5 < first.birth_deviation < 3


def test_faces_of_somebody_with_a_name_and_no_birth_date_tell_the_age_of_each_other(
    family: Plugin, folder: Path
) -> None:
    # The network takes her for 1 in 2018, where she is 8 by all other photos.
    draw(folder / "IMG_20180901_120000.png", (1, ANNA), seed=60)
    family.index(folder)
    odd = faces_of(family, 1, 1)[0]
    anna = next(one.person_id for one in family.people() if odd in faces_of_person(family, one.person_id))
    assert ages_of(family, odd)[2] == "model"
    family.name_person(anna, "Anna")
    family.confirm_faces(anna, [one.face_id for one in family.person_faces(anna, state="proposed")])
    low, high, source = ages_of(family, odd)
    assert source == "birth_estimate"
    assert low <= 8 <= high
    assert high - low <= 3
    estimate = family.person(anna).birth_estimate
    family.group_people()
    # What follows from the estimate does not count for it again.
    assert family.person(anna).birth_estimate == estimate
    family.name_person(anna)
    assert ages_of(family, odd)[2] == "model"


def faces_of_person(plugin: Plugin, person_id: int) -> set[int]:
    return {one.face_id for one in plugin.person_faces(person_id)}


def ages_of(plugin: Plugin, face_id: int) -> tuple[int, int, str]:
    sql = "SELECT age_low, age_high, age_source FROM v1_faces WHERE face_id = :id"
    low, high, source = rows(plugin, sql, id=face_id)[0]
    return int(str(low)[:2].rstrip(".")), int(str(high)[:2].rstrip(".")), str(source)
