"""Find, after a scan, the photos of waiting corrections: files that were renamed, edited, or both."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic, sleep
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from rollcall.corrections.log import CorrectionResult
from rollcall.corrections.log_lines import of_a_photo
from rollcall.corrections.projection import project_faces, project_photo
from rollcall.corrections.reattach import attach, attach_by_content, by_face, match_lines
from rollcall.media import perceptual_hash
from rollcall.model_version import weights_of
from rollcall.records import Box, PhotoState
from rollcall.search.calibration import calibration
from rollcall.settings import TagSettings
from rollcall.storage.database import Database
from rollcall.storage.estimates import unpack
from rollcall.storage.tables import CorrectionRow, EmbeddingRow, FaceRow, PhotoRow

#: In a file that was renamed and edited, faces with at least this IoU and a cosine similarity of at least
#: `Calibration.renamed` are the same.
RENAMED_IOU: Final = 0.7
#: For how long one portion of many holds the right to write, and how long others have it in between, in seconds: the
#: longest time after which a waiting SQLite tries again.
HOLD_SECONDS: Final = 0.3
PAUSE_SECONDS: Final = 0.1


def recover(session: Session, settings: TagSettings, since: str = "") -> CorrectionResult:
    """Find photos for the lines that wait, and for the lines of missing photos.

    First by content, then by perceptual hash, then by path, last by faces. Call it when a scan is complete, so that a
    file that was only renamed is not mistaken for another. Candidates for edited and renamed files are the photos that
    were indexed at `since` (UTC, ISO 8601) or later.
    """
    result = CorrectionResult()
    if session.scalar(select(CorrectionRow.id).where(_unattached()).limit(1)) is None:
        return result
    known = _waited_for(session)
    for everything in (False, True):
        for photo_id in known:
            result.add(attach_by_content(session, photo_id, everything))
    result.add(_by_perceptual_hash(session, since))
    result.add(_by_path(session))
    result.add(_by_faces(session, since))
    for photo_id in result.photo_ids:
        project_photo(session, photo_id, settings)
    return result


def recover_in_portions(database: Database, settings: TagSettings) -> CorrectionResult:
    """Do the same in short transactions, as far as contents tell the photos, so that others can write in between."""
    result = CorrectionResult()
    for everything in (False, True):
        with database.read() as session:
            left = deque(_waited_for(session))
        while left:
            with database.write() as session:
                result.add(_attach_some(session, left, everything, settings))
            if left:
                sleep(PAUSE_SECONDS)
    with database.write() as session:
        result.add(recover(session, settings))
    return result


def _attach_some(session: Session, left: deque[int], everything: bool, settings: TagSettings) -> CorrectionResult:
    """Attach lines by content to the first photos in `left`, which go, for `HOLD_SECONDS`; one at least."""
    result = CorrectionResult()
    until = monotonic() + HOLD_SECONDS
    while left:
        photo_id = left.popleft()
        # Another process may have erased it since it was read.
        if session.get(PhotoRow, photo_id) is not None:
            result.add(attach_by_content(session, photo_id, everything))
        if monotonic() >= until:
            break
    for photo_id in result.photo_ids:
        project_photo(session, photo_id, settings)
    return result


def _waited_for(session: Session) -> Sequence[int]:
    """Return the photos of contents that lines wait for: those that are there and have no corrections first."""
    waits = select(CorrectionRow.content_hash).where(
        CorrectionRow.photo_id.is_(None), CorrectionRow.content_hash.is_not(None)
    )
    return session.scalars(
        select(PhotoRow.id)
        .where(PhotoRow.content_hash.in_(waits))
        .order_by(PhotoRow.state != PhotoState.INDEXED, PhotoRow.reviewed, PhotoRow.id)
    ).all()


def _unattached() -> ColumnElement[bool]:
    """Return the condition of lines that wait, and of lines of missing photos."""
    missing = select(PhotoRow.id).where(PhotoRow.state == PhotoState.MISSING)
    return or_(and_(CorrectionRow.photo_id.is_(None), of_a_photo()), CorrectionRow.photo_id.in_(missing))


def _unattached_by_picture(session: Session) -> dict[str, list[CorrectionRow]]:
    """Return the lines without a present photo, by a name of the picture that they were made for."""
    result: dict[str, list[CorrectionRow]] = {}
    for line in session.scalars(
        select(CorrectionRow).where(_unattached()).order_by(CorrectionRow.made_at, CorrectionRow.id)
    ):
        name = f"photo {line.photo_id}" if line.photo_id is not None else f"file {line.content_hash} {line.path}"
        result.setdefault(name, []).append(line)
    return result


def _uncorrected(since: str) -> ColumnElement[bool]:
    """Return the condition of photos without corrections that were indexed at `since` or later."""
    return and_(PhotoRow.state == PhotoState.INDEXED, ~PhotoRow.reviewed, PhotoRow.indexed_at >= since)


def _move(session: Session, lines: Sequence[CorrectionRow], photo_id: int, same_picture: bool) -> CorrectionResult:
    """Attach the lines of a missing photo, or of none, to another photo."""
    result = CorrectionResult()
    left = {line.face_id for line in lines if line.face_id is not None}
    result.photo_ids |= {line.photo_id for line in lines if line.photo_id is not None}
    for line in lines:
        line.photo_id, line.face_id = None, None
    session.flush()
    result.add(attach(session, lines, session.get_one(PhotoRow, photo_id), same_picture))
    result.undescribed |= project_faces(session, left)
    return result


def _by_perceptual_hash(session: Session, since: str) -> CorrectionResult:
    """Find pictures that were saved again under another name by their perceptual hash, the nearest pair first."""
    result = CorrectionResult()
    sources = _unattached_by_picture(session)
    wanted = {
        name: next((line.perceptual_hash for line in lines if line.perceptual_hash), None)
        for name, lines in sources.items()
    }
    if not any(wanted.values()):
        return result
    size = perceptual_hash.BITS // 8
    rows = session.execute(
        select(PhotoRow.id, PhotoRow.perceptual_hash).where(_uncorrected(since), PhotoRow.perceptual_hash.is_not(None))
    ).all()
    free = [(photo_id, found) for photo_id, found in rows if found is not None and len(found) == size]
    if not free:
        return result
    table = np.frombuffer(b"".join(found for _, found in free), np.uint8).reshape(len(free), size)
    pairs = []
    for name, source in wanted.items():
        if source and len(source) == size:
            distances = perceptual_hash.distances(source, table)
            near = np.flatnonzero(distances <= perceptual_hash.SAME_PICTURE)
            pairs += [(float(distances[index]), name, free[index][0]) for index in near]
    taken: set[int] = set()
    for _, name, photo_id in sorted(pairs):
        if name in sources and photo_id not in taken:
            taken.add(photo_id)
            result.add(_move(session, sources.pop(name), photo_id, True))
    return result


def _by_path(session: Session) -> CorrectionResult:
    """Find files at the path of lines: files that were edited in place while this database did not index them."""
    result = CorrectionResult()
    rows = session.execute(
        select(CorrectionRow, PhotoRow.id)
        .join(PhotoRow, PhotoRow.path == CorrectionRow.path)
        .where(CorrectionRow.photo_id.is_(None), PhotoRow.state == PhotoState.INDEXED)
        .order_by(CorrectionRow.made_at, CorrectionRow.id)
    ).all()
    by_photo: dict[int, list[CorrectionRow]] = {}
    for line, photo_id in rows:
        by_photo.setdefault(photo_id, []).append(line)
    for photo_id, lines in by_photo.items():
        photo = session.get_one(PhotoRow, photo_id)
        left = [line for line in lines if line.photo_id is None]
        distances = [perceptual_hash.distance(line.perceptual_hash, photo.perceptual_hash) or 0.0 for line in left]
        groups = by_face(left)
        differs = min(distances, default=0.0) >= perceptual_hash.OTHER_PICTURE
        another = bool(groups) and bool(photo.face_count) and differs
        if another and not match_lines(session, photo, groups, same_picture=False):
            continue
        same = any(perceptual_hash.is_same_picture(line.perceptual_hash, photo.perceptual_hash) for line in left)
        result.add(attach(session, left, photo, same_picture=same))
    return result


def _by_faces(session: Session, since: str) -> CorrectionResult:
    """Find pictures that were edited and renamed by their faces; of several candidates the one with most faces."""
    result = CorrectionResult()
    sources = _unattached_by_picture(session)
    wanted = [
        (name, line)
        for name, lines in sources.items()
        for line in lines
        if line.embedding is not None and line.box is not None
    ]
    if not wanted:
        return result
    candidates = _Candidates(session, since)
    votes: dict[str, list[int]] = {}
    for name, line in wanted:
        photo_id = candidates.photo_of(line)
        if photo_id is not None:
            votes.setdefault(name, []).append(photo_id)
    taken: set[int] = set()
    for name, photo_ids in votes.items():
        photo_id = max(set(photo_ids), key=photo_ids.count)
        if photo_id not in taken:
            taken.add(photo_id)
            result.add(_move(session, sources[name], photo_id, False))
    return result


class _Candidates:
    """The faces of photos without corrections, with one matrix (n, d) of embeddings for each network."""

    def __init__(self, session: Session, since: str) -> None:
        self.rows: Sequence[Any] = session.execute(
            select(FaceRow, EmbeddingRow, PhotoRow.perceptual_hash)
            .join(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
            .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
            .where(_uncorrected(since))
        ).all()
        indices: dict[tuple[str, int], list[int]] = {}
        for index, (_, embedding, _) in enumerate(self.rows):
            indices.setdefault((weights_of(embedding.model_version), embedding.dimension), []).append(index)
        self.indices: Mapping[tuple[str, int], list[int]] = indices
        self.embeddings: Mapping[tuple[str, int], NDArray[np.float32]] = {
            key: np.stack([unpack(self.rows[index][1].vector) for index in some]) for key, some in indices.items()
        }

    def photo_of(self, line: CorrectionRow) -> int | None:
        """Return the photo with the most similar face at the box of a line; None if no face is similar enough."""
        embedding = unpack(line.embedding or b"")
        key = (weights_of(line.embedding_version), len(embedding))
        if key not in self.embeddings:
            return None
        similarities = self.embeddings[key] @ embedding
        near = np.flatnonzero(similarities >= calibration(key[0]).renamed)
        for index in near[np.argsort(-similarities[near])].tolist():
            face, _, found = self.rows[self.indices[key][index]]
            if Box(*(line.box or [])).iou(Box(face.x, face.y, face.width, face.height)) < RENAMED_IOU:
                continue
            distance = perceptual_hash.distance(line.perceptual_hash, found)
            if distance is None or distance < perceptual_hash.OTHER_PICTURE:
                return int(face.photo_id)
        return None
