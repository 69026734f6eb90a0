"""What was found in a photo, written: faces keep their numbers, and what a person said stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import tagging
from rollcall.matching import SAME_PLACE, Known, match, overlap
from rollcall.records import Analysis, Box, Face
from rollcall.settings import TagSettings
from rollcall.store import journal
from rollcall.store.photos import now
from rollcall.store.tables import (
    Correction,
    Embedding,
    FaceRow,
    Photo,
    PhotoGroup,
    Prediction,
    TagRow,
    Verdict,
)
from rollcall.tagging import FaceProbabilities, Said

#: The model version of estimates that were made for another box than the face has now.
STALE: Final = "stale"
_GROUPS = ("babies", "toddlers", "children", "teenagers", "adults", "seniors")


def pack(vector: NDArray[Any]) -> bytes:
    """Return a vector as little-endian float16."""
    return np.asarray(vector, "<f2").tobytes()


def unpack(data: bytes) -> NDArray[np.float32]:
    """Return the vector of `pack` as float32."""
    return np.frombuffer(data, "<f2").astype(np.float32)


def save(
    session: Session, photo_id: int, size: int, mtime_ns: int, analysis: Analysis, settings: TagSettings
) -> list[int]:
    """Store an analysis and return the numbers of its faces, in their order.

    A face found again keeps its number, and with it all that a person said of it. One that is not found
    again goes, unless a person spoke of it: then it is kept, out of sight.
    """
    photo = session.get_one(Photo, photo_id)
    same_picture = photo.content_hash in (None, analysis.content_hash)
    taken = analysis.taken
    utc = None
    if taken is not None and taken.offset_minutes is not None:
        utc = (taken.local - timedelta(minutes=taken.offset_minutes)).isoformat() + "Z"
    photo.size, photo.mtime_ns, photo.content_hash = size, mtime_ns, analysis.content_hash
    photo.width, photo.height, photo.orientation = analysis.width, analysis.height, analysis.orientation
    photo.taken_local = taken.local.isoformat() if taken else None
    photo.taken_offset_minutes = taken.offset_minutes if taken else None
    photo.taken_utc = utc
    photo.state, photo.error, photo.model_version, photo.indexed_at = (
        "indexed",
        None,
        analysis.model_version,
        now(),
    )
    face_ids = _save_faces(session, photo_id, analysis, same_picture)
    refresh(session, photo_id, settings)
    journal.note(session, "photo_indexed", photo_id)
    return face_ids


def fail(session: Session, photo_id: int, size: int, mtime_ns: int, reason: str) -> None:
    """Record that a photo cannot be used; what was known of it before stays."""
    session.execute(
        update(Photo).where(Photo.id == photo_id).values(state="failed", error=reason, size=size, mtime_ns=mtime_ns)
    )
    journal.note(session, "photo_failed", photo_id)


def _save_faces(session: Session, photo_id: int, analysis: Analysis, same_picture: bool) -> list[int]:
    rows = session.execute(
        select(FaceRow, Embedding.vector)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id)
        .order_by(FaceRow.id)
    ).all()
    old = [row[0] for row in rows]
    known = [
        Known(Box(face.x, face.y, face.width, face.height), None if vector is None else unpack(vector))
        for face, vector in rows
    ]
    new = [Known(face.box, face.embedding) for face in analysis.faces]
    pairs = match(known, new, same_picture)
    found_again = {j: old[i] for i, j in pairs.items()}
    spoken_of = _spoken_of(session, [face.id for face in old])
    for i, before in enumerate(old):
        # A box that a person drew is the person's, wherever the detector looks now.
        if i not in pairs and not (before.id in spoken_of and before.drawn):
            if before.id in spoken_of:
                before.present = False
            else:
                session.delete(before)
    moved_away = _moved_away(session, spoken_of)
    result = []
    for j, face in enumerate(analysis.faces):
        row = found_again.get(j)
        if row is None and any(overlap(face.box, box) >= SAME_PLACE for box in moved_away):
            continue
        if row is None:
            row = FaceRow(photo_id=photo_id)
            session.add(row)
        row.present = True
        if not row.drawn:
            _fill(row, face)
        session.flush()
        write_estimates(session, row.id, face, analysis.model_version)
        result.append(row.id)
    session.flush()
    return result


def _fill(row: FaceRow, face: Face) -> None:
    row.x, row.y, row.width, row.height = face.box
    row.landmarks = [list(point) for point in face.landmarks]
    row.score, row.sharpness, row.detected = face.score, face.sharpness, face.detected


def _spoken_of(session: Session, face_ids: list[int]) -> set[int]:
    found = session.scalars(select(Correction.face_id).where(Correction.face_id.in_(face_ids)))
    return {face_id for face_id in found if face_id is not None}


def _moved_away(session: Session, face_ids: set[int]) -> list[Box]:
    """Return where the detector saw faces that a person has put elsewhere: it will see them there again."""
    if not face_ids:
        return []
    before = session.scalars(
        select(Correction.value_before)
        .join(FaceRow, FaceRow.id == Correction.face_id)
        .where(Correction.face_id.in_(face_ids), Correction.kind == "box", FaceRow.drawn)
    )
    return [Box(*one["box"]) for one in before if one]


def undescribed(session: Session, photo_id: int, model_version: str) -> list[FaceRow]:
    """Return the shown faces of a photo that a model has yet to look at: drawn or moved by hand."""
    estimated = func.coalesce(Prediction.model_version, Embedding.model_version, "")
    return list(
        session.scalars(
            select(FaceRow)
            .outerjoin(Prediction, Prediction.face_id == FaceRow.id)
            .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
            .where(FaceRow.photo_id == photo_id, FaceRow.present)
            .where(or_(and_(FaceRow.drawn, estimated != model_version), estimated == STALE))
        )
    )


def describe(session: Session, row: FaceRow, face: Face, model_version: str) -> None:
    """Write what a model says of a face whose place a person gave; the place stays."""
    row.landmarks = [list(point) for point in face.landmarks]
    row.score, row.sharpness = face.score, face.sharpness
    session.flush()
    write_estimates(session, row.id, face, model_version)


def write_estimates(session: Session, face_id: int, face: Face, model_version: str) -> None:
    """Replace what the model says of a face."""
    session.execute(delete(Prediction).where(Prediction.face_id == face_id))
    session.execute(delete(Embedding).where(Embedding.face_id == face_id))
    if face.age_distribution is not None or face.p_female is not None:
        age, span = face.age, face.age_interval
        session.execute(
            insert(Prediction).values(
                face_id=face_id,
                model_version=model_version,
                age_distribution=None if face.age_distribution is None else pack(face.age_distribution),
                age=age,
                age_low=span[0] if span else None,
                age_high=span[1] if span else None,
                p_female=face.p_female,
                **{f"p_{name}": face.p_group(name) for name in _GROUPS},
            )
        )
    if face.embedding is not None:
        session.execute(
            insert(Embedding).values(
                face_id=face_id,
                model_version=model_version,
                dimension=len(face.embedding),
                vector=pack(face.embedding),
            )
        )


def face_probabilities(session: Session, photo_id: int) -> list[FaceProbabilities]:
    """Return what is known of each face of a photo that is shown: corrections laid over predictions."""
    rows = session.execute(
        select(Prediction, Verdict)
        .select_from(FaceRow)
        .outerjoin(Prediction, Prediction.face_id == FaceRow.id)
        .outerjoin(Verdict, Verdict.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id, FaceRow.present)
        .order_by(FaceRow.id)
    )
    result = []
    for prediction, verdict in rows:
        if verdict is not None and verdict.dismissed:
            continue
        estimated = FaceProbabilities(
            **{field: getattr(prediction, field, None) for field in FaceProbabilities._fields}
        )
        said = Said()
        if verdict is not None:
            said = Said(verdict.age_low, verdict.age_high, verdict.gender_given, verdict.gender)
        result.append(tagging.overlaid(estimated, said))
    return result


def refresh(session: Session, photo_id: int, settings: TagSettings) -> None:
    """Derive a photo's groups, number of faces and automatic tags anew from its faces and corrections.

    Tags that a person or a host set, and tags that a person rejected, are not touched.
    """
    session.flush()
    faces = face_probabilities(session, photo_id)
    groups = tagging.groups(faces)
    session.execute(update(Photo).where(Photo.id == photo_id).values(face_count=len(faces)))
    session.execute(delete(PhotoGroup).where(PhotoGroup.photo_id == photo_id))
    if groups:
        session.execute(
            insert(PhotoGroup),
            [
                {"photo_id": photo_id, "name": name, "at_least": count, "probability": probability}
                for name, chances in groups.items()
                for count, probability in enumerate(chances, 1)
            ],
        )
    write_tags(session, photo_id, tagging.tags(groups, len(faces), tagging.rules(settings)))


def write_tags(session: Session, photo_id: int, wanted: Sequence[tagging.Tag]) -> None:
    """Make a photo's automatic tags the wanted ones; what anyone else set, and what was rejected, stays."""
    have = {row.name: row for row in session.scalars(select(TagRow).where(TagRow.photo_id == photo_id))}
    before = {(row.name, row.state) for row in have.values() if row.source == "auto"}
    after = {(tag.name, str(tag.state)) for tag in wanted if tag.name not in have or have[tag.name].source == "auto"}
    if before != after:
        journal.note(session, "tags_changed", photo_id)
    if any(state == "suggested" for _, state in after - before):
        journal.note(session, "review_needed", photo_id)
    for tag in wanted:
        row = have.pop(tag.name, None)
        if row is None:
            session.add(
                TagRow(
                    photo_id=photo_id,
                    name=tag.name,
                    source="auto",
                    probability=tag.probability,
                    state=tag.state,
                    created_at=now(),
                )
            )
        elif row.source == "auto" and row.state != "rejected":
            row.probability, row.state = tag.probability, tag.state
    for row in have.values():
        if row.source == "auto" and row.state != "rejected":
            session.delete(row)
