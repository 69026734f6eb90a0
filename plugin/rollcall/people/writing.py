"""Write who the faces are: the rows of faces, of new groups, and what is known of each person from their faces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.people_log import stated_people
from rollcall.corrections.person_kinds import new_uid
from rollcall.people.evidence import combined, misfit
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces
from rollcall.storage import change_feed, people_changes
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow, PersonNameRow, PersonRow, PhotoRow

#: A probability that changed by less is not written again.
_SAME: Final = 0.005
#: Faces that birth dates are estimated from: the likeliest.
_BIRTH_FACES: Final = 200
#: Counting goes no further: the similarity that grouping asks for grows no more with so many people.
MANY: Final = 10_000
#: Of a group that grouping found.
_NOTHING_STATED: Final = {"hidden": False, "is_me": False, "corrected": False, "size": 0, "unsettled": False}
#: Faces whose people are looked up at a time.
_FACES: Final = 200_000


def write_people(
    session: Session, library: LibraryFaces, person: NDArray[np.int64], probability: NDArray[np.float64]
) -> set[int]:
    """Write the people of faces as `assign.person_of_faces` gives them; return the people whose faces changed."""
    wanted = _with_groups(session, library, person)
    other = wanted != library.person
    changed = np.flatnonzero(
        (~library.stated & (other | ~library.seen | (np.abs(probability - library.probability) > _SAME)))
        # A face that stood in a group when that was named may be nobody's after all.
        | (library.stated & ~library.certain & other)
    )
    if not len(changed):
        return set()
    named = _named(session, wanted[changed])
    with people_changes.of_many(session, len(changed)):
        for part in chunks(changed.tolist()):
            _write_rows(
                session,
                [
                    {
                        "face_id": int(library.face_ids[face]),
                        "person_id": None if (them := int(wanted[face])) == UNKNOWN else them,
                        "state": "proposed" if them in named else "automatic",
                        "probability": float(probability[face]),
                        "source": "auto",
                    }
                    for face in part
                ],
            )
    moved = changed[wanted[changed] != library.person[changed]]
    return {int(one) for one in (*wanted[moved], *library.person[moved]) if one != UNKNOWN}


def _named(session: Session, person: NDArray[np.int64]) -> set[int]:
    """Return those of some people who have a name."""
    people = np.unique(person[person != UNKNOWN]).tolist()
    found: set[int] = set()
    for part in chunks(people):
        found |= set(session.connection().execute(_WITH_NAME, {"people": part}).scalars())
    return found


def _write_rows(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    ids = [row["face_id"] for row in rows]
    # A person may have said who it is since the faces were read.
    session.flush()
    connection = session.connection()
    there = dict(connection.execute(_not_certain(), {"ids": ids}).all())
    if before := [face_id for face_id, is_row in there.items() if is_row]:
        connection.execute(_DELETED, {"ids": before})
        session.expire_all()
    insert_rows(session, FacePersonRow, [row for row in rows if row["face_id"] in there])


_WITH_NAME: Final = select(PersonNameRow.person_id).where(
    PersonNameRow.person_id.in_(bindparam("people", expanding=True))
)
_DELETED: Final = delete(FacePersonRow).where(FacePersonRow.face_id.in_(bindparam("ids", expanding=True)))


@cache
def _not_certain() -> Select[int, bool]:
    """Return a statement for those of some faces of which nobody said who they are, and whether they have a row."""
    stated = (FacePersonRow.source != "auto", FacePersonRow.state == "confirmed")
    return (
        select(FaceRow.id, FacePersonRow.face_id.is_not(None))
        .outerjoin(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
        .where(FaceRow.id.in_(bindparam("ids", expanding=True)), or_(FacePersonRow.face_id.is_(None), ~and_(*stated)))
    )


def _with_groups(session: Session, library: LibraryFaces, person: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the people of faces, (n,), with people added for the new groups."""
    new = np.flatnonzero(person <= -3)
    groups, first, inverse = np.unique(-person[new], return_index=True, return_inverse=True)
    if not len(groups):
        return person
    uids = _uids_of_groups(session, library.face_ids[new[first]].tolist())
    for part in chunks(uids):
        insert_rows(session, PersonRow, [{"uid": uid, "created_at": now(), **_NOTHING_STATED} for uid in part])
    numbers: dict[str, int] = {}
    for part in chunks(uids):
        numbers |= dict(session.execute(select(PersonRow.uid, PersonRow.id).where(PersonRow.uid.in_(part))).all())
    result = person.copy()
    result[new] = np.array([numbers[uid] for uid in uids], np.int64)[inverse.reshape(-1)]
    return result


def _uids_of_groups(session: Session, face_ids: Sequence[int]) -> list[str]:
    """Return the uids of groups by their first faces: the same faces give the same uids in every database."""
    uids: dict[int, str] = {}
    # Somebody who went into another one by a merge is that one for good: what is said of them is said of the other.
    taken = set(stated_people(session).merged)
    for part in chunks(face_ids):
        rows = session.execute(
            select(FaceRow.id, PhotoRow.content_hash, FaceRow.x, FaceRow.y)
            .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
            .where(FaceRow.id.in_(part))
        )
        for face_id, content, x, y in rows:
            uids[face_id] = hashlib.blake2b(f"{content} {x:.2f} {y:.2f}".encode(), digest_size=16).hexdigest()
        some = [uids[face_id] for face_id in part]
        taken |= set(session.scalars(select(PersonRow.uid).where(PersonRow.uid.in_(some))))
    result = []
    for face_id in face_ids:
        uid = new_uid() if uids[face_id] in taken else uids[face_id]
        taken.add(uid)
        result.append(uid)
    return result


def add_face(session: Session, person_id: int) -> bool:
    """Count one face more of somebody, without looking at the others; return False if they had none yet.

    The next grouping of all faces computes the rest again: of a person with many, one changes little.
    """
    counted = session.connection().execute(_ONE_MORE, {"person": person_id}).rowcount
    if counted:
        session.expire_all()
        change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)
    return bool(counted)


_ONE_MORE: Final = (
    update(PersonRow)
    .where(PersonRow.id == bindparam("person"), PersonRow.cover_face_id.is_not(None))
    .values(size=PersonRow.size + 1)
)


def summarize(session: Session, library: LibraryFaces, person_ids: Iterable[int]) -> None:
    """Write size, cover and estimated birth date of people whose faces are all in `library`; drop empty groups."""
    person = _people_now(session, library.face_ids)
    order = np.argsort(person, kind="stable")
    for part in chunks(sorted(set(person_ids))):
        for row in session.scalars(select(PersonRow).where(PersonRow.id.in_(part))):
            first, last = np.searchsorted(person, [row.id, row.id + 1], sorter=order).tolist()
            faces = order[first:last]
            row.unsettled = False
            if not len(faces) and not row.corrected and _has_no_faces(session, row.id):
                session.delete(row)
                continue
            _summarize(row, library, faces)
    session.flush()
    change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def _people_now(session: Session, face_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the people of faces as the rows have them, (n,)."""
    parts = [np.zeros(0, np.int64)]
    for start in range(0, len(face_ids), _FACES):
        some = face_ids[start : start + _FACES].tolist()
        found = people_of(session, some)
        parts.append(np.array([one if (one := found.get(face)) is not None else UNKNOWN for face in some], np.int64))
    return np.concatenate(parts)


def _summarize(row: PersonRow, library: LibraryFaces, some: NDArray[np.int64]) -> None:
    row.size = len(some)
    if not len(some):
        row.cover_face_id, row.birth_estimate, row.birth_deviation = None, None, None
        return
    order = some[np.argsort(-library.probability[some], kind="stable")][:_BIRTH_FACES]
    births = library.faces.births
    assert births is not None
    estimate = combined(births.mean[order], births.deviation[order])
    known = library.faces.known_births.get(row.id)
    # Faces to check are compared with the cover: of somebody who was confirmed it is not one of those.
    confirmed = order[library.certain[order]]
    shown = confirmed if len(confirmed) else order
    fitting = _fitting(library, shown, estimate if known is None else (float(known.mean), float(known.deviation)))
    best = max((fitting if len(fitting) else shown).tolist(), key=lambda face: (float(library.quality[face]), -face))
    row.cover_face_id = int(library.face_ids[best])
    row.birth_estimate, row.birth_deviation = (None, None) if estimate is None else estimate


def _fitting(library: LibraryFaces, some: NDArray[np.int64], birth: tuple[float, float] | None) -> NDArray[np.int64]:
    """Return those of some faces whose age and date fit a birth date, given by its mean and deviation.

    Who names a group confirms its cover, so that should not be the one face that is somebody else's.
    """
    births = library.faces.births
    if birth is None or births is None:
        return some
    mean, deviation = birth
    doubt = misfit(births.mean[some], births.deviation[some], np.array(mean), np.array(deviation))
    # Photos without a date speak against nothing.
    fits = (doubt == 0) & ~(library.taken[some] < mean - 2 * deviation)
    return np.asarray(some[fits])


def people_of(session: Session, face_ids: Sequence[int]) -> dict[int, int | None]:
    """Return the people of some faces."""
    result: dict[int, int | None] = {}
    for part in chunks(face_ids):
        rows = select(FacePersonRow.face_id, FacePersonRow.person_id).where(FacePersonRow.face_id.in_(part))
        result |= dict(session.execute(rows).all())
    return result


def _has_no_faces(session: Session, person_id: int) -> bool:
    return session.scalar(select(FacePersonRow.face_id).where(FacePersonRow.person_id == person_id).limit(1)) is None


def drop_empty(session: Session) -> None:
    """Delete automatic groups that have no faces left."""
    used = select(FacePersonRow.face_id).where(FacePersonRow.person_id == PersonRow.id)
    session.execute(delete(PersonRow).where(~PersonRow.corrected, ~used.exists()))
    session.expire_all()


def mark_seen(session: Session) -> None:
    """Mark the faces that cannot be compared with the others, such as those of another network, as seen."""
    known = select(FacePersonRow.face_id).where(FacePersonRow.face_id == EmbeddingRow.face_id)
    missing = select(EmbeddingRow.face_id).where(~known.exists())
    nobody = {"person_id": None, "state": "automatic", "probability": 0.0, "source": "auto"}
    for part in chunks(session.scalars(missing).all()):
        insert_rows(session, FacePersonRow, [{"face_id": face_id, **nobody} for face_id in part])


def count_people(session: Session) -> int:
    """Return about how many people the library shows, groups and faces that are in none; at most `MANY` of each."""
    session.flush()
    return int(session.connection().execute(_counted()).scalar_one())


@cache
def _counted() -> Select[int]:
    groups = select(PersonRow.id).limit(MANY).subquery()
    alone = select(FacePersonRow.face_id).where(FacePersonRow.person_id.is_(None)).limit(MANY).subquery()
    counts = [select(func.count()).select_from(one).scalar_subquery() for one in (groups, alone)]
    return select(counts[0] + counts[1])
