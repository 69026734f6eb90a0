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

from rollcall.corrections.people import take_parted
from rollcall.people import assign, incremental, reading, writing
from rollcall.people.clusters import cluster
from rollcall.people.derived import compute_ages, tells_something
from rollcall.people.evidence import evidence
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
#: Whether people are unsettled, and how many faces grouping has looked at, up to a number.
_STATE: Final = select(
    select(PersonRow.id).where(PersonRow.unsettled).exists(),
    select(func.count())
    .select_from(select(FacePersonRow.face_id).limit(bindparam("most")).subquery())
    .scalar_subquery(),
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
        people_changes.trim(session)
        named = _named(session)
        compute_ages(session, settings, {*library.faces.known_births, *named})
        names.refresh(session, settings, named)
        people = session.scalar(select(func.count(func.distinct(FacePersonRow.person_id)))) or 0
    return GroupingReport(len(library), people, len(changed))


def group_new(database: Database, settings: TagSettings) -> GroupingReport:
    """Group the faces that nobody has looked at; all faces anew where many are new.

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
        unsettled, known = session.connection().execute(_STATE, most).one()
    if len(waiting) > MANY_NEW or len(waiting) > NEW_SHARE * known:
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
    if parted:
        # Faces of their photos were left out while two of a photo would have been one person.
        beside = reading.unassigned_beside(session, person_ids)
        library = reading.faces_by_id(session, sorted({*library.face_ids.tolist(), *beside}))
    if len(library):
        person, probability = _regrouped(library, writing.count_people(session), parted)
        writing.write_people(session, library, assign.without_lone(person), probability)
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
    library: LibraryFaces, people: int, parted: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the people of faces, and the probabilities, after a correction.

    With `parted` people were taken for one, so whose a face was says little: it goes where it fits.
    """
    labels = library.faces.labels
    several = len(np.unique(library.person[library.person != UNKNOWN])) > 1
    if (several or parted) and (labels != UNKNOWN).any() and len(library) <= _MOST_REGROUPED:
        found = cluster(library.faces, people=people)
        of_groups = assign.people_of_groups(library, found, sticky=True)
        if parted:
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
    out = incremental.nearer_to_rejected(library, person) | incremental.out_of_place(library, person)
    return np.where(out, UNKNOWN, person), np.where(out, 0.0, probability)


def _people_now(session: Session, library: LibraryFaces) -> set[int]:
    found = writing.people_of(session, library.face_ids.tolist())
    return {one for one in found.values() if one is not None}
