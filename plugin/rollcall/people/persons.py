"""Read people: lists of them, one of them, and their faces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BindParameter, bindparam, select, text
from sqlalchemy.orm import Session

from rollcall.errors import NotFoundError
from rollcall.people.seen import Seen, seen_people_of
from rollcall.search.folding import fold
from rollcall.storage.library import chunks
from rollcall.storage.tables import (
    FacePersonRow,
    FaceRow,
    PersonNameRow,
    PersonRelationRow,
    PersonRow,
    PhotoRow,
    VerdictRow,
)

FaceState = Literal["confirmed", "proposed", "automatic"]


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a name, or a group of faces without one, as `v1_people` shows them."""

    person_id: int
    uid: str  # the same in every database that the corrections are imported into
    name: str | None  # the one that is shown
    names: tuple[str, ...]
    hidden: bool
    is_me: bool
    birth_date: str | None  # YYYY, YYYY-MM or YYYY-MM-DD; a year where it is estimated
    birth_date_source: str | None  # user, estimate
    faces: int  # proposals included
    photos: int
    proposed: int  # faces that wait for an answer
    first_seen: str | None  # capture times, ISO 8601
    last_seen: str | None
    cover_face_id: int | None
    birth_estimate: float | None  # years of the calendar
    birth_deviation: float | None  # years
    relations: tuple[tuple[str, int], ...] = ()  # (child_of, parent_of or partner_of; the other's number)


@dataclass(frozen=True, slots=True)
class PersonFace:
    """A face of a person."""

    face_id: int
    photo_id: int
    state: str  # confirmed, proposed, automatic
    probability: float
    source: str  # user, host, auto
    taken_local: str | None  # of the photo, ISO 8601


_COLUMNS = "person_id, uid, name, names, hidden, is_me, birth_date, birth_date_source, birth_estimate, birth_deviation"


def people(
    session: Session,
    *,
    named: bool | None = None,
    hidden: bool | None = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[Person]:
    """Return people: those with a name first, then by the number of their faces.

    `named` and `hidden` leave out those without, or with; None: neither.
    """
    has_name = select(PersonNameRow.person_id).where(PersonNameRow.person_id == PersonRow.id).exists()
    statement = select(PersonRow.id).order_by(~has_name, PersonRow.size.desc(), PersonRow.id)
    if named is not None:
        statement = statement.where(has_name if named else ~has_name)
    if hidden is not None:
        statement = statement.where(PersonRow.hidden == hidden)
    if limit is not None or offset:
        statement = statement.limit(-1 if limit is None else limit).offset(offset)
    return read(session, session.scalars(statement).all())


def person(session: Session, person_id: int) -> Person:
    """Return one person.

    Raises
    ------
    NotFoundError
        If there is none of this number.
    """
    found = read(session, [person_id])
    if not found:
        raise NotFoundError("person", person_id)
    return found[0]


def read(session: Session, person_ids: Sequence[int]) -> list[Person]:
    """Return people by number, in this order; those who are not there are left out."""
    result: dict[int, Person] = {}
    for part in chunks(list(person_ids)):
        relations = _relations(session, part)
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        # What `v1_people` counts in seven looks at the faces of each person.
        seen = seen_people_of(session).of(session, part)
        covers = select(PersonRow.id, PersonRow.cover_face_id).where(PersonRow.id.in_(part))
        chosen: dict[int, int | None] = dict(session.execute(covers).all())
        statement = text(f"SELECT {_COLUMNS} FROM v1_people WHERE person_id IN :ids")
        for row in session.execute(statement.bindparams(ids)):
            columns: dict[str, Any] = dict(row._mapping)
            *counted, cover = seen.get(columns["person_id"], Seen())
            columns |= zip(("faces", "photos", "proposed", "first_seen", "last_seen"), counted, strict=True)
            columns["cover_face_id"] = chosen.get(columns["person_id"]) or cover
            columns["names"] = tuple(json.loads(columns["names"]))
            columns["hidden"], columns["is_me"] = bool(columns["hidden"]), bool(columns["is_me"])
            them = int(columns["person_id"])
            result[them] = Person(**columns, relations=tuple(relations.get(them, ())))
    return [result[one] for one in person_ids if one in result]


def _relations(session: Session, person_ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    rows = session.execute(
        select(PersonRelationRow.person_id, PersonRelationRow.other_id, PersonRelationRow.relation)
        .where(PersonRelationRow.person_id.in_(person_ids) | PersonRelationRow.other_id.in_(person_ids))
        .order_by(PersonRelationRow.person_id, PersonRelationRow.other_id)
    )
    for them, other, relation in rows:
        found.setdefault(them, []).append((relation, other))
        found.setdefault(other, []).append(("parent_of" if relation == "child_of" else relation, them))
    return found


def faces(
    session: Session,
    person_id: int,
    *,
    state: FaceState | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[PersonFace]:
    """Return the faces of a person that are shown: the confirmed ones, then the likeliest.

    Raises
    ------
    NotFoundError
        If there is no such person.
    """
    if session.get(PersonRow, person_id) is None:
        raise NotFoundError("person", person_id)
    statement = (
        select(
            FaceRow.id,
            FaceRow.photo_id,
            FacePersonRow.state,
            FacePersonRow.probability,
            FacePersonRow.source,
            PhotoRow.taken_local,
        )
        .join(FaceRow, FaceRow.id == FacePersonRow.face_id)
        .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FacePersonRow.person_id == person_id, FaceRow.present)
        .where(VerdictRow.dismissed.is_(None) | ~VerdictRow.dismissed)
        .order_by(FacePersonRow.state, FacePersonRow.probability.desc(), FaceRow.id)
    )
    if state is not None:
        statement = statement.where(FacePersonRow.state == state)
    if limit is not None or offset:
        statement = statement.limit(-1 if limit is None else limit).offset(offset)
    return [PersonFace(*row) for row in session.execute(statement)]


def with_name(session: Session, name: str) -> list[int]:
    """Return the people who have a name, in any spelling of case and accents that folds to the same."""
    return list(
        session.scalars(
            select(PersonNameRow.person_id)
            .where(PersonNameRow.folded == fold(" ".join(name.split())))
            .distinct()
            .order_by(PersonNameRow.person_id)
        )
    )
