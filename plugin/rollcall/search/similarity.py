"""Similar faces: exact search by cosine similarity over all stored embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from rollcall.errors import ConflictError, NotFoundError
from rollcall.model_version import weights_of
from rollcall.search.calibration import calibration
from rollcall.search.identifiers import storable
from rollcall.search.vector_file import Embeddings
from rollcall.search.vectors import vectors_of
from rollcall.storage.database import Database
from rollcall.storage.tables import EmbeddingRow, FaceRow

#: Photos with a lower probability of showing a person are taken to show someone else.
LEAST: Final = 0.01
#: How many of the most similar faces are sorted first: the first page needs no others.
_FIRST: Final = 4096


def embedding_of(session: Session, face_id: int) -> EmbeddingRow:
    """Return the embedding of a face.

    Raises
    ------
    NotFoundError
        If there is no such face.
    ConflictError
        If it has no embedding (yet).
    """
    if not storable(face_id):
        raise NotFoundError("face", face_id)
    found = session.get(EmbeddingRow, face_id)
    if found is not None and not found.stale:
        return found
    if session.get(FaceRow, face_id) is None:
        raise NotFoundError("face", face_id)
    raise ConflictError(
        f"face {face_id} has no embedding, so there is nothing to compare; set attributes.embeddings to on and index"
        " its photo again"
    )


def _comparable(part: Embeddings, embedding: EmbeddingRow) -> list[int]:
    """Return which versions of a part were made by the weights that made an embedding."""
    weights = weights_of(embedding.model_version)
    return [number for number, version in enumerate(part.names) if weights_of(version) == weights]


class SimilarFaces:
    """The photos that may show the person of a face.

    Raises
    ------
    NotFoundError, ConflictError
        If there is no such face, or it has no embedding.
    """

    def __init__(self, database: Database, session: Session, face_id: int) -> None:
        found = embedding_of(session, face_id)
        wanted = np.frombuffer(found.vector, "<f2")
        self._calibration = calibration(weights_of(found.model_version))
        least = self._calibration.cosine(LEAST)
        cosines, photos = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
        for part in vectors_of(database).parts(session, found.dimension):
            versions = _comparable(part, found)
            if not versions:
                continue
            some = part.cosines(wanted)
            rows = np.flatnonzero(some > least)
            rows = rows[np.isin(part.versions[rows], versions) & (part.photo_ids[rows] >= 0)]
            cosines.append(some[rows])
            photos.append(np.asarray(part.photo_ids[rows]))
        self._cosines, self._photos = np.concatenate(cosines), np.concatenate(photos)

    def blocks(self) -> Iterator[list[tuple[int, float]]]:
        """Yield photos with their probabilities of showing the person, the highest first, in two blocks.

        The second block may hold photos of the first again, never with a higher probability.
        """
        cosines, photos = self._cosines, self._photos
        if len(cosines) > 2 * _FIRST:
            edge = np.partition(cosines, len(cosines) - _FIRST)[len(cosines) - _FIRST]
            first = cosines >= edge
            yield self._ranked(cosines[first], photos[first])
            cosines, photos = cosines[~first], photos[~first]
        yield self._ranked(cosines, photos)

    def _ranked(self, cosines: NDArray[np.float32], photos: NDArray[np.int64]) -> list[tuple[int, float]]:
        order = np.lexsort((photos, -cosines))
        _, first = np.unique(photos[order], return_index=True)
        order = order[np.sort(first)]
        probabilities = self._calibration.probability(cosines[order])
        return list(zip(photos[order].tolist(), probabilities.tolist(), strict=True))

    def all(self) -> dict[int, float]:
        """Return every photo with its probability of showing the person."""
        blocks = reversed(list(self.blocks()))
        return {photo: probability for block in blocks for photo, probability in block}


def most_similar(database: Database, session: Session, face_id: int, limit: int) -> list[tuple[int, float]]:
    """Return the faces most similar to one with their probabilities of the same person, the highest first.

    Raises
    ------
    NotFoundError, ConflictError
        If there is no such face, or it has no embedding.
    """
    found = embedding_of(session, face_id)
    wanted = np.frombuffer(found.vector, "<f2")
    near: list[tuple[float, int]] = []
    for part in vectors_of(database).parts(session, found.dimension):
        comparable = np.isin(part.versions, _comparable(part, found)) & (part.photo_ids >= 0)
        cosines = np.where(comparable, part.cosines(wanted), -2)
        rows = np.argsort(-cosines, kind="stable")[: limit + 1]
        near += [(float(cosines[row]), int(part.face_ids[row])) for row in rows if cosines[row] > -2]
    near = sorted((one for one in near if one[1] != face_id), reverse=True)[:limit]
    probabilities = calibration(weights_of(found.model_version)).probability(np.array([cosine for cosine, _ in near]))
    return [(face, float(probability)) for (_, face), probability in zip(near, probabilities, strict=True)]
