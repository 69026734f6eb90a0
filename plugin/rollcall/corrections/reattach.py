"""Reattach corrections to a photo after it was analysed.

A line of the log holds its photo and face as they were when last seen: content hash, path, perceptual hash, the face's
box and embedding. If some of these change, photo and face are found by the others. Lines that fit no photo wait for
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.kinds import FACE_KINDS
from rollcall.corrections.known_faces import known_faces
from rollcall.corrections.log import CorrectionResult, draw_face
from rollcall.corrections.matching import KnownFace, cosine_similarity, other_person, same_person
from rollcall.corrections.projection import project_faces
from rollcall.media import perceptual_hash
from rollcall.model_version import weights_of
from rollcall.records import SAME_FACE_IOU, SAME_MOMENT, Box, PhotoState
from rollcall.storage.estimates import unpack
from rollcall.storage.tables import CorrectionRow, EmbeddingRow, FaceRow, PhotoRow


class StoredAnalysis(NamedTuple):
    """A photo before and after its analysis was stored."""

    content_hash_before: str | None
    same_picture: bool  # not edited, at most saved again: every face is where it was
    perceptual_hash_before: bytes | None
    perceptual_hash: bytes | None
    faces_before: int  # visible or not
    faces_matched: int  # of those, found again
    faces: int


def reattach(session: Session, photo_id: int, stored: StoredAnalysis) -> CorrectionResult:
    """Reattach the corrections of a photo that was just analysed, and those that wait for its content."""
    result = CorrectionResult()
    photo = session.get_one(PhotoRow, photo_id)
    has_lines = session.scalar(select(CorrectionRow.id).where(CorrectionRow.photo_id == photo_id).limit(1)) is not None
    if has_lines and _is_another_picture(stored):
        # Another picture lies at this path now: the corrections wait for the first one.
        session.execute(
            update(CorrectionRow).where(CorrectionRow.photo_id == photo_id).values(photo_id=None, face_id=None)
        )
        session.expire_all()
        result.photo_ids.add(photo_id)
    elif has_lines:
        _update_lines(session, photo, stored)
        corrected = session.scalars(
            select(CorrectionRow.face_id).where(CorrectionRow.photo_id == photo_id, CorrectionRow.face_id.is_not(None))
        )
        result.undescribed |= project_faces(session, {face_id for face_id in corrected if face_id is not None})
        result.photo_ids.add(photo_id)
    result.add(attach_by_content(session, photo_id))
    return result


def _is_another_picture(stored: StoredAnalysis) -> bool:
    """Return whether the file now holds another picture: neither its perceptual hash nor any face is similar."""
    distance = perceptual_hash.distance(stored.perceptual_hash_before, stored.perceptual_hash)
    differs = distance is not None and distance >= perceptual_hash.OTHER_PICTURE
    return differs and stored.faces_before > 0 < stored.faces and not stored.faces_matched


def _update_lines(session: Session, photo: PhotoRow, stored: StoredAnalysis) -> None:
    """Update the lines of a photo to its present file, and to the present boxes of the faces that were found again."""
    here = {"content_hash": photo.content_hash, "path": photo.path, "perceptual_hash": photo.perceptual_hash}
    of_photo = update(CorrectionRow).where(CorrectionRow.photo_id == photo.id)
    session.execute(
        of_photo.where(CorrectionRow.face_id.is_(None), CorrectionRow.kind.not_in(FACE_KINDS)).values(**here)
    )
    corrected = select(CorrectionRow.face_id).where(CorrectionRow.photo_id == photo.id)
    rows = session.execute(
        select(FaceRow, EmbeddingRow)
        .outerjoin(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo.id, FaceRow.id.in_(corrected))
    )
    for face, embedding in rows:
        of_face = of_photo.where(CorrectionRow.face_id == face.id)
        if not (face.detected or face.drawn):
            if stored.same_picture:
                # The detector does not find the face any more, but it is still there.
                before = CorrectionRow.content_hash == stored.content_hash_before
                session.execute(of_face.where(before).values(**here))
            continue
        values: dict[str, Any] = dict(here)
        if not face.drawn:
            values |= {"box": [face.x, face.y, face.width, face.height], "video_time": face.video_time}
        if embedding is not None and not embedding.stale:
            values |= {"embedding": embedding.vector, "embedding_version": embedding.model_version}
        session.execute(of_face.values(**values))
    session.flush()
    session.expire_all()


def waiting_contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return which of some content hashes lines wait for."""
    found = session.scalars(
        select(CorrectionRow.content_hash).where(
            CorrectionRow.photo_id.is_(None), CorrectionRow.content_hash.in_(hashes)
        )
    )
    return {one for one in found if one is not None}


def attach_by_content(session: Session, photo_id: int, everything: bool = False) -> CorrectionResult:
    """Attach to a photo the lines that wait for its content.

    Of several copies each gets the lines of its own path; lines of other paths go to a copy without corrections,
    and with `everything` to any copy.
    """
    photo = session.get_one(PhotoRow, photo_id)
    waiting = session.scalars(
        select(CorrectionRow)
        .where(CorrectionRow.photo_id.is_(None), CorrectionRow.content_hash == photo.content_hash)
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    )
    by_path: dict[str | None, list[CorrectionRow]] = {}
    for line in waiting:
        by_path.setdefault(line.path, []).append(line)
    result = CorrectionResult()
    if not by_path:
        return result
    chosen: list[str | None] = [photo.path] if photo.path in by_path else []
    if not chosen and not photo.reviewed:
        others = select(PhotoRow.path).where(
            PhotoRow.id != photo_id,
            PhotoRow.path.in_([path for path in by_path if path is not None]),
            or_(PhotoRow.content_hash == photo.content_hash, PhotoRow.state == PhotoState.PENDING),
        )
        taken = set(session.scalars(others))
        chosen = [path for path in by_path if path not in taken][:1]
    for path in list(by_path) if everything else chosen:
        result.add(attach(session, by_path[path], photo, same_picture=True))
    return result


def attach(session: Session, lines: Sequence[CorrectionRow], photo: PhotoRow, same_picture: bool) -> CorrectionResult:
    """Attach lines to a photo and to the faces that they fit; lines that fit no face go on waiting.

    With `same_picture` the lines were made for the picture as it is now, perhaps in another file.
    """
    result = CorrectionResult()
    groups = by_face(lines)
    matched = match_lines(session, photo, groups, same_picture)
    for line in lines:
        if line.face_uid is None and line.kind not in FACE_KINDS:
            _point_to(line, photo)
            result.count += 1
    for uid, group in groups.items():
        face = matched.get(uid) or _undetected_face(session, photo, group, same_picture)
        if face is None:
            continue
        for line in group:
            _point_to(line, photo)
            line.face_id = face.id
            if not same_picture and not face.drawn:
                line.box, line.video_time = [face.x, face.y, face.width, face.height], face.video_time
            result.count += 1
        session.flush()
        result.undescribed |= project_faces(session, [face.id])
    session.flush()
    if result.count:
        result.photo_ids.add(photo.id)
        photo.reviewed = True
        session.flush()
    return result


def _point_to(line: CorrectionRow, photo: PhotoRow) -> None:
    line.photo_id = photo.id
    line.content_hash, line.path, line.perceptual_hash = photo.content_hash, photo.path, photo.perceptual_hash


def by_face(lines: Sequence[CorrectionRow]) -> dict[str, list[CorrectionRow]]:
    """Return the lines of faces by the uid of their face."""
    groups: dict[str, list[CorrectionRow]] = {}
    for line in lines:
        if line.face_uid is not None or line.kind in FACE_KINDS:
            groups.setdefault(line.face_uid or line.uid, []).append(line)
    return groups


def match_lines(
    session: Session, photo: PhotoRow, groups: Mapping[str, Sequence[CorrectionRow]], same_picture: bool
) -> dict[str, FaceRow]:
    """Return the face of a photo that fits each group of lines, by the group's uid; each face at most once."""
    rows = known_faces(session, photo.id)
    by_id = {face.id: face for face, _ in rows}
    boxes = {face.id: [known.box] for face, known in rows}
    result: dict[str, FaceRow] = {}
    for face_id, uid, box in session.execute(
        select(CorrectionRow.face_id, CorrectionRow.face_uid, CorrectionRow.box).where(
            CorrectionRow.face_id.in_(list(by_id))
        )
    ):
        # Lines from before a face was moved by hand hold its first box.
        if box is not None:
            boxes[face_id].append(Box(*box))
        if uid in groups:
            result[uid] = by_id[face_id]
    scored = []
    for uid, lines in groups.items():
        if uid in result:
            continue
        for face, known in rows:
            score = _score(lines, known, boxes[face.id], same_picture)
            if score is not None:
                scored.append((score, -face.id, uid))
    for _, number, uid in sorted(scored, reverse=True):
        if uid not in result and by_id[-number] not in result.values():
            result[uid] = by_id[-number]
    return result


def _score(lines: Sequence[CorrectionRow], known: KnownFace, boxes: Sequence[Box], same_picture: bool) -> float | None:
    """Return how well lines fit a face; None: not at all.

    In the same picture this is the highest IoU with its `boxes`; in an edited one the cosine similarity plus 1 if it
    is that of the same person, else the IoU.
    """
    of_lines = [Box(*line.box) for line in lines if line.box is not None]
    of_lines += [Box(*line.value["box"]) for line in lines if line.kind == "box" and line.value.get("box")]
    iou = max((one.iou(box) for one in of_lines for box in boxes), default=0.0)
    if _at_other_time(lines, known):
        # A box says nothing of another frame of a video.
        same_picture, iou = False, 0.0
    if same_picture:
        return iou if iou >= SAME_FACE_IOU else None
    similarity = _highest_similarity(lines, known)
    if similarity is not None and same_person(similarity, known.weights):
        return similarity + 1
    if iou >= SAME_FACE_IOU and (similarity is None or not other_person(similarity, known.weights)):
        return iou
    return None


def _at_other_time(lines: Sequence[CorrectionRow], known: KnownFace) -> bool:
    times = [line.video_time for line in lines if line.video_time is not None]
    when = known.video_time
    return when is not None and bool(times) and all(abs(one - when) > SAME_MOMENT for one in times)


def _highest_similarity(lines: Sequence[CorrectionRow], known: KnownFace) -> float | None:
    """Return the highest cosine similarity of the lines' embeddings with a face's; None if none can be compared."""
    found = (
        cosine_similarity(KnownFace(known.box, unpack(line.embedding), weights_of(line.embedding_version)), known)
        for line in lines
        if line.embedding is not None
    )
    return max((one for one in found if one is not None), default=None)


def _undetected_face(
    session: Session, photo: PhotoRow, lines: Sequence[CorrectionRow], same_picture: bool
) -> FaceRow | None:
    """Add the face of lines that the detector did not find; None unless it was drawn or the picture is the same."""
    drawn = next((line for line in lines if line.kind == "box" and line.value.get("drawn")), None)
    if drawn is not None:
        return draw_face(session, photo.id, Box(*drawn.value["box"]), video_time=drawn.video_time)
    seen = next((line for line in lines if line.box is not None), None)
    if seen is None or seen.box is None or not same_picture:
        return None
    face = draw_face(session, photo.id, Box(*seen.box), video_time=seen.video_time)
    face.drawn = False
    return face
