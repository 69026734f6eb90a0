"""Questions about people: what settles the most faces is asked first, and what was answered never again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import event, update

import people_blobs
from blobs import draw
from people_blobs import faces_of, rows, who
from rollcall import corrections
from rollcall.errors import InvalidCorrectionError
from rollcall.host import Plugin
from rollcall.people import reading
from rollcall.people.clusters import Faces
from rollcall.people.kept import KeptFaces, kept_faces_of
from rollcall.people.linkage import UNKNOWN
from rollcall.people.questions import Candidate, Question, in_rows, questions
from rollcall.people.questions import of_library as questions_of_library
from rollcall.people.shapes import Parts, Shapes
from rollcall.storage import people_changes
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow

ANNA, BEN, GROUP = 1, 2, 7


def _faces_like(centre: int, count: int, seed: int, noise: float = 0.5) -> NDArray[np.float32]:
    base = np.eye(64, dtype=np.float32)[centre]
    drawn = np.random.default_rng(seed).normal(size=(count, 64))
    found = base + noise * drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def _library() -> tuple[Faces, NDArray[np.int64], NDArray[np.bool_]]:
    """Six faces of Anna, six of Ben, a group of four and one alone that are Anna, a stranger, four wrong of Ben."""
    vectors = [_faces_like(0, 6, 1), _faces_like(1, 6, 2), _faces_like(0, 4, 3), _faces_like(0, 1, 4, 1.0)]
    vectors += [_faces_like(5, 1, 5), _faces_like(9, 4, 6)]
    person = np.array([ANNA] * 6 + [BEN] * 6 + [GROUP] * 4 + [UNKNOWN] * 2 + [BEN] * 4)
    stated = np.zeros(22, np.bool_)
    stated[[0, 6]] = True
    return Faces(np.concatenate(vectors), np.arange(22), labels=np.where(stated, person, UNKNOWN)), person, stated


def test_groups_come_before_single_faces_and_strangers_are_not_asked_for() -> None:
    asked = questions(*_library(), {ANNA, BEN})
    found = [(one.kind, one.person, sorted(one.faces)) for one in asked]
    assert sorted(found[:2]) == [("check", BEN, [18, 19, 20, 21]), ("join", ANNA, [12, 13, 14, 15])]
    assert ("join", ANNA, [16]) in found
    assert 17 not in {face for one in asked for face in one.faces}
    assert [one.worth for one in asked] == sorted((one.worth for one in asked), reverse=True)


def test_a_photo_with_the_person_or_a_no_forbids_the_question() -> None:
    faces, person, stated = _library()
    faces.photos[16] = faces.photos[0]
    faces.rejected = [frozenset({ANNA}) if row == 12 else frozenset() for row in range(22)]
    asked = questions(faces, person, stated, {ANNA, BEN})
    assert not [one for one in asked if one.person == ANNA and one.kind == "join"]


def test_a_face_that_may_be_none_is_not_asked_about_but_a_group_with_such_a_face_is() -> None:
    faces, person, stated = _library()
    faces.weak[[13, 16]] = True
    asked = questions(faces, person, stated, {ANNA, BEN})
    assert [sorted(one.faces) for one in asked if one.kind == "join"] == [[12, 13, 14, 15]]


def test_an_answer_is_a_correction_that_undo_takes_back(family: Plugin) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    stranger = faces_of(family, 50, 50)[0]
    question = Question(anna, (stranger,), 0.5, "join")
    assert family.answer_question(question, yes=True).faces == 7
    assert who(family, stranger) == ("Anna", "confirmed", "user")
    family.undo()
    assert who(family, stranger) == (None, None, None)
    family.answer_question(question, yes=False)
    assert rows(family, "SELECT face_id, person_id FROM person_rejections") == [(stranger, anna)]
    assert all(stranger not in one.faces for one in family.people_questions())


def test_an_answer_that_is_undone_leaves_the_faces_where_they_were(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    proposed = next(face.face_id for face in family.person_faces(anna, state="proposed"))
    # A face of a group draws the group along.
    of_ben = family.person_faces(ben)[0].face_id
    stranger = faces_of(family, 50, 50)[0]
    state = "SELECT person, person_state FROM v1_faces ORDER BY face_id"
    before = rows(family, state)
    for say in (
        lambda: family.reject_faces(anna, [proposed]),
        lambda: family.confirm_faces(anna, [proposed]),
        lambda: family.confirm_faces(anna, [of_ben]),
        lambda: family.name_face(stranger, "Carl"),
    ):
        say()
        assert rows(family, state) != before
        family.undo()
        assert rows(family, state) == before
    assert [one.faces for one in family.people()] == [6, 5]


def test_a_group_that_is_the_person_becomes_one_with_them(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    cover = family.person(ben).cover_face_id
    assert cover is not None
    family.answer_question(Question(anna, (cover,), 0.5, "join"), yes=True)
    assert who(family, cover) == ("Anna", "confirmed", "user")


def test_faces_of_one_person_stand_in_rows_and_groups_by_themselves() -> None:
    singles = [Question(ANNA, (face,), 0.5, "join") for face in (1, 2, 3)]
    asked = [Question(BEN, (9,), 0.9, "join"), *singles, Question(ANNA, (5, 6), 0.6, "join")]
    assert [(one.person, one.faces) for one in in_rows(asked, 2)] == [
        (ANNA, (5, 6)),
        (ANNA, (1, 2)),
        (BEN, (9,)),
        (ANNA, (3,)),
    ]


def test_what_is_likely_and_what_is_not_never_stand_in_one_row() -> None:
    asked = [Question(ANNA, (face,), chance, "join") for face, chance in enumerate((0.9, 0.4, 0.6, 0.1, 0.5))]
    assert [one.faces for one in in_rows(asked, 12)] == [(0, 2, 4), (1, 3)]


def test_a_row_of_several_faces_tells_nobody_else_a_single_face_does() -> None:
    others = (Candidate(BEN, 0.4),)
    asked = [Question(ANNA, (face,), 0.5, "join", others) for face in (1, 2, 3)]
    assert [(one.faces, one.candidates) for one in in_rows(asked, 2)] == [((1, 2), ()), ((3,), others)]


def test_who_is_unticked_in_a_row_is_not_the_person(family: Plugin) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    stranger = faces_of(family, 50, 50)[0]
    proposed = next(face.face_id for face in family.person_faces(anna, state="proposed"))
    row = Question(anna, (proposed, stranger), 0.5, "join")
    family.answer_question(row, yes=True, seen=[proposed], others=[stranger])
    assert who(family, proposed) == ("Anna", "confirmed", "user")
    assert rows(family, "SELECT face_id, person_id FROM person_rejections") == [(stranger, anna)]
    family.undo()
    assert rows(family, "SELECT face_id, person_id FROM person_rejections") == []


def test_the_cover_of_a_group_that_is_the_person_is_not_if_it_was_unticked(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    cover = family.person(ben).cover_face_id
    assert cover is not None
    others = [one.face_id for one in family.person_faces(ben) if one.face_id != cover]
    row = Question(anna, (*others, cover), 0.9, "join")
    family.answer_question(row, yes=True, seen=others, others=[cover])
    assert who(family, cover)[0] != "Anna"
    assert {who(family, face)[0] for face in others} == {"Anna"}


def test_what_is_kept_between_questions_follows_everything_that_this_and_other_processes_change(
    family: Plugin, folder: Path, make_plugin: Callable[..., Plugin]
) -> None:
    other = make_plugin()
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    stranger = faces_of(family, 50, 50)[0]
    kept = kept_faces_of(family.database)

    def same() -> bool:
        with family.database.read() as session:
            one, all_read = kept.read(session), reading.read_faces(session)
            again = questions_of_library(session, 20)
        for name in ("face_ids", "taken", "person", "stated", "certain", "seen", "probability"):
            assert np.array_equal(getattr(one, name), getattr(all_read, name), equal_nan=name == "taken"), name
        for name in ("vectors", "photos", "weak", "labels", "rejected", "answered"):
            assert np.array_equal(getattr(one.faces, name), getattr(all_read.faces, name)), name
        return family.people_questions() == again

    assert same()
    new = draw(folder.parent / "new.png", (10, people_blobs.ANNA), (36, people_blobs.BEN), seed=70)
    read = Mock(side_effect=AssertionError("all faces were read again"))
    with patch.object(KeptFaces, "_read_all", read):
        for change in (
            lambda: other.reject_faces(anna, [stranger]),
            lambda: other.name_person(ben, "Ben"),
            lambda: other.correct(corrections.not_a_face(faces_of(family, 8, 8)[0])),
            family.undo,
            lambda: other.index(new.rename(folder / "IMG_20200601_120000.png").parent),
            lambda: other.forget(f"face:{stranger}"),
        ):
            change()
            assert same()
        # Who did not follow for long cannot know which lines are gone.
        with patch.object(people_changes, "KEPT", 1), other.database.write() as session:
            session.execute(update(FacePersonRow).values(probability=0.75))
            people_changes.trim(session)
        assert same()
    other.forget(embeddings=True)
    assert kept_faces_of(family.database) is kept
    assert same()


def test_a_grouping_of_more_faces_than_are_followed_is_one_change_and_the_next_ones_are_followed_again(
    family: Plugin,
) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    kept, triggers = KeptFaces(), "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    with family.database.write() as session:
        kept.read(session)
        session.execute(update(FacePersonRow).values(probability=0.25))
        people_changes.trim(session)
    before = rows(family, triggers)
    with patch.object(people_changes, "KEPT", 3):
        family.group_people()
    assert rows(family, triggers) == before
    assert len(rows(family, "SELECT id FROM people_changes")) == 1

    def same() -> bool:
        with family.database.read() as session:
            return np.array_equal(kept.read(session).probability, reading.read_faces(session).probability)

    assert same()
    family.confirm_faces(anna, [next(face.face_id for face in family.person_faces(anna, state="proposed"))])
    assert len(rows(family, "SELECT id FROM people_changes")) > 1
    assert same()


def test_after_an_answer_only_those_faces_are_read_again_that_it_is_about(family: Plugin) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    kept = kept_faces_of(family.database)
    with family.database.read() as session:
        kept.read(session)
    stranger = faces_of(family, 50, 50)[0]
    read = list[str]()
    for answer in (family.confirm_faces, family.reject_faces):
        answer(anna, [stranger])
        read.clear()
        with family.database.read() as session:
            event.listen(session.connection(), "after_cursor_execute", lambda *of: read.append(of[2]))
            library = kept.read(session)
        assert not [one for one in read if "face_people" in one and "IN (" not in one]
        row = library.face_ids.tolist().index(stranger)
        assert (library.person[row] == anna) == (answer == family.confirm_faces)
        assert (anna in library.faces.rejected[row]) == (answer == family.reject_faces)


def test_a_face_like_others_that_are_unlike_each_other_is_likelier_theirs() -> None:
    vectors = [
        _faces_like(0, 8, 1, 0.3),
        _faces_like(1, 8, 2, 1.2),
        _faces_like(0, 1, 3, 2.2),
        _faces_like(1, 1, 4, 2.2),
    ]
    faces = Faces(np.concatenate(vectors), np.arange(18))
    # Both single faces are made equally similar to the centre of whom they are like.
    centres = [faces.vectors[:8].mean(axis=0), faces.vectors[8:16].mean(axis=0)]
    for row, centre in ((16, centres[0]), (17, centres[1])):
        unit = centre / np.linalg.norm(centre)
        rest = faces.vectors[row] - (faces.vectors[row] @ unit) * unit
        faces.vectors[row] = 0.3 * unit + np.sqrt(1 - 0.09) * rest / np.linalg.norm(rest)
    person = np.array([ANNA] * 8 + [BEN] * 8 + [UNKNOWN] * 2)
    asked = {one.faces: one for one in questions(faces, person, np.zeros(18, np.bool_), {ANNA, BEN})}
    assert asked[(17,)].person == BEN
    assert (16,) not in asked or asked[(16,)].probability < asked[(17,)].probability


def test_two_people_of_many_faces_taken_for_one_are_asked_about_by_halves() -> None:
    faces = Faces(np.concatenate([_faces_like(0, 10, 1), _faces_like(1, 8, 2)]), np.arange(18))
    stated = np.zeros(18, np.bool_)
    stated[0] = True
    asked = questions(faces, np.full(18, ANNA), stated, {ANNA})
    assert (asked[0].kind, sorted(asked[0].faces)) == ("check", list(range(10, 18)))


def test_a_no_leaves_the_share_of_a_person_to_the_next_one() -> None:
    faces = Faces(np.concatenate([_faces_like(0, 6, 1), _faces_like(1, 6, 2), np.zeros((1, 64))]), np.arange(13))
    between = faces.vectors[:6].mean(axis=0) + 0.9 * faces.vectors[6:12].mean(axis=0)
    faces.vectors[12] = between / np.linalg.norm(between)
    person = np.array([ANNA] * 6 + [BEN] * 6 + [UNKNOWN])

    def asked() -> Question:
        found = questions(faces, person, np.zeros(13, np.bool_), {ANNA, BEN})
        return next(one for one in found if one.faces == (12,))

    first = asked()
    faces.rejected = [frozenset()] * 12 + [frozenset({first.person})]
    second = asked()
    assert {first.person, second.person} == {ANNA, BEN}
    assert second.probability > 1.0 - first.probability


def test_whom_else_faces_may_be_is_told_unless_a_no_or_a_photo_forbids_it(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    family.name_person(ben, "Ben")
    stranger = faces_of(family, 50, 50)[0]
    of_anna = {one.photo_id for one in family.person_faces(anna)}
    alone = next(one.photo_id for one in family.person_faces(ben) if one.photo_id not in of_anna)
    with family.database.write() as session:
        everyone = reading.read_faces(session)
        vectors = np.asarray(everyone.faces.vectors, np.float32)
        between = vectors[everyone.person == anna].mean(axis=0) + 0.9 * vectors[everyone.person == ben].mean(axis=0)
        between = (between / np.linalg.norm(between)).astype("<f2")
        session.get_one(EmbeddingRow, stranger).vector = between.tobytes()

    def told() -> tuple[int, ...]:
        with family.database.read() as session:
            (one,) = [one for one in questions_of_library(session, 20) if one.faces == (stranger,)]
        return (one.person, *(other.person for other in one.candidates))

    assert told() == (anna, ben)
    family.reject_faces(ben, [stranger])
    assert told() == (anna,)
    family.undo()
    with family.database.write() as session:
        session.get_one(FaceRow, stranger).photo_id = alone
    assert told() == (anna,)


def test_a_question_about_a_face_between_two_people_tells_both() -> None:
    faces = Faces(np.concatenate([_faces_like(0, 6, 1), _faces_like(1, 6, 2), np.zeros((1, 64))]), np.arange(13))
    between = faces.vectors[:6].mean(axis=0) + 0.9 * faces.vectors[6:12].mean(axis=0)
    faces.vectors[12] = between / np.linalg.norm(between)
    person = np.array([ANNA] * 6 + [BEN] * 6 + [UNKNOWN])
    asked = questions(faces, person, np.zeros(13, np.bool_), {ANNA, BEN})
    (one,) = [one for one in asked if one.faces == (12,)]
    assert [one.person, *(other.person for other in one.candidates)] in ([ANNA, BEN], [BEN, ANNA])
    assert one.worth == one.probability + one.candidates[0].probability > one.probability


def test_an_answer_says_who_it_is_instead_and_whom_else_it_is_not(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    family.name_person(ben, "Ben")
    stranger = faces_of(family, 50, 50)[0]
    rejected = f"SELECT person_id FROM person_rejections WHERE face_id = {stranger} ORDER BY person_id"
    question = Question(anna, (stranger,), 0.5, "join", (Candidate(ben, 0.4),))
    assert family.answer_question(question, yes=False, instead=ben).person_id == ben
    assert who(family, stranger) == ("Ben", "confirmed", "user")
    assert rows(family, rejected) == [(anna,)]
    family.undo()
    assert who(family, stranger)[0] is None
    family.answer_question(question, yes=False, nor=[ben])
    assert rows(family, rejected) == [(anna,), (ben,)]
    for wrong in ({"yes": True, "instead": ben}, {"yes": False, "instead": ben, "nor": [ben]}):
        with pytest.raises(InvalidCorrectionError, match="who they are instead"):
            family.answer_question(question, **wrong)


def test_a_group_that_is_somebody_else_becomes_one_with_them(family: Plugin) -> None:
    anna, ben = (one.person_id for one in family.people())
    family.name_person(anna, "Anna")
    cara = family.name_face(faces_of(family, 50, 50)[0], "Cara").person_id
    theirs = [one.face_id for one in family.person_faces(ben)]
    family.answer_question(Question(anna, tuple(theirs), 0.5, "join"), yes=False, seen=theirs, instead=cara)
    assert {who(family, face)[:2] for face in theirs} == {("Cara", "confirmed")}


def test_what_is_kept_of_groups_and_people_follows_faces_that_move_between_them() -> None:
    random, shapes = np.random.default_rng(5), Shapes()
    vectors = np.concatenate([_faces_like(centre, 12, centre) for centre in range(5)])
    group, named = random.integers(1, 9, 60), np.arange(0, 60, 7)
    people = {101: named[:4], 102: named[4:7], 103: named[7:]}
    computed = list[int]()
    for turn in range(8):
        group = np.where(random.random(60) < 0.05, random.integers(1, 12, 60), group)
        if turn % 3 == 2:
            # One gets a face of another one, and somebody is renamed or merged.
            people = {**people, 101: np.append(people[101], people[102][:1]), 102: people[102][1:]}
            people = {number + (number == 103): rows for number, rows in people.items() if len(rows)}
        rows = np.argsort(group, kind="stable")
        parts = Parts(rows, np.flatnonzero(np.diff(group[rows], prepend=0)), group)
        found = []
        for one in (shapes, Shapes()):
            them = one.people(vectors, people)
            with patch.object(them, "nearest", Mock(side_effect=them.nearest)) as nearest:
                compared = one.compared(vectors, parts, them)
                part, place = np.divmod(np.arange(len(parts.keys) * len(people)), len(people))
                near = compared.nearest(them, part, place)
                one.keep(vectors, parts, compared)
                computed.append(sum(len(call.args[1]) for call in nearest.call_args_list))
            grid = one.of_faces(them)
            assert grid is not None
            found.append((compared.centres, compared.cosines(0, len(parts.keys)), grid.cosines, near))
        for kept, anew in zip(*found, strict=True):
            np.testing.assert_allclose(kept, anew, atol=1e-6)
        means = [vectors[group == one].mean(axis=0) for one in np.unique(group)]
        np.testing.assert_allclose(found[0][0], [one / np.linalg.norm(one) for one in means], atol=1e-5)
    assert sum(computed[2::2]) < 0.8 * sum(computed[3::2])
    other = Shapes().compared(vectors[::-1], parts, Shapes().people(vectors[::-1], people))
    again = shapes.compared(vectors[::-1], parts, shapes.people(vectors[::-1], people))
    np.testing.assert_allclose(again.centres, other.centres, atol=1e-6)
