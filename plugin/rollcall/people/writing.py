"""Write who the faces are: the rows of faces, of new groups, and what is known of each person from their faces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from rollcall.corrections.person_kinds import new_uid
from rollcall.people.evidence import combined
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces
from rollcall.storage import change_feed
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow, PersonNameRow, PersonRow, PhotoRow

#: A probability that changed by less is not written again.
_SAME: Final = 0.005
#: Faces that birth dates are estimated from: the likeliest.
_BIRTH_FACES: Final = 200


def write_people(
    session: Session, library: LibraryFaces, person: NDArray[np.int64], probability: NDArray[np.float64]
) -> set[int]:
    """Write the people of faces as `assign.person_of_faces` gives them; return the people whose faces changed."""
    numbers = _add_groups(session, library, person)
    wanted = np.array([numbers.get(one, one) for one in person.tolist()], np.int64)
    changed = np.flatnonzero(
        ~library.stated
        & ((wanted != library.person) | ~library.seen | (np.abs(probability - library.probability) > _SAME))
    )
    if not len(changed):
        return set()
    named = set(session.scalars(select(PersonNameRow.person_id).distinct()))
    rows: list[dict[str, Any]] = []
    for face in changed.tolist():
        them = int(wanted[face])
        rows.append(
            {
                "face_id": int(library.face_ids[face]),
                "person_id": None if them == UNKNOWN else them,
                "state": "proposed" if them in named else "automatic",
                "probability": float(probability[face]),
                "source": "auto",
            }
        )
    for part in chunks(rows):
        ids = [row["face_id"] for row in part]
        # A person may have said who it is since the faces were read.
        stated = FacePersonRow.source != "auto"
        kept = set(session.scalars(select(FacePersonRow.face_id).where(FacePersonRow.face_id.in_(ids), stated)))
        there = set(session.scalars(select(FaceRow.id).where(FaceRow.id.in_(ids)))) - kept
        session.execute(delete(FacePersonRow).where(FacePersonRow.face_id.in_(there)))
        new = [row for row in part if row["face_id"] in there]
        insert_rows(session, FacePersonRow, new)
    moved = changed[wanted[changed] != library.person[changed]]
    return {int(one) for one in (*wanted[moved], *library.person[moved]) if one != UNKNOWN}


def _add_groups(session: Session, library: LibraryFaces, person: NDArray[np.int64]) -> dict[int, int]:
    """Add people for new groups; return their numbers by those that stand for them."""
    result = {}
    for group in sorted({int(one) for one in person[person <= -3]}, reverse=True):
        founder = int(library.face_ids[np.flatnonzero(person == group)[0]])
        row = PersonRow(uid=_uid_of_group(session, founder), created_at=now())
        session.add(row)
        session.flush()
        result[group] = row.id
    return result


def _uid_of_group(session: Session, face_id: int) -> str:
    """Return the uid of a group by its first face: the same faces give the same uid in every database."""
    row = session.execute(
        select(PhotoRow.content_hash, FaceRow.x, FaceRow.y)
        .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
        .where(FaceRow.id == face_id)
    ).one()
    uid = hashlib.blake2b(f"{row[0]} {row[1]:.2f} {row[2]:.2f}".encode(), digest_size=16).hexdigest()
    taken = session.scalar(select(PersonRow.id).where(PersonRow.uid == uid))
    return uid if taken is None else new_uid()


def summarize(session: Session, library: LibraryFaces, person_ids: Iterable[int]) -> None:
    """Write size, cover and estimated birth date of people whose faces are all in `library`; drop empty groups."""
    rows = people_of(session, library.face_ids.tolist())
    by_person: dict[int, list[int]] = {}
    for index, face_id in enumerate(library.face_ids.tolist()):
        them = rows.get(face_id)
        if them is not None:
            by_person.setdefault(them, []).append(index)
    for part in chunks(sorted(set(person_ids))):
        for row in session.scalars(select(PersonRow).where(PersonRow.id.in_(part))):
            faces = by_person.get(row.id, [])
            row.unsettled = False
            if not faces and not row.corrected and _has_no_faces(session, row.id):
                session.delete(row)
                continue
            _summarize(row, library, faces)
    session.flush()
    change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def _summarize(row: PersonRow, library: LibraryFaces, faces: Sequence[int]) -> None:
    row.size = len(faces)
    if not faces:
        row.cover_face_id, row.birth_estimate, row.birth_deviation = None, None, None
        return
    some = np.array(faces)
    order = some[np.argsort(-library.probability[some], kind="stable")][:_BIRTH_FACES]
    best = max(order.tolist(), key=lambda face: (float(library.quality[face]), -face))
    row.cover_face_id = int(library.face_ids[best])
    births = library.faces.births
    assert births is not None
    estimate = combined(births.mean[order], births.deviation[order])
    row.birth_estimate, row.birth_deviation = (None, None) if estimate is None else estimate


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
    rows = [
        {"face_id": face_id, "person_id": None, "state": "automatic", "probability": 0.0, "source": "auto"}
        for face_id in session.scalars(missing)
    ]
    insert_rows(session, FacePersonRow, rows)


def count_people(session: Session) -> int:
    """Return about how many people the library shows: groups, and faces that are in none."""
    groups = session.scalar(select(func.count()).select_from(PersonRow)) or 0
    alone = select(func.count()).select_from(FacePersonRow).where(FacePersonRow.person_id.is_(None))
    return groups + (session.scalar(alone) or 0)
