"""Finding the photos and faces again that corrections speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from rollcall import matching
from rollcall.records import Box
from rollcall.settings import TagSettings
from rollcall.store import results
from rollcall.store.corrections import Done, derive, draw_face, settle
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Embedding, FaceRow, Photo

#: In a file that was both renamed and written anew, faces this alike at the same place are the same.
ALIKE_ELSEWHERE: Final = 0.85
OVERLAP_ELSEWHERE: Final = 0.7


def attach(session: Session, photo_id: int) -> Done:
    """Give a photo that was just stored the lines that wait for it: those of its content, and of its lost faces."""
    content_hash = session.scalar(select(Photo.content_hash).where(Photo.id == photo_id))
    waiting = session.scalars(
        select(Line)
        .where(
            or_(
                and_(Line.photo_id.is_(None), Line.content_hash == content_hash),
                and_(Line.photo_id == photo_id, Line.face_id.is_(None), Line.kind != "tag"),
            )
        )
        .order_by(Line.made_at, Line.id)
    )
    return _attach(session, list(waiting), photo_id, same_picture=True)


def _attach(session: Session, lines: Sequence[Line], photo_id: int, same_picture: bool) -> Done:
    """Give lines to a photo, and to those of its faces that they speak of; what fits no face waits on."""
    done = Done()
    if not lines:
        return done
    rows = session.execute(
        select(FaceRow, Embedding.vector)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id)
        .order_by(FaceRow.id)
    ).all()
    faces = {face.id: face for face, _ in rows}
    vectors = {face.id: results.unpack(vector) for face, vector in rows if vector is not None}
    # All the places that a face had: what was said before it was moved by hand speaks of the first one.
    places = {face.id: [Box(face.x, face.y, face.width, face.height)] for face, _ in rows}
    for line in lines:
        if line.kind in ("undo", "redo"):
            target = session.scalar(select(Line).where(Line.uid == line.value["of"]))
            if target is None or target.photo_id != photo_id:
                continue
            if (line.photo_id, line.face_id) != (photo_id, target.face_id):
                line.photo_id, line.face_id = photo_id, target.face_id
                done.count += 1
            continue
        if line.kind != "tag":
            box = None if line.box is None else Box(*line.box)
            vector = None if line.embedding is None else results.unpack(line.embedding)
            face_id = _which(box, vector, places, vectors, same_picture)
            if face_id is None and line.kind == "box" and line.value.get("drawn"):
                face = draw_face(session, photo_id, Box(*line.value["box"]))
                face_id, faces[face.id], places[face.id] = face.id, face, []
                done.undescribed.add(face.id)
            if face_id is None:
                if same_picture:
                    line.photo_id = photo_id  # its face is lost, the photo is not
                continue
            if line.kind == "box" and line.value:
                places[face_id].append(Box(*line.value["box"]))
            line.face_id = face_id
        line.photo_id = photo_id
        done.count += 1
    session.flush()
    if done.count:
        done.photo_ids.add(photo_id)
    derive(session, {line.face_id for line in lines if line.face_id is not None}, done)
    return done


def _which(
    box: Box | None,
    vector: NDArray[np.float32] | None,
    places: Mapping[int, Sequence[Box]],
    vectors: Mapping[int, NDArray[np.float32]],
    same_picture: bool,
) -> int | None:
    """Return the face that is meant: by its place, in another picture only together with its looks."""
    best: tuple[float, int] | None = None
    for face_id, boxes in places.items():
        other = vectors.get(face_id)
        comparable = vector is not None and other is not None and vector.shape == other.shape
        alike = float(vector @ other) if comparable and vector is not None and other is not None else None
        overlap = max((matching.overlap(box, one) for one in boxes), default=0.0) if box is not None else 0.0
        if same_picture:
            fits = overlap >= matching.SAME_PLACE
        else:
            fits = (alike is not None and alike >= matching.SAME_PERSON) or (
                alike is None and overlap >= OVERLAP_ELSEWHERE
            )
        score = overlap + (alike or 0.0)
        if fits and (best is None or score > best[0]):
            best = (score, face_id)
    return None if best is None else best[1]


def find_lost(session: Session, settings: TagSettings, since: str = "") -> Done:
    """Look for the photos of lines that wait, and of photos that are gone: by path, then by their faces.

    To be called when a scan is over, so that a file that was only renamed is not mistaken for another. Faces
    are looked for in photos that were indexed at `since` or later.
    """
    done = Done()
    # By path: the file was edited or written anew by a program that Rollcall did not see at work.
    rows = session.execute(
        select(Line, Photo.id)
        .join(Photo, Photo.path == Line.path)
        .where(Line.photo_id.is_(None), Photo.state == "indexed")
        .order_by(Line.made_at, Line.id)
    ).all()
    by_photo: dict[int, list[Line]] = {}
    for line, photo_id in rows:
        by_photo.setdefault(photo_id, []).append(line)
    for photo_id, lines in by_photo.items():
        _add(done, _attach(session, [line for line in lines if line.photo_id is None], photo_id, same_picture=False))
    _add(done, _find_faces(session, since))
    for photo_id in done.photo_ids:
        settle(session, photo_id, settings)
    return done


def _find_faces(session: Session, since: str) -> Done:
    """Look for the faces of lines whose photo is gone, or not known, among the faces of new photos."""
    done = Done()
    gone = select(Photo.id).where(Photo.state == "missing", Photo.reviewed)
    lines = list(
        session.scalars(
            select(Line).where(or_(Line.photo_id.is_(None), Line.photo_id.in_(gone))).order_by(Line.made_at, Line.id)
        )
    )
    wanted = [line for line in lines if line.embedding is not None and line.box is not None]
    if not wanted:
        return done
    found = session.execute(
        select(FaceRow, Embedding.vector)
        .join(Embedding, Embedding.face_id == FaceRow.id)
        .join(Photo, Photo.id == FaceRow.photo_id)
        .where(Photo.state == "indexed", ~Photo.reviewed, Photo.indexed_at >= since)
    ).all()
    if not found:
        return done
    vectors = np.stack([results.unpack(vector) for _, vector in found])
    votes: dict[str, list[int]] = {}
    for line in wanted:
        vector = results.unpack(line.embedding or b"")
        if vector.shape != vectors.shape[1:]:
            continue
        alike = vectors @ vector
        for index in np.flatnonzero(alike >= ALIKE_ELSEWHERE)[np.argsort(-alike[alike >= ALIKE_ELSEWHERE])]:
            face = found[int(index)][0]
            place = Box(face.x, face.y, face.width, face.height)
            if matching.overlap(Box(*(line.box or [])), place) >= OVERLAP_ELSEWHERE:
                votes.setdefault(_source(line), []).append(face.photo_id)
                break
    taken: set[int] = set()
    for source, photo_ids in votes.items():
        photo_id = max(set(photo_ids), key=photo_ids.count)
        if photo_id in taken:
            continue
        taken.add(photo_id)
        moved = [line for line in lines if _source(line) == source]
        done.photo_ids |= {line.photo_id for line in moved if line.photo_id is not None}
        faces = {line.face_id for line in moved if line.face_id is not None}
        for line in moved:
            line.photo_id, line.face_id = None, None
        session.flush()
        _add(done, _attach(session, moved, photo_id, same_picture=True))
        derive(session, faces, done)
    return done


def _source(line: Line) -> str:
    """Return a name for the picture that a line was said of."""
    return f"photo {line.photo_id}" if line.photo_id is not None else f"file {line.content_hash} {line.path}"


def _add(done: Done, more: Done) -> None:
    done.count += more.count
    done.photo_ids |= more.photo_ids
    done.undescribed |= more.undescribed
