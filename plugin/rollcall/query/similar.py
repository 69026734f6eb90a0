"""Who looks like whom: exact search over the stored embeddings."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.errors import RollcallError
from rollcall.store.tables import Embedding, FaceRow, Verdict

#: From this cosine on two embeddings are taken to be of one person as likely as not, and how sharply that turns.
HALF_WAY = 0.45
STEEPNESS = 14.0
_ROWS = 20_000


def probability(cosine: np.ndarray) -> np.ndarray:
    """Return how likely embeddings of some cosines are of one person."""
    return np.asarray(1.0 / (1.0 + np.exp(-STEEPNESS * (cosine - HALF_WAY))))


def photos_like(session: Session, face_id: int) -> dict[int, float]:
    """Return the photos that may show the person of a face, and how likely each does.

    Raises
    ------
    RollcallError
        If the face is not known, or has no embedding.
    """
    found = session.get(Embedding, face_id)
    if found is None:
        raise RollcallError(
            f"face {face_id} is not known or has no embedding; `rollcall search --json` shows the faces' numbers"
        )
    wanted = np.frombuffer(found.vector, "<f2").astype(np.float32)
    rows = session.execute(
        select(FaceRow.photo_id, Embedding.vector)
        .join(FaceRow, FaceRow.id == Embedding.face_id)
        .outerjoin(Verdict, Verdict.face_id == FaceRow.id)
        .where(
            Embedding.dimension == found.dimension,
            Embedding.model_version == found.model_version,
            FaceRow.present,
        )
        .where((Verdict.dismissed.is_(None)) | (~Verdict.dismissed)),
        execution_options={"yield_per": _ROWS},
    )
    result: dict[int, float] = {}
    for part in rows.partitions():
        vectors = np.frombuffer(b"".join(row[1] for row in part), "<f2").reshape(len(part), -1).astype(np.float32)
        for (photo_id, _), chance in zip(part, probability(vectors @ wanted).tolist(), strict=True):
            if chance > result.get(photo_id, 0.01):
                result[photo_id] = chance
    return result
