"""What was found in a photo, written: faces keep their numbers, and what a person said stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import looks, tagging
from rollcall.matching import SAME_PLACE, Known, match, network, overlap
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
GROUPS: Final = ("babies", "toddlers", "children", "teenagers", "adults", "seniors")


def pack(vector: NDArray[Any]) -> bytes:
    """Return a vector as little-endian float16."""
    return np.asarray(vector, "<f2").tobytes()


def unpack(data: bytes) -> NDArray[np.float32]:
    """Return the vector of `pack` as float32."""
    return np.frombuffer(data, "<f2").astype(np.float32)


class Saved(NamedTuple):
    """How a photo was stored."""

    face_ids: list[int]  # of the faces found, in their order
    hash_before: str | None  # the content that was there before
    same_picture: bool  # as before, be it that it was only saved again: what was somewhere is still there
    look_before: bytes | None
    look: bytes | None
    faces_before: int  # known, shown or not
    found_again: int  # of those
    faces: int  # found now


def blank(session: Session, some: Iterable[Photo]) -> set[int]:
    """Return the numbers of those photos of which nothing is known yet but that there is such a file."""
    new = {photo.id for photo in some if photo.content_hash is None and not photo.reviewed}
    for kind in (FaceRow, TagRow):
        new -= set(session.scalars(select(kind.photo_id).where(kind.photo_id.in_(new)))) if new else set()
    return new


def save(
    session: Session,
    photo_id: int,
    size: int,
    mtime_ns: int,
    analysis: Analysis,
    settings: TagSettings,
    *,
    blank: bool = False,
) -> Saved:
    """Store an analysis.

    A face found again keeps its number, and with it all that a person said of it. One that is not found
    again goes, unless a person spoke of it: then it is kept, and `finding` says whether it is shown.
    What is `blank` is not searched for anything that was there before.
    """
    photo = session.get_one(Photo, photo_id)
    before = photo.content_hash
    same_picture = before in (None, analysis.content_hash) or looks.same(photo.look, analysis.look)
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
    look_before, photo.look = photo.look, analysis.look
    rows = [] if blank else known_faces(session, photo_id)
    known = {row.id for row, _ in rows}
    face_ids, said = _save_faces(session, photo_id, analysis, same_picture, rows)
    if blank:
        _derive(session, photo_id, [_probabilities(one) for one in said], settings, blank=True)
    else:
        refresh(session, photo_id, settings)
    journal.note(session, "photo_indexed", photo_id)
    again = known & set(face_ids)
    return Saved(
        face_ids, before, same_picture, look_before, analysis.look, len(known), len(again), len(analysis.faces)
    )


def fail(session: Session, photo_id: int, size: int, mtime_ns: int, reason: str) -> None:
    """Record that a photo cannot be used; what was known of it before stays."""
    session.execute(
        update(Photo).where(Photo.id == photo_id).values(state="failed", error=reason, size=size, mtime_ns=mtime_ns)
    )
    journal.note(session, "photo_failed", photo_id)


def _save_faces(
    session: Session, photo_id: int, analysis: Analysis, same_picture: bool, rows: Sequence[tuple[FaceRow, Known]]
) -> tuple[list[int], list[dict[str, Any]]]:
    """Write the faces; return their numbers, and the estimates of each."""
    old = [row for row, _ in rows]
    known = [one for _, one in rows]
    new = [Known(face.box, face.embedding, network(analysis.model_version)) for face in analysis.faces]
    pairs = match(known, new, same_picture)
    found_again = {j: old[i] for i, j in pairs.items()}
    spoken_of = _spoken_of(session, [face.id for face in old]) if old else set()
    moved_away = _moved_away(session, [row for row in old if row.drawn and row.id in spoken_of])
    for i, before in enumerate(old):
        before.detected = False
        if i in pairs:
            continue
        if before.id not in spoken_of:
            session.delete(before)
        elif not before.drawn:
            # A box that a person drew is the person's, wherever the detector looks now.
            before.present = False
    found: list[tuple[FaceRow, Face]] = []
    for j, face in enumerate(analysis.faces):
        row = found_again.get(j)
        if row is None:
            moved = next((one for one, box in moved_away if overlap(face.box, box) >= SAME_PLACE), None)
            if moved is not None:
                moved.detected = True
                continue
            row = FaceRow(photo_id=photo_id)
            session.add(row)
        row.present, row.detected = True, face.detected
        if not row.drawn:
            _fill(row, face)
        found.append((row, face))
    session.flush()
    if old:
        _delete_estimates(session, [row.id for row, _ in found])
    said = _insert_estimates(session, [(row.id, face) for row, face in found], analysis.model_version)
    return [row.id for row, _ in found], said


def _fill(row: FaceRow, face: Face) -> None:
    row.x, row.y, row.width, row.height = face.box
    row.landmarks = [list(point) for point in face.landmarks]
    row.score, row.sharpness = face.score, face.sharpness


def known_faces(session: Session, photo_id: int) -> list[tuple[FaceRow, Known]]:
    """Return all faces of a photo, hidden ones too, with what they are known again by."""
    rows = session.execute(
        select(FaceRow, Embedding.vector, Embedding.model_version)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id)
        .order_by(FaceRow.id)
    )
    return [
        (
            face,
            Known(
                Box(face.x, face.y, face.width, face.height),
                None if vector is None or version == STALE else unpack(vector),
                network(version),
            ),
        )
        for face, vector, version in rows
    ]


def _spoken_of(session: Session, face_ids: list[int]) -> set[int]:
    found = session.scalars(select(Correction.face_id).where(Correction.face_id.in_(face_ids)))
    return {face_id for face_id in found if face_id is not None}


def _moved_away(session: Session, moved: Sequence[FaceRow]) -> list[tuple[FaceRow, Box]]:
    """Return where the detector saw faces that a person has put elsewhere: it will see them there again."""
    by_id = {row.id: row for row in moved}
    if not by_id:
        return []
    lines = session.execute(
        select(Correction.face_id, Correction.value_before).where(
            Correction.face_id.in_(list(by_id)), Correction.kind == "box"
        )
    )
    return [(by_id[face_id], Box(*before["box"])) for face_id, before in lines if face_id is not None and before]


def undescribed(session: Session, photo_id: int, model_version: str) -> list[FaceRow]:
    """Return the shown faces of a photo that a model has yet to look at: those that the detector did not give."""
    estimated = func.coalesce(Prediction.model_version, Embedding.model_version, "")
    return list(
        session.scalars(
            select(FaceRow)
            .outerjoin(Prediction, Prediction.face_id == FaceRow.id)
            .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
            .where(FaceRow.photo_id == photo_id, FaceRow.present)
            .where(or_(and_(or_(FaceRow.drawn, ~FaceRow.detected), estimated != model_version), estimated == STALE))
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
    _delete_estimates(session, [face_id])
    _insert_estimates(session, [(face_id, face)], model_version)


def _delete_estimates(session: Session, face_ids: Sequence[int]) -> None:
    session.execute(delete(Prediction).where(Prediction.face_id.in_(face_ids)))
    session.execute(delete(Embedding).where(Embedding.face_id.in_(face_ids)))


def _insert_estimates(session: Session, faces: Sequence[tuple[int, Face]], model_version: str) -> list[dict[str, Any]]:
    """Write what the model says of faces; return the columns of each one's prediction, none where there is none."""
    said: list[dict[str, Any]] = []
    embeddings = []
    for face_id, face in faces:
        of_face = {"face_id": face_id, "model_version": model_version}
        known = face.age_distribution is not None or face.p_female is not None
        said.append(of_face | estimates(face) if known else {})
        if face.embedding is not None:
            embeddings.append(of_face | {"dimension": len(face.embedding), "vector": pack(face.embedding)})
    # Of tables and not of classes: half the time.
    if any(said):
        session.execute(insert(Prediction.__table__), [one for one in said if one])  # type: ignore[arg-type]
    if embeddings:
        session.execute(insert(Embedding.__table__), embeddings)  # type: ignore[arg-type]
    return said


def _probabilities(columns: Mapping[str, Any]) -> FaceProbabilities:
    return FaceProbabilities(**{field: columns.get(field) for field in FaceProbabilities._fields})


def estimates(face: Face) -> dict[str, Any]:
    """Return the columns of a face's prediction; all of them follow from what is stored of the distribution."""
    stored = None if face.age_distribution is None else pack(face.age_distribution)
    as_stored = replace(face, age_distribution=None if stored is None else unpack(stored))
    span = as_stored.age_interval
    network = face.network_age_distribution
    return {
        "age_distribution": stored,
        "age": as_stored.age,
        "age_low": span[0] if span else None,
        "age_high": span[1] if span else None,
        "p_female": face.p_female,
        **{f"p_{name}": as_stored.p_group(name) for name in GROUPS},
        "network_age_distribution": None if network is None else pack(network),
        "network_p_female": face.network_p_female,
    }


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
    _derive(session, photo_id, face_probabilities(session, photo_id), settings)


def _derive(
    session: Session, photo_id: int, faces: Sequence[FaceProbabilities], settings: TagSettings, *, blank: bool = False
) -> None:
    groups = tagging.groups(faces)
    session.execute(update(Photo).where(Photo.id == photo_id).values(face_count=len(faces)))
    if not blank:
        session.execute(delete(PhotoGroup).where(PhotoGroup.photo_id == photo_id))
    if groups:
        session.execute(
            insert(PhotoGroup.__table__),  # type: ignore[arg-type]
            [
                {"photo_id": photo_id, "name": name, "at_least": count, "probability": probability}
                for name, chances in groups.items()
                for count, probability in enumerate(chances, 1)
            ],
        )
    wanted = tagging.tags(groups, len(faces), tagging.rules(settings))
    if wanted or not blank:
        write_tags(session, photo_id, wanted, blank=blank)


def write_tags(session: Session, photo_id: int, wanted: Sequence[tagging.Tag], *, blank: bool = False) -> None:
    """Make a photo's automatic tags the wanted ones; what anyone else set, and what was rejected, stays.

    A `blank` photo has none.
    """
    rows = [] if blank else session.scalars(select(TagRow).where(TagRow.photo_id == photo_id)).all()
    have = {row.name: row for row in rows}
    before = {(row.name, row.state) for row in have.values() if row.source == "auto"}
    after = {(tag.name, str(tag.state)) for tag in wanted if tag.name not in have or have[tag.name].source == "auto"}
    if before != after:
        journal.note(session, "tags_changed", photo_id)
    if any(state == "suggested" for _, state in after - before):
        journal.note(session, "review_needed", photo_id)
    added = []
    for tag in wanted:
        row = have.pop(tag.name, None)
        if row is None:
            added.append(
                {
                    "photo_id": photo_id,
                    "name": tag.name,
                    "source": "auto",
                    "probability": tag.probability,
                    "state": tag.state,
                    "created_at": now(),
                }
            )
        elif row.source == "auto" and row.state != "rejected":
            row.probability, row.state = tag.probability, tag.state
    if added:
        session.execute(insert(TagRow.__table__), added)  # type: ignore[arg-type]
    for row in have.values():
        if row.source == "auto" and row.state != "rejected":
            session.delete(row)
