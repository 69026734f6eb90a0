"""Keep the people of a library in step with its faces and with what persons stated.

All faces together (`group_all`), new ones as they come (`group_new`), and the people whom a correction touched
(`regroup`). All can be interrupted: what is left to do stands in the database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from rollcall.corrections.parting import Parted, people_before, take_parted
from rollcall.corrections.people import take_reborn
from rollcall.people import assign, incremental, reading, writing
from rollcall.people.clusters import cluster
from rollcall.people.derived import compute_ages, tells_something
from rollcall.people.evidence import constants_version, evidence
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces
from rollcall.settings import TagSettings
from rollcall.storage import people_changes, revisions
from rollcall.storage.database import Database
from rollcall.storage.tables import FacePersonRow, PersonNameRow, PersonRow
from rollcall.tags import names

#: With more new faces than this, and than this share of all, the library is grouped as a whole.
MANY_NEW: Final = 200
NEW_SHARE: Final = 0.1
#: Whether people are unsettled, how many faces grouping has looked at, up to a number, and by which constants.
_STATE: Final = select(
    select(PersonRow.id).where(PersonRow.unsettled).exists(),
    select(func.count())
    .select_from(select(FacePersonRow.face_id).limit(bindparam("most")).subquery())
    .scalar_subquery(),
    revisions.GROUPED_BY,
)
#: Of a person with more faces, the surroundings of a correction are looked at, not all of them again.
_MOST_REGROUPED: Final = 20_000
#: Faces that belong to nobody after a correction are looked at at once if they are no more than this.
_FEW: Final = 20


@dataclass(frozen=True, slots=True)
class GroupingReport:
    """What a grouping did."""

    faces: int = 0  # that were looked at
    people: int = 0  # groups that have faces now, named people included
    changed: int = 0  # people whose faces changed


def group_all(database: Database, settings: TagSettings) -> GroupingReport:
    """Group all faces of a library anew; what persons stated stays as it is.

    Raises
    ------
    StoreError
        If the database cannot be written.
    """
    with database.read() as session:
        revision = revisions.newest(session)
        library = reading.read_faces(session)
    if not len(library):
        return GroupingReport()
    found = cluster(library.faces)
    of_groups = assign.people_of_groups(library, found)
    person, probability = assign.person_of_faces(library, found, of_groups)
    with database.write() as session:
        changed = writing.write_people(session, library, assign.without_lone(person), probability)
        library.probability = probability
        writing.summarize(session, library, session.scalars(select(PersonRow.id)).all())
        writing.drop_empty(session)
        writing.mark_seen(session)
        revisions.set_grouped(session, revision)
        revisions.set_grouped_by(session, constants_version())
        people_changes.trim(session)
        named = _named(session)
        compute_ages(session, settings, {*library.faces.known_births, *named})
        names.refresh(session, settings, named)
        people = session.scalar(select(func.count(func.distinct(FacePersonRow.person_id)))) or 0
    return GroupingReport(len(library), people, len(changed))


def group_new(database: Database, settings: TagSettings) -> GroupingReport:
    """Group the faces that nobody has looked at; all faces anew where many are new, or others were grouped otherwise.

    The constants of grouping come with this package: what those of an earlier one made of a library is made anew, once.

    People whose faces came with corrections from elsewhere, or whom a run that was killed left so, are looked at, too.

    Raises
    ------
    StoreError
        If the database cannot be written.
    """
    with database.read() as session:
        revision = revisions.newest(session)
        waiting = reading.ungrouped(session, MANY_NEW + 1)
        # No more are counted than decide whether the new ones are many.
        most = {"most": math.ceil(min(len(waiting), MANY_NEW) / NEW_SHARE)}
        unsettled, known, grouped_by = session.connection().execute(_STATE, most).one()
    if grouped_by != constants_version() or len(waiting) > MANY_NEW or len(waiting) > NEW_SHARE * known:
        return group_all(database, settings)
    if not waiting and not unsettled:
        return GroupingReport()
    with database.write() as session:
        changed = incremental.attach(session, database, waiting)
        if waiting:
            revisions.set_grouped(session, revision)
            people_changes.trim(session)
        if changed.faces and tells_something(session, changed.people):
            # Of somebody with many faces these are the only ones that anything is new of.
            done = compute_ages(session, settings, changed.people, withdraw=False, face_ids=changed.faces)
            names.refresh_photos(session, settings, reading.photos_of(session, changed.faces) - done)
        if unsettled:
            regroup(session, database, settings)
    return GroupingReport(len(waiting), 0, len(changed.people))


def regroup(session: Session, database: Database, settings: TagSettings) -> set[int]:
    """Look again at the faces of people whom a correction touched; return these people.

    Groups that hold confirmed faces of several people are divided between them.
    """
    person_ids = list(session.scalars(select(PersonRow.id).where(PersonRow.unsettled).order_by(PersonRow.id)))
    if not person_ids:
        return set()
    library = reading.faces_of(session, person_ids)
    parted = take_parted(session)
    if parted is not None:
        # Faces of their photos were left out while two of a photo would have been one person.
        library = reading.faces_by_id(
            session, sorted({*library.face_ids.tolist(), *reading.unassigned_beside(session, person_ids)})
        )
    reborn = take_reborn(session)
    if parted is not None:
        reborn = set()  # it was the date of the other one; whose the faces were is known
    if reborn:
        # What an earlier birth date left out may be theirs.
        beside = incremental.movable_beside(session, database, reborn)
        library = reading.faces_by_id(session, sorted({*library.face_ids.tolist(), *beside}))
    if len(library):
        known = None if parted is None else _as_before(session, library, parted)
        person, probability = _regrouped(library, writing.count_people(session), known, bool(reborn))
        writing.write_people(session, library, assign.without_lone(person), probability)
        if reborn or parted is not None:
            # Of the groups that their faces were in meanwhile nothing may be left.
            writing.drop_empty(session)
        library = reading.faces_of(session, sorted({*person_ids, *_people_now(session, library)}))
    writing.summarize(session, library, {*person_ids, *library.person[library.person != UNKNOWN].tolist()})
    loose = reading.ungrouped(session, _FEW + 1)
    if len(loose) <= _FEW:
        # A face that somebody is not may be somebody else.
        incremental.attach(session, database, loose)
    compute_ages(session, settings, person_ids)
    names.refresh(session, settings, {*person_ids, *library.person[library.person != UNKNOWN].tolist()})
    people_changes.trim(session)
    return set(person_ids)


def _named(session: Session) -> set[int]:
    return set(session.scalars(select(PersonNameRow.person_id).distinct()))


def _regrouped(
    library: LibraryFaces, people: int, before: NDArray[np.int64] | None = None, reborn: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the people of faces, and the probabilities, after a correction.

    With the people of faces `before` some were taken for one, (n,), UNKNOWN where that is not known, whose a face is
    now says little: it is whose it was, or goes where it fits. With `reborn` somebody has another birth date, and
    faces that were too early for them may be theirs.
    """
    parted = before is not None
    labels = library.faces.labels
    several = len(np.unique(library.person[library.person != UNKNOWN])) > 1
    confirmed = bool((labels != UNKNOWN).any())
    if (parted or ((several or reborn) and confirmed)) and len(library) <= _MOST_REGROUPED:
        found = cluster(library.faces, people=people)
        # Of groups without a name nobody is confirmed: the largest keeps its number, the others are new ones.
        of_groups = assign.people_of_groups(library, found, sticky=confirmed)
        if parted and confirmed:
            of_groups = assign.fitting(library, found, of_groups, evidence().link)
        person, probability = assign.person_of_faces(library, found, of_groups)
        if parted:
            person = assign.without_lone(person)
        # A face that is in no group now was somebody's: it stays, less likely.
        left = (person == UNKNOWN) & (library.person != UNKNOWN) & (not parted)
        person = np.where(left, library.person, person)
        probability = np.where(left, np.minimum(library.probability, 0.5), probability)
    else:
        person, probability = library.person.copy(), library.probability.copy()
    if before is not None:
        back = (before != UNKNOWN) & ~library.stated
        person = np.where(back, before, person)
        probability = np.where(back, np.maximum(probability, library.probability), probability)
    out = incremental.nearer_to_rejected(library, person) | incremental.out_of_place(library, person)
    return np.where(out, UNKNOWN, person), np.where(out, 0.0, probability)


def _as_before(session: Session, library: LibraryFaces, parted: Parted) -> NDArray[np.int64]:
    """Return whose faces were before people became one who are parted now, (n,), UNKNOWN where that is not known."""
    known, newest = people_before(session, parted)
    faces, now = library.face_ids.tolist(), library.person.tolist()
    return np.array(
        [
            known.get(face, them if face <= newest.get(them, 0) else UNKNOWN)
            for face, them in zip(faces, now, strict=True)
        ],
        np.int64,
    )


def _people_now(session: Session, library: LibraryFaces) -> set[int]:
    found = writing.people_of(session, library.face_ids.tolist())
    return {one for one in found.values() if one is not None}
