"""What a person says about people is effective at once, told apart from guesses, and can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from blobs import draw
from people_blobs import ANNA, BEN, CARL, faces_of, rows, who
from rollcall import corrections, events
from rollcall.errors import ConflictError, InvalidCorrectionError, NotFoundError
from rollcall.host import Plugin
from rollcall.storage import revisions
from rollcall.storage.tables import FacePersonRow


def groups(plugin: Plugin) -> dict[object, set[int]]:
    """Return the faces of each person by name, and by None those of all groups without one."""
    found: dict[object, set[int]] = {}
    for face, name in rows(plugin, "SELECT face_id, person FROM v1_faces WHERE person_id IS NOT NULL"):
        found.setdefault(name, set()).add(int(str(face)))
    return found


def person_of(plugin: Plugin, face_id: int) -> int:
    return int(str(rows(plugin, "SELECT person_id FROM v1_faces WHERE face_id = :id", id=face_id)[0][0]))


def test_faces_of_one_person_are_one_group_and_a_stranger_is_in_none(family: Plugin) -> None:
    assert [(one.name, one.faces, one.photos, one.proposed) for one in family.people()] == [
        (None, 6, 6, 0),
        (None, 5, 5, 0),
    ]
    assert who(family, faces_of(family, 50, 50)[0]) == (None, None, None)


def test_a_name_given_once_is_proposed_for_the_others_and_certain_for_the_cover(family: Plugin) -> None:
    first = family.people()[0]
    anna = family.name_person(first.person_id, "Anna")
    assert (anna.names, anna.faces, anna.proposed) == (("Anna",), 6, 5)
    states = {who(family, face) for face in faces_of(family, 4, 9)}
    assert states == {("Anna", "confirmed", "user"), ("Anna", "proposed", "auto")}
    assert who(family, first.cover_face_id or 0) == ("Anna", "confirmed", "user")


def test_guesses_are_compared_with_a_face_that_was_confirmed_and_are_no_best_shots_before_one(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    for waiting in family.person_faces(anna, state="proposed"):
        # Whichever is the only one that was confirmed, it is the one that is shown.
        sure = [one.face_id for one in family.person_faces(anna, state="confirmed")]
        family.confirm_faces(anna, [waiting.face_id])
        family.correct(*(corrections.not_person(one, family.person(anna).uid) for one in sure))
        assert family.person(anna).cover_face_id == waiting.face_id
        assert [one.face_id for one in family.person_portrait(anna).best][:1] == [waiting.face_id]


def test_a_row_of_proposals_is_accepted_as_one_batch(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna")
    waiting = [face.face_id for face in family.person_faces(anna.person_id, state="proposed")]
    assert family.confirm_faces(anna.person_id, waiting).proposed == 0
    family.undo()
    assert family.person(anna.person_id).proposed == 5


def test_a_rejected_proposal_never_comes_back(family: Plugin, folder: Path) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna")
    wrong = family.person_faces(anna.person_id, state="proposed")[0].face_id
    family.reject_faces(anna.person_id, [wrong])
    assert who(family, wrong)[0] is None
    family.group_people()
    family.index(folder, force=True)
    assert who(family, wrong)[0] is None
    family.undo()
    family.group_people()
    assert who(family, wrong) == ("Anna", "proposed", "auto")


def test_a_face_is_named_by_a_name_in_any_case_and_its_group_is_proposed(family: Plugin) -> None:
    face = faces_of(family, 5, 5)[0]
    anna = family.name_face(face, " anna  b ")
    assert anna.names == ("anna b",)
    assert who(family, face) == ("anna b", "confirmed", "user")
    assert family.name_face(faces_of(family, 9, 9)[0], "Anna B").person_id == anna.person_id
    assert groups(family)["anna b"] == set(faces_of(family, 4, 9))


def test_two_people_of_one_name_are_told_apart_by_number(family: Plugin) -> None:
    first, second = family.people()
    family.name_person(first.person_id, "Kim")
    family.name_person(second.person_id, "KIM")
    with pytest.raises(ConflictError, match="2 people are called 'kim'"):
        family.name_face(faces_of(family, 50, 50)[0], "kim")
    assert [one.person_id for one in family.people_named("kim")] == [first.person_id, second.person_id]


def test_merging_gives_faces_and_names_and_undoing_it_takes_them_apart_again(family: Plugin) -> None:
    first, second = (one.person_id for one in family.people())
    family.name_person(first, "Anna")
    family.name_person(second, "Ben")
    before = groups(family)
    both = family.merge_people(first, second)
    # Both were seen on two photos. On the first one both faces were confirmed, of the other one is left out.
    assert (both.names, both.faces) == (("Anna", "Ben"), 10)
    family.undo()
    assert groups(family).keys() == before.keys()
    assert groups(family)["Ben"] >= set(faces_of(family, 33, 35))
    family.redo()
    assert [one.names for one in family.people(named=True)] == [("Anna", "Ben")]


def test_undoing_the_merge_of_a_group_without_a_name_takes_it_apart(family: Plugin, folder: Path) -> None:
    first, second = (one.person_id for one in family.people())
    family.name_person(first, "Anna")
    family.merge_people(first, second)
    family.undo()
    assert groups(family)["Anna"] == set(faces_of(family, 4, 9))
    assert groups(family)[None] == set(faces_of(family, 30, 35))


def test_undoing_the_merge_of_two_groups_without_names_takes_them_apart(family: Plugin) -> None:
    first, second = (one.person_id for one in family.people())
    before = {frozenset(face.face_id for face in family.person_faces(one)) for one in (first, second)}
    for _ in range(2):
        assert family.merge_people(first, second).faces > 6
        family.undo()
        after = [one.person_id for one in family.people()]
        assert {frozenset(face.face_id for face in family.person_faces(one)) for one in after} == before
        # Addresses of their pages are the same again.
        assert set(after) == {first, second}
        first, second = second, first


def test_a_wrong_birth_date_that_is_corrected_or_undone_gives_its_faces_back(family: Plugin) -> None:
    first = family.people()[0]
    anna, cover = family.name_person(first.person_id, "Anna").person_id, first.cover_face_id
    hers, everybody = set(faces_of(family, 4, 9)), len(family.people())
    for back in (lambda: family.set_birth_date(anna, "2010"), family.undo, lambda: family.set_birth_date(anna, None)):
        family.set_birth_date(anna, "2017-01")
        # Before her birth it was somebody else, unless somebody said that it is her: of her cover they did.
        assert groups(family)["Anna"] == {*faces_of(family, 7, 9), cover}
        back()
        assert groups(family)["Anna"] == hers
        assert len(family.people()) == everybody


def test_faces_that_came_while_two_were_one_go_to_whom_they_fit_when_the_merge_is_undone(
    family: Plugin, folder: Path
) -> None:
    first, second = (one.person_id for one in family.people())
    family.name_person(first, "Anna")
    family.name_person(second, "Ben")
    family.merge_people(first, second)
    for number in range(3):
        draw(folder / f"IMG_{2017 + number}1001_120000.png", (36 + number, BEN), seed=40 + number)
    draw(folder / "IMG_20201001_120000.png", (10, ANNA), seed=50)
    family.index(folder)
    new = [*faces_of(family, 36, 38), *faces_of(family, 10, 10)]
    assert {who(family, face)[0] for face in new} == {"Anna"}
    family.undo()
    assert [who(family, face)[0] for face in new] == ["Ben", "Ben", "Ben", "Anna"]


def test_faces_that_are_somebody_else_take_those_like_them_along(
    folder: Path, make_plugin: Callable[..., Plugin]
) -> None:
    for number in range(4):
        draw(folder / f"a{number}.png", (30 + number, ANNA), seed=number)
        draw(folder / f"b{number}.png", (30 + number, BEN), seed=10 + number)
    plugin = make_plugin()
    plugin.index(folder)
    first, second = (one.person_id for one in plugin.people())
    one = plugin.merge_people(first, second).person_id
    plugin.name_person(one, "Anna")
    bens = [int(str(row[0])) for row in rows(plugin, "SELECT face_id FROM v1_faces WHERE p_female > 0.3 ORDER BY 1")]
    ben = plugin.split_faces(bens[:1], "Ben")
    assert groups(plugin)["Ben"] == set(bens)
    assert [face.state for face in plugin.person_faces(ben.person_id)] == ["confirmed", *["proposed"] * 3]
    assert plugin.person(one).faces == 4


@pytest.fixture
def mixed(folder: Path, make_plugin: Callable[..., Plugin]) -> Plugin:
    """Anna, whose group holds four faces of Ben, and Carl, each with one face that is confirmed."""
    for number in range(4):
        draw(folder / f"a{number}.png", (30 + number, ANNA), seed=number)
        draw(folder / f"b{number}.png", (40 + number, BEN), seed=10 + number)
        draw(folder / f"c{number}.png", (50 + number, CARL), seed=20 + number)
    plugin = make_plugin()
    plugin.index(folder)
    for name, ages in (("Anna", (30, 43)), ("Carl", (50, 53))):
        first, *others = sorted({person_of(plugin, face) for face in faces_of(plugin, *ages)})
        for other in others:
            plugin.merge_people(first, other)
        plugin.name_person(first, name)
    return plugin


def test_whoever_went_along_with_a_split_comes_back_when_it_is_undone(mixed: Plugin) -> None:
    before = groups(mixed)
    assert before["Anna"] == set(faces_of(mixed, 30, 43))
    mixed.split_faces(faces_of(mixed, 40, 40), "Ben")
    assert groups(mixed)["Ben"] == set(faces_of(mixed, 40, 43))
    mixed.undo()
    assert groups(mixed) == before
    assert len(mixed.people()) == 2


def test_a_merge_that_is_undone_gives_each_their_faces_as_they_were(mixed: Plugin) -> None:
    before = groups(mixed)
    for ages in ((30, 50), (50, 30)):
        one, other = (person_of(mixed, faces_of(mixed, age, age)[0]) for age in ages)
        mixed.merge_people(one, other)
        mixed.undo()
        assert groups(mixed) == before
        assert {person_of(mixed, faces_of(mixed, age, age)[0]) for age in ages} == {one, other}


def test_a_no_to_somebody_after_a_merge_counts_for_faces_that_were_the_other_one(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    face = faces_of(family, 33, 33)[0]
    family.confirm_faces(ben, [face])
    family.merge_people(anna, ben)
    assert who(family, face) == ("Anna", "confirmed", "user")
    family.reject_faces(anna, [face])
    assert who(family, face)[0] != "Anna"
    family.undo()
    assert who(family, face) == ("Anna", "confirmed", "user")
    # A no from before says nothing of who is one with them now.
    family.undo()
    ben = next(one.person_id for one in family.people() if one.person_id != anna)
    family.reject_faces(anna, [face])
    family.merge_people(anna, ben)
    assert who(family, face) == ("Anna", "confirmed", "user")


def test_hidden_people_are_left_out_of_lists(family: Plugin) -> None:
    first, second = (one.person_id for one in family.people())
    family.hide_people(first, second)
    assert family.people() == []
    assert [one.hidden for one in family.people(hidden=True)] == [True, True]
    family.undo()
    assert len(family.people()) == 2


def test_one_person_is_me_and_relations_are_read_from_both_sides(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.set_me(anna)
    family.set_me(ben)
    assert [one.is_me for one in family.people()] == [False, True]
    family.relate(anna, "child_of", ben)
    assert family.person(anna).relations == (("child_of", ben),)
    assert family.person(ben).relations == (("parent_of", anna),)
    family.relate(anna, "child_of", ben, holds=False)
    assert family.person(ben).relations == ()


def test_words_that_cannot_be_are_refused_in_one_sentence(family: Plugin) -> None:
    first = family.people()[0].person_id
    with pytest.raises(InvalidCorrectionError, match="a name cannot be empty"):
        family.name_person(first, "  ")
    with pytest.raises(InvalidCorrectionError, match="'2010-13' is no birth date"):
        family.set_birth_date(first, "2010-13")
    with pytest.raises(InvalidCorrectionError, match="merged with themselves"):
        family.merge_people(first, first)
    with pytest.raises(NotFoundError, match="there is no person 999"):
        family.name_person(999, "Nobody")
    with pytest.raises(NotFoundError):
        family.confirm_faces(first, [999])
    assert family.corrections() == []


def test_listeners_and_hosts_that_poll_hear_of_changes(family: Plugin) -> None:
    heard: list[events.Event] = []
    family.subscribe(heard.append)
    family.name_person(family.people()[0].person_id, "Anna")
    assert events.PeopleChanged() in heard
    assert ("people_changed", None, None) in rows(family, "SELECT kind, photo_id, face_id FROM v1_events")


def test_a_face_dismissed_or_of_somebody_else_leaves_its_person(family: Plugin) -> None:
    anna = family.name_person(family.people()[0].person_id, "Anna").person_id
    face = faces_of(family, 9, 9)[0]
    family.correct(corrections.not_a_face(face))
    assert family.person(anna).faces == 5
    family.undo()
    family.correct(corrections.person(face, corrections.new_uid()))
    assert family.person(anna).faces == 5
    assert person_of(family, face) != anna
    family.correct(corrections.take_back("person", face_id=face))
    family.group_people()
    assert who(family, face)[0] == "Anna"


def assert_counted(plugin: Plugin) -> list[tuple[Any, ...]]:
    """Assert that people are counted as the view does, and return what it shows."""
    columns = ("person_id", "faces", "photos", "proposed", "first_seen", "last_seen", "cover_face_id")
    wanted = rows(plugin, f"SELECT {', '.join(columns)} FROM v1_people ORDER BY person_id")
    found = sorted(tuple(getattr(one, name) for name in columns) for one in plugin.people(hidden=None))
    assert found == [tuple(row) for row in wanted]
    waiting = sorted(((row[0], row[3]) for row in wanted if row[3]), key=lambda row: (-row[1], row[0]))
    assert plugin.proposals() == waiting
    return [tuple(row) for row in wanted]


def test_what_is_counted_of_people_follows_every_change(family: Plugin, folder: Path) -> None:
    anna = family.name_person(person_of(family, faces_of(family, 4, 9)[0]), "Anna").person_id
    assert_counted(family)
    *waiting, other = family.person_faces(anna, state="proposed")
    proposed = [face.face_id for face in waiting]
    seen = []
    for change in (
        lambda: family.correct(corrections.not_a_face(proposed[0])),
        family.undo,
        lambda: family.confirm_faces(anna, proposed[:2]),
        lambda: family.reject_faces(anna, proposed[2:3]),
        lambda: draw(family.photos([other.photo_id])[0].path, seed=4),
        lambda: family.forget(faces=proposed[1:2], dry_run=False),
    ):
        change()
        family.index(folder)
        seen.append(assert_counted(family))
    assert all(one != other for one, other in zip(seen, seen[1:], strict=False))


def test_lists_count_what_the_view_shows(family: Plugin) -> None:
    anna = family.name_person(person_of(family, faces_of(family, 4, 9)[0]), "Anna").person_id
    dismissed, *proposed = [face.face_id for face in family.person_faces(anna, state="proposed")]
    family.correct(corrections.not_a_face(dismissed))
    with family.database.write() as session:
        session.execute(text("UPDATE faces SET present = false WHERE id = :id"), {"id": proposed[0]})
        revisions.mark_faces(session, proposed[:1])
    wanted = assert_counted(family)
    with family.database.write() as session:
        session.execute(text("UPDATE photos SET taken_local = '2015-08-01T' || SUBSTR(taken_local, 12)"))
    assert family.people_seen_on_one_day() == [row[0] for row in wanted if row[0] != anna]


def test_who_was_left_without_anybody_by_a_split_comes_back_when_it_is_undone(mixed: Plugin) -> None:
    before = groups(mixed)
    plain = faces_of(mixed, 41, 43)
    mixed.split_faces(faces_of(mixed, 40, 40), "Ben")
    # As of real faces that are more like the one that is not Anna than like her, and not enough like it.
    with mixed.database.write() as session:
        session.execute(
            update(FacePersonRow)
            .where(FacePersonRow.face_id.in_(plain))
            .values(person_id=None, probability=0.0, state="automatic")
        )
    assert not set(plain) & set().union(*groups(mixed).values())
    mixed.undo()
    assert groups(mixed) == before
