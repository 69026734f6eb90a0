"""Project what the log says about people onto rows: people, their names and relations, and whose the faces are.

Grouping (the room `people`) reads these rows, and adds the faces that nobody has spoken of. People whose faces changed
are marked as unsettled, until grouping has looked at them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.log_lines import HOST_AUTHORS, LogLine, effective, log_lines
from rollcall.corrections.people_log import People, Stated, stated_people, stated_person
from rollcall.corrections.person_kinds import FACE_PERSON_KINDS
from rollcall.search.folding import fold
from rollcall.storage import change_feed, revisions
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import (
    CorrectionRow,
    FacePersonRow,
    PersonNameRow,
    PersonRejectionRow,
    PersonRelationRow,
    PersonRow,
)

_REBORN: Final = "rollcall people of another birth date"
_NUMBERS: Final = "rollcall numbers of people who come back"
#: The probability of a face that stood in a group when it was named, until grouping has estimated it.
MEMBER_PROBABILITY: Final = 0.9
#: The same of a face that was somebody for sure until that was undone.
UNDONE_PROBABILITY: Final = 0.5


def project_people(session: Session, *, merges_undone: bool = False) -> None:
    """Write what the log states about all people into rows.

    Call it after lines about people were added, undone, redone or imported. With `merges_undone` the faces of all
    people are compared with their lines, too: they may be somebody else again.
    """
    session.flush()
    stated = stated_people(session)
    uids = set(stated.people) | set(stated.merged)
    rows = {row.uid: row for row in session.scalars(select(PersonRow).where(PersonRow.corrected))}
    for part in chunks(sorted(uids - set(rows))):
        rows |= {row.uid: row for row in session.scalars(select(PersonRow).where(PersonRow.uid.in_(part)))}
    changed: set[int] = set()
    for uid in sorted((uids | set(rows)) - set(stated.merged)):
        row = rows.get(uid) or add_person(session, uid)
        if _write(session, row, stated.people.get(uid)) or uid not in rows:
            changed.add(row.id)
        rows[uid] = row
    for uid in sorted(set(stated.merged) & set(rows)):
        into = rows[stated.uid(uid)]
        _move(session, rows.pop(uid), into)
        changed.add(into.id)
    if merges_undone:
        _move_back(session, stated)
    related = _write_relations(session, stated)
    drop_unstated(session, [row for row in rows.values() if not row.corrected])
    if changed:
        unsettle(session, changed)
    elif related:
        change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def take_reborn(session: Session) -> set[int]:
    """Return whose birth date changed since the last call: faces that were too early for them may be theirs again."""
    reborn: set[int] = session.info.pop(_REBORN, set())
    return reborn


def unsettle(session: Session, person_ids: Iterable[int]) -> None:
    """Mark people as changed, so that grouping looks at their faces again."""
    session.flush()
    for part in chunks(sorted(person_ids)):
        session.execute(update(PersonRow).where(PersonRow.id.in_(part)).values(unsettled=True))
    change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def recall_number(session: Session, uid: str, number: int | None) -> None:
    """Have somebody who comes back get the number that they had: addresses of pages and hosts know it."""
    if number is not None:
        session.info.setdefault(_NUMBERS, {})[uid] = number


def add_person(session: Session, uid: str) -> PersonRow:
    """Add a person, or return the one who is there."""
    row = session.scalar(select(PersonRow).where(PersonRow.uid == uid))
    if row is None:
        row = PersonRow(uid=uid, created_at=now())
        number = session.info.get(_NUMBERS, {}).pop(uid, None)
        if number is not None and session.get(PersonRow, number) is None:
            row.id = number
        session.add(row)
        session.flush()
    return row


def _write(session: Session, row: PersonRow, stated: Stated | None) -> bool:
    """Write what is stated of a person, None for nothing; return whether that changed their row."""
    wanted = stated or Stated()
    names = list(
        session.scalars(
            select(PersonNameRow.name).where(PersonNameRow.person_id == row.id).order_by(PersonNameRow.position)
        )
    )
    before = (row.hidden, row.is_me, row.birth_date, row.corrected)
    row.hidden, row.is_me, row.birth_date = wanted.hidden, wanted.me, wanted.birth
    if before[2] is not None and row.birth_date != before[2]:
        session.info.setdefault(_REBORN, set()).add(row.id)
    row.corrected = stated is not None or has_stated_faces(session, row.id)
    if names == wanted.names:
        return before != (row.hidden, row.is_me, row.birth_date, row.corrected)
    session.execute(delete(PersonNameRow).where(PersonNameRow.person_id == row.id))
    for position, name in enumerate(wanted.names):
        session.add(PersonNameRow(person_id=row.id, position=position, name=name, folded=fold(name)))
    session.flush()
    _write_states(session, row.id)
    return True


def _write_states(session: Session, person_id: int) -> None:
    """Write the states of the faces of a person: what is proposed of somebody with a name is automatic of a group."""
    state = "proposed" if is_named(session, person_id) else "automatic"
    session.execute(
        update(FacePersonRow)
        .where(FacePersonRow.person_id == person_id, FacePersonRow.state != "confirmed", FacePersonRow.state != state)
        .values(state=state)
    )


def has_stated_faces(session: Session, person_id: int) -> bool:
    stated = select(FacePersonRow.face_id).where(FacePersonRow.person_id == person_id, FacePersonRow.source != "auto")
    rejected = select(PersonRejectionRow.face_id).where(PersonRejectionRow.person_id == person_id)
    return any(session.scalar(one.limit(1)) is not None for one in (stated, rejected))


def _move(session: Session, gone: PersonRow, into: PersonRow) -> None:
    """Give the faces of a person who was merged to the one whom they are now, and delete their row."""
    ours = select(PersonRejectionRow.face_id).where(PersonRejectionRow.person_id == into.id)
    session.execute(
        update(PersonRejectionRow)
        .where(PersonRejectionRow.person_id == gone.id, PersonRejectionRow.face_id.not_in(ours))
        .values(person_id=into.id)
    )
    # What was rejected of one of them is left out; what a person confirmed stays.
    session.execute(
        update(FacePersonRow)
        .where(FacePersonRow.person_id == gone.id)
        .where((FacePersonRow.state == "confirmed") | FacePersonRow.face_id.not_in(ours))
        .values(person_id=into.id)
    )
    left_out = session.scalars(select(FacePersonRow.face_id).where(FacePersonRow.person_id == gone.id)).all()
    session.execute(delete(FacePersonRow).where(FacePersonRow.person_id == gone.id))
    revisions.mark_faces(session, left_out)
    certain = select(FacePersonRow.face_id).where(
        FacePersonRow.person_id == into.id, FacePersonRow.state == "confirmed"
    )
    session.execute(
        delete(PersonRejectionRow).where(
            PersonRejectionRow.person_id == into.id, PersonRejectionRow.face_id.in_(certain)
        )
    )
    session.execute(
        update(FacePersonRow)
        .where(FacePersonRow.person_id == into.id, FacePersonRow.source == "auto")
        # They were estimated for another person.
        .values(probability=UNDONE_PROBABILITY)
    )
    session.flush()
    session.expire_all()
    session.delete(gone)
    session.flush()
    _write_states(session, into.id)


def _move_back(session: Session, stated: People) -> None:
    """Write the faces again whose lines name another person than their row has: a merge was undone."""
    rows = session.execute(
        select(CorrectionRow.face_id, CorrectionRow.value, PersonRow.uid)
        .join(FacePersonRow, FacePersonRow.face_id == CorrectionRow.face_id)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(CorrectionRow.kind.in_(FACE_PERSON_KINDS))
    )
    wrong = {face_id for face_id, value, uid in rows if "person" in value and stated.uid(str(value["person"])) != uid}
    for face_id in sorted(one for one in wrong if one is not None):
        project_face_person(session, face_id)


def _write_relations(session: Session, stated: People) -> bool:
    """Write the relations of people; return whether they changed."""
    uids = {uid for one in stated.relations for uid in one[:2]}
    numbers: dict[str, int] = {}
    for part in chunks(sorted(uids)):
        numbers |= dict(session.execute(select(PersonRow.uid, PersonRow.id).where(PersonRow.uid.in_(part))).all())
    wanted = {(numbers[a], numbers[b], relation) for a, b, relation in stated.relations}
    columns = (PersonRelationRow.person_id, PersonRelationRow.other_id, PersonRelationRow.relation)
    if wanted == {tuple(row) for row in session.execute(select(*columns))}:
        return False
    session.execute(delete(PersonRelationRow))
    for person, other, relation in sorted(wanted):
        session.add(PersonRelationRow(person_id=person, other_id=other, relation=relation))
    session.flush()
    return True


def drop_unstated(session: Session, rows: Iterable[PersonRow]) -> None:
    """Delete those of some people who have no faces: nothing is stated of them any more."""
    session.flush()
    for row in rows:
        if session.scalar(select(FacePersonRow.face_id).where(FacePersonRow.person_id == row.id).limit(1)) is None:
            session.delete(row)
    session.flush()


# ---- Faces


def project_face_person(session: Session, face_id: int) -> None:
    """Write whose a face is, as the log states it."""
    session.flush()
    log = effective(log_lines(session, CorrectionRow.face_id == face_id))
    row = session.get(FacePersonRow, face_id, populate_existing=True)
    ours = set(session.scalars(select(PersonRejectionRow.person_id).where(PersonRejectionRow.face_id == face_id)))
    stated = stated_people(session) if any(line.kind in FACE_PERSON_KINDS for line in log) else People()
    line, rejected = stated_person(log, stated)
    if line is None and not rejected and not ours and (row is None or row.source == "auto"):
        return
    before = None if row is None else (row.person_id, row.state, row.source)
    not_them = {_person_id(session, stated, uid) for uid in sorted(rejected)}
    them = None if line is None else _person_id(session, stated, str(line.value["person"]))
    if them is not None and line is not None and line.kind == "person":
        # It was said not to be somebody who, as was said later, is the same person.
        not_them.discard(them)
    if not_them != ours:
        session.execute(delete(PersonRejectionRow).where(PersonRejectionRow.face_id == face_id))
        for person_id in sorted(not_them):
            session.add(PersonRejectionRow(person_id=person_id, face_id=face_id))
    if them is not None and line is not None and them not in not_them:
        row = _write_face(session, row, face_id, them, line)
    elif row is not None and row.person_id in not_them:
        # Grouping finds out who it is instead.
        session.delete(row)
        revisions.mark_faces(session, [face_id])
        row = None
    elif row is not None and row.source != "auto":
        row.source, row.probability = "auto", UNDONE_PROBABILITY
        row.state = "proposed" if row.person_id is not None and is_named(session, row.person_id) else "automatic"
    session.flush()
    after = None if row is None else (row.person_id, row.state, row.source)
    if before != after or not_them != ours:
        people = {one[0] for one in (before, after) if one is not None and one[0] is not None}
        unsettle(session, people | (not_them ^ ours))


def _write_face(
    session: Session, row: FacePersonRow | None, face_id: int, person_id: int, line: LogLine
) -> FacePersonRow:
    """Write that a face is a person, as a line states it."""
    kind = line.kind
    if kind == "member" and row is not None and row.source == "auto":
        # The line is a hint only, and grouping knows by now.
        return row
    state = "confirmed" if kind == "person" else "proposed" if is_named(session, person_id) else "automatic"
    if row is None:
        row = FacePersonRow(face_id=face_id)
        session.add(row)
    row.person_id, row.source, row.state = person_id, "host" if line.made_by in HOST_AUTHORS else "user", state
    row.probability = 1.0 if kind == "person" else MEMBER_PROBABILITY
    return row


def is_named(session: Session, person_id: int) -> bool:
    """Return whether a person has a name."""
    return (
        session.scalar(select(PersonNameRow.position).where(PersonNameRow.person_id == person_id).limit(1)) is not None
    )


def _person_id(session: Session, stated: People, uid: str) -> int:
    """Return the number of a person by uid; they are added if a line names them for the first time."""
    row = add_person(session, stated.uid(uid))
    row.corrected = True
    return row.id
