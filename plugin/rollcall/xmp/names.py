"""Who faces are, as far as sidecars are concerned: names that may be written, and names that other programs give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall.corrections import person_kinds
from rollcall.corrections.kinds import Correction
from rollcall.search.folding import fold
from rollcall.storage.tables import (
    CorrectionRow,
    FacePersonRow,
    PersonNameRow,
    PersonRejectionRow,
    PersonRow,
    VerdictRow,
)
from rollcall.xmp.matching import similarity
from rollcall.xmp.regions import Region


class FaceName(NamedTuple):
    """Who a face is."""

    person_id: int
    names: tuple[str, ...]  # the first one is shown; none of an unnamed group
    state: str  # confirmed, proposed, automatic
    probability: float
    source: str  # user, host, auto
    hidden: bool  # the person is left out of lists
    uid: str  # of the person, in the log

    @property
    def confirmed(self) -> bool:
        """Whether a person stated so, here or in another program."""
        return self.state == "confirmed"

    def is_called(self, name: str) -> bool:
        """Return whether the person has a name, whatever its case."""
        return fold(name) in map(fold, self.names)


def of_faces(session: Session, face_ids: Sequence[int]) -> dict[int, FaceName]:
    """Return who some faces are, by their numbers; faces of nobody are left out."""
    rows = session.execute(
        select(FacePersonRow, PersonRow.hidden, PersonRow.uid)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(FacePersonRow.face_id.in_(face_ids))
    ).all()
    names: dict[int, list[str]] = {}
    for person_id, name in session.execute(
        select(PersonNameRow.person_id, PersonNameRow.name)
        .where(PersonNameRow.person_id.in_({row.person_id for row, _, _ in rows}))
        .order_by(PersonNameRow.person_id, PersonNameRow.position)
    ):
        names.setdefault(person_id, []).append(name)
    return {
        row.face_id: FaceName(
            row.person_id, tuple(names.get(row.person_id, ())), row.state, row.probability, row.source, hidden, uid
        )
        for row, hidden, uid in rows
        if row.person_id is not None
    }


# ---- Names that other programs give


class Statements(NamedTuple):
    """What other programs say of who the faces of a photo are, now and when it was last taken into account."""

    now: Mapping[int, Region]  # regions with a name, by the face that they are, in the upright picture
    before: Sequence[Region]  # regions with a name
    taken_away: Mapping[int, Region]  # regions with a name of Rollcall's that a person took away, by face
    known: bool  # there was a time before: what changed is newer than it
    when: str  # when the file was changed, UTC, ISO 8601


def corrections(session: Session, stated: Statements, boxes: Mapping[int, Region]) -> list[Correction]:
    """Return the corrections that follow from names that other programs gave, changed and took away.

    `boxes` are the faces of the photo as regions, by number.
    """
    given: list[Correction] = []
    faces = of_faces(session, list(boxes))
    for face_id, region in stated.now.items():
        if _is_named_by(session, stated, face_id, region, faces.get(face_id)):
            given += _confirmed(session, face_id, region.name, given)
    named = {one.face_id for one in given}
    for face_id, name in _withdrawn(stated, boxes):
        person = faces.get(face_id)
        if face_id in named or person is None or not person.is_called(name):
            continue
        if _last_stated(session, face_id) < stated.when:
            given.append(person_kinds.not_person(face_id, person.uid))
    return given


def _is_named_by(session: Session, stated: Statements, face_id: int, region: Region, known: FaceName | None) -> bool:
    """Return whether another program's name for a face is to be taken over."""
    if known is not None and known.confirmed and known.is_called(region.name):
        return False
    verdict = session.get(VerdictRow, face_id)
    if verdict is not None and verdict.dismissed:
        return False
    contradicted = (known is not None and known.confirmed) or _is_rejected(session, face_id, region.name)
    if not contradicted:
        return True
    before = [one for one in stated.before if similarity(one.box, region.box) is not None]
    newer = stated.known and not any(fold(one.name) == fold(region.name) for one in before)
    return newer and _last_stated(session, face_id) < stated.when


def _withdrawn(stated: Statements, boxes: Mapping[int, Region]) -> Iterable[tuple[int, str]]:
    """Yield face and name of what other programs do not say any more, or a person took away of ours."""
    for face_id, region in stated.taken_away.items():
        yield face_id, region.name
    for region in stated.before:
        covering = [one for one in stated.now.values() if similarity(one.box, region.box) is not None]
        if any(fold(one.name) == fold(region.name) for one in covering):
            continue
        scored = {face_id: similarity(box.box, region.box) for face_id, box in boxes.items()}
        fitting = {face_id: score for face_id, score in scored.items() if score is not None}
        if fitting:
            yield max(fitting, key=lambda face_id: fitting[face_id]), region.name


def _confirmed(session: Session, face_id: int, name: str, given: Sequence[Correction]) -> list[Correction]:
    """Return the corrections that a face is the person of a name, who is created if nobody has it."""
    new = {fold(one.names[0]): one.person for one in given if isinstance(one, person_kinds.PersonName)}
    uid = new.get(fold(name)) or session.scalar(
        select(PersonRow.uid)
        .join(PersonNameRow, PersonNameRow.person_id == PersonRow.id)
        .where(PersonNameRow.folded == fold(name))
        .order_by(PersonNameRow.position, PersonRow.size.desc(), PersonRow.id)
        .limit(1)
    )
    if uid is not None:
        return [person_kinds.person(face_id, uid)]
    uid = person_kinds.new_uid()
    return [person_kinds.person(face_id, uid), person_kinds.person_name(uid, [name])]


def _is_rejected(session: Session, face_id: int, name: str) -> bool:
    """Return whether a person stated that a face is nobody of this name."""
    found = session.scalar(
        select(PersonRejectionRow.face_id)
        .join(PersonNameRow, PersonNameRow.person_id == PersonRejectionRow.person_id)
        .where(PersonRejectionRow.face_id == face_id, PersonNameRow.folded == fold(name))
        .limit(1)
    )
    return found is not None


def _last_stated(session: Session, face_id: int) -> str:
    """Return when a person last stated who a face is or is not; "" if nobody did."""
    made = select(func.max(CorrectionRow.made_at)).where(
        CorrectionRow.face_id == face_id, CorrectionRow.kind.in_(person_kinds.FACE_PERSON_KINDS)
    )
    return session.scalar(made) or ""
