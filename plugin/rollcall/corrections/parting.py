"""Undo what gave faces to somebody: people who were one come apart, and faces go back to whom they were taken from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.kinds import Correction
from rollcall.corrections.people import (
    UNDONE_PROBABILITY,
    add_person,
    drop_unstated,
    has_stated_faces,
    is_named,
    unsettle,
)
from rollcall.corrections.people_log import People, stated_people
from rollcall.corrections.person_kinds import FACE_PERSON_KINDS, FacePerson, NotPerson
from rollcall.storage import revisions
from rollcall.storage.library import chunks
from rollcall.storage.tables import CorrectionRow, FacePersonRow, FaceRow, PersonRejectionRow, PersonRow

_PARTED: Final = "rollcall parted people"


@dataclass
class Parted:
    """People who are not the same as others any more, by uid, and whose faces were before they became one."""

    people: set[str] = field(default_factory=set)
    faces: dict[int, str] = field(default_factory=dict)
    newest: int = 0  # the last face there was then: those of one of `people` up to it were theirs


def faces_before(session: Session, uid: str) -> dict[str, Any]:
    """Return somebody's number and faces of which nothing is stated, and the last face there is.

    A merge may be undone.
    """
    theirs = (
        select(FacePersonRow.face_id)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(PersonRow.uid == uid, FacePersonRow.source == "auto")
    )
    return {
        "number": session.scalar(select(PersonRow.id).where(PersonRow.uid == uid)),
        "faces": sorted(session.scalars(theirs)),
        "newest": session.scalar(select(func.max(FaceRow.id))) or 0,
    }


def divided_people(given: Iterable[Correction]) -> set[str]:
    """Return of whom some corrections give faces to somebody else, by uid: those like them go along, or nowhere."""
    if not any(isinstance(one, FacePerson) for one in given):
        return set()
    return {one.person for one in given if isinstance(one, NotPerson) and one.holds}


def mark_parted(session: Session, uid: str, undone: Iterable[CorrectionRow] = ()) -> None:
    """Remember until the faces are looked at that somebody is not the same person as another any more.

    Lines that were `undone` tell whose faces were before.
    """
    parted: Parted = session.info.setdefault(_PARTED, Parted())
    parted.people.add(uid)
    for line in undone:
        before = line.value_before or {}
        if line.kind == "person_merge":
            parted.newest = max(parted.newest, int(before.get("newest", 0)))
            for face_id in before.get("faces", ()):
                parted.faces.setdefault(int(face_id), str(line.value["other"]))
        elif line.kind in FACE_PERSON_KINDS and line.face_id is not None and "person" in before:
            parted.faces.setdefault(line.face_id, str(before["person"]))
    stated = stated_people(session)
    for other in sorted(set(parted.faces.values())):
        add_person(session, stated.uid(other))


def take_parted(session: Session) -> Parted | None:
    """Return the people who were parted since the last call, if any: their faces have to go where they fit."""
    parted: Parted | None = session.info.pop(_PARTED, None)
    return parted


def people_before(session: Session, parted: Parted) -> tuple[dict[int, int], dict[int, int]]:
    """Return the people of faces before others became one with theirs, by numbers.

    Those that the lines name, and for each of the people who were parted the last face that may have been theirs.
    """
    stated = stated_people(session)
    numbers: dict[str, int] = {}
    for part in chunks(sorted({stated.uid(uid) for uid in (*parted.people, *parted.faces.values())})):
        numbers |= dict(session.execute(select(PersonRow.uid, PersonRow.id).where(PersonRow.uid.in_(part))).all())
    known = ((face_id, numbers.get(stated.uid(uid))) for face_id, uid in parted.faces.items())
    people = (numbers.get(stated.uid(uid)) for uid in parted.people)
    return (
        {face_id: them for face_id, them in known if them is not None},
        {them: parted.newest for them in people if them is not None},
    )


def put_back(session: Session, undone: Iterable[CorrectionRow]) -> None:
    """Put faces whose lines were undone, the oldest first, where those lines found them, after those are written.

    What is stated of a face by other lines stays. Other faces of its group may have gone along: whom it was given to
    is looked through again, and what does not fit them is a group once more.
    """
    undone = list(undone)
    before = _before(undone)
    stated = stated_people(session) if before else None
    if stated is not None:
        for gone, them_before in _given(undone, before).items():
            _bring_back(session, stated, gone, stated.uid(them_before))
        _bring_back_nobodys(session, stated, before.values())
    for face_id, value in before.items():
        row = session.get(FacePersonRow, face_id, populate_existing=True)
        if (row is not None and row.source != "auto") or value.get("state") == "confirmed":
            continue
        assert stated is not None
        uid = None if "person" not in value else stated.uid(str(value["person"]))
        them = session.scalar(select(PersonRow.id).where(PersonRow.uid == uid))
        was = None if row is None else row.person_id
        if row is not None and was == them:
            continue
        rejection = session.get(PersonRejectionRow, (them, face_id)) if them is not None else None
        if rejection is not None:
            continue
        if uid is not None and was is not None:
            mark_parted(session, session.get_one(PersonRow, was).uid)
        if uid is None or them is not None:
            # Looked up first: a query writes what was added to the session, which has to be whole by then.
            state = "proposed" if them is not None and is_named(session, them) else "automatic"
            if row is None:
                row = FacePersonRow(face_id=face_id, source="auto", state=state)
                session.add(row)
            row.person_id, row.probability, row.state = them, 0.0 if them is None else UNDONE_PROBABILITY, state
        session.flush()
        unsettle(session, {one for one in (was, them) if one is not None})
        if was is not None:
            person = session.get_one(PersonRow, was)
            person.corrected = person.uid in stated.people or has_stated_faces(session, person.id)


def _before(undone: Iterable[CorrectionRow]) -> dict[int, dict[str, Any]]:
    """Return what the oldest of some lines found of each face."""
    result: dict[int, dict[str, Any]] = {}
    for line in undone:
        if line.kind in FACE_PERSON_KINDS and line.face_id is not None and line.value_before is not None:
            result.setdefault(line.face_id, line.value_before)
    return result


def _given(undone: Iterable[CorrectionRow], before: Mapping[int, Mapping[str, Any]]) -> dict[str, str]:
    """Return for those to whom lines gave faces whose these were before, by uid."""
    result: dict[str, str] = {}
    for line in undone:
        if line.kind == "person" and line.value and "person" in before.get(line.face_id or 0, {}):
            result.setdefault(str(line.value["person"]), str(before[line.face_id or 0]["person"]))
    return result


def _bring_back(session: Session, stated: People, gone: str, uid: str) -> None:
    """Give the faces of somebody of whom nothing is stated any more to whom they were taken from.

    But for those that are said not to be them.
    """
    rows = {row.uid: row for row in session.scalars(select(PersonRow).where(PersonRow.uid.in_((gone, uid))))}
    if len(rows) < 2 or gone in stated.people or has_stated_faces(session, rows[gone].id):
        return
    them, state = rows[uid].id, "proposed" if is_named(session, rows[uid].id) else "automatic"
    rejected = select(PersonRejectionRow.face_id).where(PersonRejectionRow.person_id == them)
    theirs = (FacePersonRow.person_id == rows[gone].id, FacePersonRow.face_id.not_in(rejected))
    moved = session.scalars(select(FacePersonRow.face_id).where(*theirs)).all()
    session.execute(
        update(FacePersonRow).where(*theirs).values(person_id=them, probability=UNDONE_PROBABILITY, state=state)
    )
    revisions.mark_faces(session, moved)
    rows[gone].corrected = False
    drop_unstated(session, [rows[gone]])
    unsettle(session, [them])


def _bring_back_nobodys(session: Session, stated: People, before: Iterable[Mapping[str, Any]]) -> None:
    """Give faces that were left without anybody to whom lines say they were of before.

    But for those that are said not to be them.
    """
    for value in before:
        if not value.get("faces") or "person" not in value:
            continue
        person = session.scalars(select(PersonRow).where(PersonRow.uid == stated.uid(str(value["person"])))).first()
        if person is None:
            continue
        state = "proposed" if is_named(session, person.id) else "automatic"
        rejected = select(PersonRejectionRow.face_id).where(PersonRejectionRow.person_id == person.id)
        for part in chunks([int(one) for one in value["faces"]]):
            nobodys = (
                FacePersonRow.face_id.in_(part),
                FacePersonRow.person_id.is_(None),
                FacePersonRow.source == "auto",
                FacePersonRow.face_id.not_in(rejected),
            )
            moved = session.scalars(select(FacePersonRow.face_id).where(*nobodys)).all()
            session.execute(
                update(FacePersonRow)
                .where(*nobodys)
                .values(person_id=person.id, probability=UNDONE_PROBABILITY, state=state)
            )
            revisions.mark_faces(session, moved)
