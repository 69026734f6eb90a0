"""What a person says about people as corrections: naming a group, answering proposals, merging, splitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.corrections.kinds import Correction
from rollcall.corrections.people_log import stated_people
from rollcall.corrections.person_kinds import Relation, clean_name
from rollcall.errors import ConflictError, InvalidCorrectionError, NotFoundError
from rollcall.people import persons
from rollcall.people.questions import Question
from rollcall.sentences import Quoted, Sentence
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonRow, PhotoRow

#: Faces of a group that a line of the log each remembers when it is named: by them it is found again.
REMEMBERED: Final = 24


def uid_of(session: Session, person_id: int) -> str:
    """Return the uid of a person.

    Raises
    ------
    NotFoundError
        If there is none of this number.
    """
    uid = session.scalar(select(PersonRow.uid).where(PersonRow.id == person_id))
    if uid is None:
        raise NotFoundError("person", person_id)
    return uid


def name(session: Session, person_id: int, names: Sequence[str]) -> list[Correction]:
    """Return the corrections that name a person; the faces of a group are remembered, its cover is confirmed."""
    uid = uid_of(session, person_id)
    given: list[Correction] = [corrections.person_name(uid, names)]
    return given + _remembered(session, person_id, uid)


def name_face(session: Session, face_id: int, text: str) -> list[Correction]:
    """Return the corrections that say a face is somebody of a name, who is added if nobody has it.

    Raises
    ------
    ConflictError
        If several people have the name.
    """
    if session.get(FaceRow, face_id) is None:
        raise NotFoundError("face", face_id)
    cleaned = _clean(text)
    found = persons.with_name(session, cleaned)
    if len(found) > 1:
        raise ConflictError(
            Sentence(
                "%(count)s people are called %(name)s (numbers %(numbers)s); say which by number",
                count=len(found),
                name=Quoted(cleaned),
                numbers=", ".join(map(str, found)),
            )
        )
    if found:
        return [corrections.person(face_id, uid_of(session, found[0]))]
    uid = corrections.new_uid()
    return [corrections.person_name(uid, [cleaned]), corrections.person(face_id, uid)]


def confirm(session: Session, person_id: int, face_ids: Sequence[int]) -> list[Correction]:
    """Return the corrections that say faces are a person."""
    uid = uid_of(session, person_id)
    return [corrections.person(face_id, uid) for face_id in dict.fromkeys(face_ids)]


def reject(session: Session, person_id: int, face_ids: Sequence[int]) -> list[Correction]:
    """Return the corrections that say faces are not a person."""
    uid = uid_of(session, person_id)
    return [corrections.not_person(face_id, uid) for face_id in dict.fromkeys(face_ids)]


def merge(session: Session, person_id: int, others: Sequence[int]) -> list[Correction]:
    """Return the corrections that say others are a person, too."""
    uid = uid_of(session, person_id)
    given = _remembered(session, person_id, uid)
    for other in dict.fromkeys(others):
        given += _remembered(session, other, uid)
        given.append(corrections.person_merge(uid, uid_of(session, other)))
    return given


def relation(session: Session, person_id: int, relation: Relation, other_id: int, holds: bool) -> Correction:
    """Return the correction that says how somebody is related to somebody else, or is not.

    Raises
    ------
    InvalidCorrectionError
        If they are related otherwise: nobody is a child of their own child.
    """
    uid, other = uid_of(session, person_id), uid_of(session, other_id)
    given = corrections.person_relation(uid, relation, other, holds)
    between = {one for one in stated_people(session).relations if {one[0], one[1]} == {uid, other}}
    same = {(uid, other, relation)} | ({(other, uid, relation)} if relation == "partner_of" else set())
    if holds and between - same:
        raise InvalidCorrectionError(Sentence("they are related otherwise already; take that back first"))
    return given


def answer(
    session: Session,
    question: Question,
    yes: bool,
    seen: Sequence[int] | None = None,
    others: Sequence[int] = (),
    instead: int | None = None,
    nor: Sequence[int] = (),
) -> list[Correction]:
    """Return the corrections that answer a question: a group of nobody is the person, or faces are or are not.

    The faces that were `seen` are answered each, None for the first alone; `others` are not the person, whatever these
    are. A group is the person if all that the question begins with were. Without a yes these faces are `instead`
    somebody, and none of `nor`.
    """
    given = reject(session, question.person, others)
    faces = list(dict.fromkeys(seen or question.faces[:1]))
    if yes:
        return given + _are(session, question, question.person, faces, others)
    for one in dict.fromkeys((question.person, *nor)):
        given += reject(session, one, faces)
    return given if instead is None else given + _are(session, question, instead, faces, others)


def _are(
    session: Session, question: Question, person_id: int, faces: Sequence[int], others: Sequence[int]
) -> list[Correction]:
    """Return the corrections that say the faces of a question are somebody, and with them the whole group of nobody."""
    given = list[Correction]()
    group = session.scalar(select(FacePersonRow.person_id).where(FacePersonRow.face_id == faces[0]))
    whole = set(faces) == set(question.faces[: len(faces)])
    if question.kind == "join" and whole and len(question.faces) > 1 and group not in (None, person_id):
        assert group is not None
        # The cover that goes with the group may be one of those that are not the person.
        given = [one for one in merge(session, person_id, [group]) if one.face_id not in others]
    already = {one.face_id for one in given if one.kind == "person"}
    return [*given, *confirm(session, person_id, [face for face in faces if face not in already])]


def split(session: Session, face_ids: Sequence[int], text: str | None) -> tuple[str, list[Correction]]:
    """Return the uid of whom faces are instead, and the corrections that say so; `text` is their name, if known.

    Raises
    ------
    ConflictError
        If several people have the name.
    InvalidCorrectionError
        If there are no faces.
    """
    if not face_ids:
        raise InvalidCorrectionError(Sentence("no faces are given; choose those that are somebody else"))
    uid, given = corrections.new_uid(), list[Correction]()
    if text is not None:
        found = persons.with_name(session, _clean(text))
        if len(found) > 1:
            raise ConflictError(
                Sentence(
                    "%(count)s people are called %(name)s; confirm the faces for one of them by number",
                    count=len(found),
                    name=Quoted(text),
                )
            )
        if found:
            uid = uid_of(session, found[0])
        else:
            given.append(corrections.person_name(uid, [text]))
    for face_id in dict.fromkeys(face_ids):
        before = session.scalar(
            select(PersonRow.uid)
            .join(FacePersonRow, FacePersonRow.person_id == PersonRow.id)
            .where(FacePersonRow.face_id == face_id)
        )
        if before is not None and before != uid:
            given.append(corrections.not_person(face_id, before))
        given.append(corrections.person(face_id, uid))
    return uid, given


def _clean(text: str) -> str:
    try:
        return clean_name(text)
    except ValueError as error:
        raise InvalidCorrectionError(error.args[0]) from error


def _remembered(session: Session, person_id: int, uid: str) -> list[Correction]:
    """Return corrections by which the faces of an automatic group are found again; none if some are confirmed.

    The cover is what a person looked at, so that face is confirmed; the others are hints, spread over time.
    """
    row = session.get(PersonRow, person_id)
    if row is None:
        raise NotFoundError("person", person_id)
    stated = select(FacePersonRow.face_id).where(FacePersonRow.person_id == person_id, FacePersonRow.source != "auto")
    if session.scalar(stated.limit(1)) is not None:
        return []
    found = session.scalars(
        select(FacePersonRow.face_id)
        .join(FaceRow, FaceRow.id == FacePersonRow.face_id)
        .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
        .where(FacePersonRow.person_id == person_id, FacePersonRow.probability >= 0.5, FaceRow.present)
        .order_by(PhotoRow.taken_local, FaceRow.id)
    ).all()
    cover = row.cover_face_id if row.cover_face_id is not None else (found[0] if found else None)
    others = [face_id for face_id in found if face_id != cover]
    some = others[:: max(len(others) // REMEMBERED, 1)][:REMEMBERED]
    hints: list[Correction] = [corrections.member(face_id, uid) for face_id in some]
    return ([] if cover is None else [corrections.person(cover, uid)]) + hints
