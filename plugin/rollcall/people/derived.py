"""Ages that follow from birth dates: the capture date of a photo less the birth date of the person in it.

Of somebody with a name whose birth date nobody gave, all faces together tell it: each of them is then of the age that
fits, within the uncertainty, instead of the one that the network takes it for by itself. Derived ages stand in place
of the network's estimates wherever ages are used, and the views say where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.kinds import OLDEST
from rollcall.people import dates
from rollcall.people.evidence import LEAST_FACES, MOST_DEVIATION
from rollcall.settings import TagSettings
from rollcall.storage.library import chunks
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonNameRow, PersonRow, PhotoRow, VerdictRow
from rollcall.tags.projection import recompute

#: Faces that are somebody with at least this probability get their age from the birth date.
LIKELY: Final = 0.9


def compute_ages(
    session: Session,
    settings: TagSettings,
    person_ids: Iterable[int],
    *,
    withdraw: bool = True,
    face_ids: Iterable[int] | None = None,
) -> set[int]:
    """Derive the ages of the faces of some people again; return the photos whose ages changed.

    Ages that a person gave stay as they are. Without `withdraw` no face is less likely to be somebody than before.
    With `face_ids`, a few of their faces, nothing is new of the others.
    """
    changed: set[int] = set()
    few = {} if face_ids is None else {"faces": sorted(face_ids)}
    session.flush()
    for part in chunks(sorted(set(person_ids))):
        rows = session.connection().execute(_with_birth(bool(few)), {"people": part, **few}).all()
        for face_id, taken, birth_date, estimate, deviation, photo_id in rows:
            year = dates.year_of(taken)
            about = dates.ages_about(estimate or math.nan, deviation or 0.0, year)
            ages = dates.ages_at(birth_date, year) if birth_date else about
            if ages is not None and ages[1] <= OLDEST and _write(session, face_id, ages):
                changed.add(photo_id)
    if withdraw:
        changed |= _withdraw(session)
    for photo_id in sorted(changed):
        recompute(session, photo_id, settings)
    return changed


@cache
def _with_birth(few: bool) -> Select[Any]:
    """Return a statement for the faces of some people, or a `few` of them, whose ages follow from birth dates."""
    columns: tuple[Any, ...] = (
        FacePersonRow.face_id,
        PhotoRow.taken_local,
        PersonRow.birth_date,
        PersonRow.birth_estimate,
        PersonRow.birth_deviation,
        FaceRow.photo_id,
    )
    statement = (
        select(*columns)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .join(FaceRow, FaceRow.id == FacePersonRow.face_id)
        .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
        # The time of a file is that of its last copy.
        .where(func.coalesce(PhotoRow.taken_source, "") != "file time")
        .where(PersonRow.id.in_(bindparam("people", expanding=True)), _has_birth())
        .where(FacePersonRow.probability >= LIKELY)
    )
    return statement.where(FacePersonRow.face_id.in_(bindparam("faces", expanding=True))) if few else statement


def tells_something(session: Session, person_ids: Iterable[int]) -> bool:
    """Return whether a name or a birth date of any of some people is known, so that their faces tell more than that."""
    session.flush()
    connection = session.connection()
    return any(
        connection.execute(_TELLING, {"people": part}).first() is not None for part in chunks(sorted(set(person_ids)))
    )


_NAMED: Final = select(PersonNameRow.person_id).where(PersonNameRow.person_id == PersonRow.id).exists()
_TELLING: Final = (
    select(PersonRow.id)
    .where(PersonRow.id.in_(bindparam("people", expanding=True)), or_(PersonRow.birth_date.is_not(None), _NAMED))
    .limit(1)
)


def _has_birth() -> ColumnElement[bool]:
    """Return the condition that the birth date of a person is known, or well enough estimated."""
    estimated = and_(_NAMED, PersonRow.birth_deviation <= MOST_DEVIATION, PersonRow.size >= LEAST_FACES)
    return or_(PersonRow.birth_date.is_not(None), func.coalesce(estimated, False))


def _write(session: Session, face_id: int, ages: tuple[int, int]) -> bool:
    """Write the age of a face, unless a person gave one; return whether that changed it."""
    row = session.get(VerdictRow, face_id, populate_existing=True)
    values: dict[str, Any] = {"age_low": ages[0], "age_high": ages[1], "age_derived": True}
    if row is None:
        session.execute(insert(VerdictRow).values(face_id=face_id, gender_given=False, dismissed=False, **values))
        return True
    if (row.age_low is not None and not row.age_derived) or (row.age_low, row.age_high) == ages:
        return False
    session.execute(update(VerdictRow).where(VerdictRow.face_id == face_id).values(**values))
    return True


def _withdraw(session: Session) -> set[int]:
    """Withdraw the ages of faces that are nobody with a birth date now; return their photos."""
    rows = session.execute(
        select(VerdictRow.face_id, FaceRow.photo_id)
        .join(FaceRow, FaceRow.id == VerdictRow.face_id)
        .outerjoin(FacePersonRow, FacePersonRow.face_id == VerdictRow.face_id)
        .outerjoin(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(
            VerdictRow.age_derived,
            or_(PersonRow.id.is_(None), ~_has_birth(), FacePersonRow.probability < LIKELY),
        )
    ).all()
    for part in chunks([face_id for face_id, _ in rows]):
        session.execute(
            update(VerdictRow)
            .where(VerdictRow.face_id.in_(part))
            .values(age_low=None, age_high=None, age_derived=False)
        )
        session.execute(
            delete(VerdictRow).where(VerdictRow.face_id.in_(part), ~VerdictRow.gender_given, ~VerdictRow.dismissed)
        )
    session.expire_all()
    return {photo_id for _, photo_id in rows}
