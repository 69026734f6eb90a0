"""Persist the analysis of a photo: its row, its faces with their predictions, its groups and tags."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.known_faces import known_faces
from rollcall.corrections.matching import KnownFace, match
from rollcall.corrections.reattach import StoredAnalysis
from rollcall.media import perceptual_hash
from rollcall.model_version import weights_of
from rollcall.records import Analysis, Box, Face, FileStat, PhotoState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
from rollcall.storage.bulk import insert_rows
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.estimates import delete_estimates, insert_estimates, replace_estimates
from rollcall.storage.library import now
from rollcall.storage.tables import CorrectionRow, EmbeddingRow, FaceRow, PhotoRow, PredictionRow, TagRow
from rollcall.tags import projection


def never_analysed(session: Session, photos: Iterable[PhotoRow]) -> set[int]:
    """Return the numbers of those photos that have no faces, tags or corrections yet."""
    new = {photo.id for photo in photos if photo.content_hash is None and not photo.reviewed}
    for table in (FaceRow, TagRow):
        new -= set(session.scalars(select(table.photo_id).where(table.photo_id.in_(new)))) if new else set()
    return new


class NewPhoto(NamedTuple):
    """The analysis of a photo that has no faces, tags or corrections yet."""

    photo_id: int
    stat: FileStat
    analysis: Analysis


def store_new(session: Session, photos: Sequence[NewPhoto], model_version: str, settings: TagSettings) -> None:
    """Store the analyses of photos without rows yet, all of one model version, in statements for all of them together.

    Nearly all photos are stored so; one at a time by `store_analysis` they take several times as long.
    """
    revision = revisions.take(session)
    for photo_id, stat, analysis in photos:
        photo = session.get_one(PhotoRow, photo_id)
        _fill_photo(photo, stat, analysis)
        photo.face_count, photo.revision = len(analysis.faces), revision
    faces = [(one.photo_id, face) for one in photos for face in one.analysis.faces]
    predictions = iter(insert_estimates(session, _inserted(session, faces), model_version))
    estimated = [(one.photo_id, list(itertools.islice(predictions, len(one.analysis.faces)))) for one in photos]
    projection.add_new(session, estimated, settings)
    for one in photos:
        change_feed.record(session, ChangeKind.PHOTO_INDEXED, one.photo_id)


def _inserted(session: Session, faces: Sequence[tuple[int, Face]]) -> list[tuple[int, Face]]:
    """Write the rows of faces of photos without any, given with their photos' numbers; return each with its own."""
    insert_rows(
        session,
        FaceRow,
        [{"photo_id": number, "present": True, "detected": face.detected, **_columns(face)} for number, face in faces],
    )
    # Asked for afterwards: where a statement returns numbers, there has to be one for each row.
    order = {number: place for place, number in enumerate(dict.fromkeys(number for number, _ in faces))}
    found = session.execute(select(FaceRow.photo_id, FaceRow.id).where(FaceRow.photo_id.in_(order)))
    ids = [face_id for _, face_id in sorted(found, key=lambda row: (order[row[0]], row[1]))]
    return [(face_id, face) for face_id, (_, face) in zip(ids, faces, strict=True)]


def store_analysis(
    session: Session, photo_id: int, stat: FileStat, analysis: Analysis, settings: TagSettings
) -> StoredAnalysis:
    """Store the analysis of a photo's file, of `size` bytes; return how it differs from the one before.

    A face that is found again keeps its number, and with it its corrections. A face that is not found again is deleted,
    unless it was corrected: then it is hidden, and `reattach` decides whether it is shown.
    """
    photo = session.get_one(PhotoRow, photo_id)
    content_before, hash_before = photo.content_hash, photo.perceptual_hash
    same_picture = content_before in (None, analysis.content_hash) or perceptual_hash.is_same_picture(
        hash_before, analysis.perceptual_hash
    )
    _fill_photo(photo, stat, analysis)
    old = known_faces(session, photo_id)
    found = _store_faces(session, photo_id, analysis, same_picture, old)
    if old:
        delete_estimates(session, [row.id for row, _ in found])
    insert_estimates(session, [(row.id, face) for row, face in found], analysis.model_version)
    projection.recompute(session, photo_id, settings)
    change_feed.record(session, ChangeKind.PHOTO_INDEXED, photo_id)
    face_ids = [row.id for row, _ in found]
    return StoredAnalysis(
        content_hash_before=content_before,
        same_picture=same_picture,
        perceptual_hash_before=hash_before,
        perceptual_hash=analysis.perceptual_hash,
        faces_before=len(old),
        faces_matched=len({row.id for row, _ in old} & set(face_ids)),
        faces=len(analysis.faces),
    )


def store_failure(session: Session, photo_id: int, stat: FileStat, reason: str, failure_key: str | None) -> None:
    """Record why a photo cannot be used; what is stored of it stays."""
    session.execute(
        update(PhotoRow)
        .where(PhotoRow.id == photo_id)
        .values(
            state=PhotoState.FAILED,
            error=reason,
            failure_key=failure_key,
            size=stat.size,
            mtime_ns=stat.mtime_ns,
            ctime_ns=stat.ctime_ns,
        )
    )
    change_feed.record(session, ChangeKind.PHOTO_FAILED, photo_id)


def store_unchanged(session: Session, photo_id: int, stat: FileStat) -> None:
    """Store the times of a photo whose content is as it was when it was analysed."""
    photo = session.get_one(PhotoRow, photo_id)
    photo.size, photo.mtime_ns, photo.ctime_ns = stat.identity
    photo.state, photo.error = PhotoState.INDEXED, None
    # It may have been missing until now.
    change_feed.record(session, ChangeKind.PHOTO_INDEXED, photo_id)


def _fill_photo(photo: PhotoRow, stat: FileStat, analysis: Analysis) -> None:
    taken = analysis.taken
    utc = taken.utc() if taken else None
    photo.size, photo.mtime_ns, photo.ctime_ns = stat.identity
    photo.content_hash = analysis.content_hash
    photo.width, photo.height, photo.orientation = analysis.width, analysis.height, analysis.orientation
    photo.taken_local = taken.local.isoformat() if taken else None
    photo.taken_offset_minutes = taken.offset_minutes if taken else None
    photo.taken_utc = f"{utc.isoformat()}Z" if utc else None
    photo.taken_source = taken.source if taken else None
    photo.state, photo.error = PhotoState.INDEXED, None
    photo.warning = "; ".join(analysis.warnings) or None
    photo.model_version, photo.indexed_at = analysis.model_version, now()
    photo.perceptual_hash = analysis.perceptual_hash
    video = analysis.video
    photo.duration, photo.poster_time = (None, None) if video is None else (video.seconds, video.at)
    photo.failure_key = None if video is None else video.not_searched


class _OldFaces(NamedTuple):
    """The faces of a photo before an analysis."""

    matched: dict[int, FaceRow]  # by the index of the new face
    moved: list[tuple[FaceRow, Box]]  # moved by hand, with the box in which the detector found them


def _store_faces(
    session: Session,
    photo_id: int,
    analysis: Analysis,
    same_picture: bool,
    known: Sequence[tuple[FaceRow, KnownFace]],
) -> list[tuple[FaceRow, Face]]:
    """Write the rows of the faces of an analysis; return each with its face."""
    old = _match(session, analysis, same_picture, known)
    found: list[tuple[FaceRow, Face]] = []
    for index, face in enumerate(analysis.faces):
        row = old.matched.get(index)
        if row is None:
            moved = next((one for one, box in old.moved if face.is_at(box, one.video_time)), None)
            if moved is not None:
                moved.detected = True
                continue
            row = FaceRow(photo_id=photo_id)
            session.add(row)
        row.present, row.detected = True, face.detected
        if not row.drawn:
            _fill_face(row, face)
        found.append((row, face))
    session.flush()
    return found


def _match(
    session: Session, analysis: Analysis, same_picture: bool, known: Sequence[tuple[FaceRow, KnownFace]]
) -> _OldFaces:
    """Match the known faces with the new ones; hide or delete those that are not found again."""
    rows = [row for row, _ in known]
    weights = weights_of(analysis.model_version)
    new = [KnownFace(face.box, face.embedding, weights, face.video_time, face.track) for face in analysis.faces]
    pairs = match([one for _, one in known], new, same_picture)
    corrected = _corrected(session, [row.id for row in rows]) if rows else set()
    moved = _moved_by_hand(session, [row for row in rows if row.drawn and row.id in corrected])
    for index, row in enumerate(rows):
        row.detected = False
        if index in pairs:
            continue
        if row.given_by_host:
            # Another program says that it is there; whether it still does is found out when its metadata is read.
            continue
        if row.id not in corrected:
            session.delete(row)
        elif not row.drawn:
            # A face whose box a person gave stays visible even if the detector does not find it.
            row.present = False
    return _OldFaces({j: rows[i] for i, j in pairs.items()}, moved)


def _fill_face(row: FaceRow, face: Face) -> None:
    for name, value in _columns(face).items():
        setattr(row, name, value)


def _columns(face: Face) -> dict[str, Any]:
    """Return the columns of a face as the detector found it."""
    return {
        **face.box._asdict(),
        "landmarks": [list(point) for point in face.landmarks],
        "score": face.score,
        "sharpness": face.sharpness,
        "video_time": face.video_time,
    }


def _corrected(session: Session, face_ids: Collection[int]) -> set[int]:
    """Return which of some faces have corrections."""
    found = session.scalars(select(CorrectionRow.face_id).where(CorrectionRow.face_id.in_(face_ids)))
    return {face_id for face_id in found if face_id is not None}


def _moved_by_hand(session: Session, rows: Sequence[FaceRow]) -> list[tuple[FaceRow, Box]]:
    """Return the boxes in which the detector found faces before a person moved them: it finds them there again."""
    by_id = {row.id: row for row in rows}
    if not by_id:
        return []
    lines = session.execute(
        select(CorrectionRow.face_id, CorrectionRow.value_before).where(
            CorrectionRow.face_id.in_(list(by_id)), CorrectionRow.kind == "box"
        )
    )
    return [(by_id[face_id], Box(*before["box"])) for face_id, before in lines if face_id is not None and before]


def undescribed_faces(session: Session, photo_id: int, model_version: str) -> list[FaceRow]:
    """Return the visible faces of a photo that have to be analysed in their box.

    These are drawn, moved and undetected faces without estimates of this model version, and faces with stale ones.
    """
    estimated = func.coalesce(PredictionRow.model_version, EmbeddingRow.model_version, "")
    stale = or_(func.coalesce(PredictionRow.stale, False), func.coalesce(EmbeddingRow.stale, False))
    return list(
        session.scalars(
            select(FaceRow)
            .outerjoin(PredictionRow, PredictionRow.face_id == FaceRow.id)
            .outerjoin(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
            .where(FaceRow.photo_id == photo_id, FaceRow.present)
            .where(or_(and_(or_(FaceRow.drawn, ~FaceRow.detected), estimated != model_version), stale))
        )
    )


def store_description(session: Session, row: FaceRow, face: Face, model_version: str) -> None:
    """Store the estimates of a face whose box a person gave; the box stays."""
    row.landmarks = [list(point) for point in face.landmarks]
    row.score, row.sharpness = face.score, face.sharpness
    session.flush()
    replace_estimates(session, row.id, face, model_version)
