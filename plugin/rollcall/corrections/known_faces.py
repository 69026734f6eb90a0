"""The stored faces of a photo, with the boxes and embeddings that they are matched by."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.corrections.matching import KnownFace
from rollcall.model_version import weights_of
from rollcall.records import Box
from rollcall.storage.estimates import unpack
from rollcall.storage.tables import EmbeddingRow, FaceRow


def known_faces(session: Session, photo_id: int) -> list[tuple[FaceRow, KnownFace]]:
    """Return all faces of a photo, hidden ones too, in the order of their numbers."""
    rows = session.execute(
        select(FaceRow, EmbeddingRow.vector, EmbeddingRow.model_version, EmbeddingRow.stale)
        .outerjoin(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo_id)
        .order_by(FaceRow.id)
    )
    return [
        (
            face,
            KnownFace(
                Box(face.x, face.y, face.width, face.height),
                None if vector is None or stale else unpack(vector),
                weights_of(version),
                face.video_time,
            ),
        )
        for face, vector, version, stale in rows
    ]
