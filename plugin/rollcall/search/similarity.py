"""Similar faces by cosine similarity: over all stored embeddings, or by an index where the database has one.

An index finds the leading ones, nearly all of them; those beyond are found by comparing with every embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from rollcall.errors import ConflictError, NotFoundError
from rollcall.model_version import weights_of
from rollcall.search import nuisance
from rollcall.search.calibration import calibration
from rollcall.search.identifiers import storable
from rollcall.search.vector_file import Embeddings
from rollcall.search.vectors import vectors_of
from rollcall.sentences import Sentence, joined
from rollcall.storage import pgvector
from rollcall.storage.database import Database
from rollcall.storage.tables import EmbeddingRow, FaceRow

#: Photos with a lower probability of showing a person are taken to show someone else.
LEAST: Final = 0.01
#: How many of the most similar faces are sorted first: the first page needs no others.
_FIRST: Final = 4096
#: How many an index is asked for first: a page needs no others, and so many more take several times as long.
_FIRST_OF_INDEX: Final = 300


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
        joined(
            (
                Sentence("face %(face_id)s cannot be compared with others", face_id=face_id),
                "set attributes.embeddings to on and index its photo again",
            ),
            "; ",
        )
    )


def _comparable(part: Embeddings, embedding: EmbeddingRow) -> list[int]:
    """Return which versions of a part were made by the weights that made an embedding."""
    weights = weights_of(embedding.model_version)
    return [number for number, version in enumerate(part.names) if weights_of(version) == weights]


class _Similar(NamedTuple):
    """Faces that are similar to one, in no order."""

    cosines: NDArray[np.float32]  # (n,)
    photos: NDArray[np.int64]  # (n,)


class SimilarFaces:
    """The photos that may show the person of a face.

    Raises
    ------
    NotFoundError, ConflictError
        If there is no such face, or it has no embedding.
    """

    def __init__(self, database: Database, session: Session, face_id: int) -> None:
        self._database, self._session, self._of = database, session, embedding_of(session, face_id)
        self._calibration = calibration(weights_of(self._of.model_version))
        self._least = self._calibration.cosine(LEAST)

    def _by_index(self, most: int) -> tuple[_Similar, bool]:
        """Return the leading ones of `most` nearest faces, and whether they are all."""
        found = pgvector.nearest(self._session, nuisance.query(self._of.vector, self._of.model_version), most)
        weights = weights_of(self._of.model_version)
        some = [one for one in found.faces if one.cosine > self._least and weights_of(one.model_version) == weights]
        similar = _Similar(
            np.array([one.cosine for one in some], np.float32), np.array([one.photo_id for one in some], np.int64)
        )
        return similar, found.down_to <= self._least

    def _by_comparing(self) -> _Similar:
        cosines, photos = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
        wanted = nuisance.query(self._of.vector, self._of.model_version)
        for part in vectors_of(self._database).parts(self._session, self._of.dimension):
            versions = _comparable(part, self._of)
            if not versions:
                continue
            some = part.cosines(wanted)
            rows = np.flatnonzero(some > self._least)
            rows = rows[np.isin(part.versions[rows], versions) & (part.photo_ids[rows] >= 0)]
            cosines.append(some[rows])
            photos.append(np.asarray(part.photo_ids[rows]))
        return _Similar(np.concatenate(cosines), np.concatenate(photos))

    def blocks(self) -> Iterator[list[tuple[int, float]]]:
        """Yield photos with their probabilities of showing the person, the highest first, in a few blocks.

        Later blocks may hold photos of earlier ones again, never with a higher probability. An index may miss a photo,
        which then comes with a later block.
        """
        indexed = pgvector.has_index(self._session, self._of.dimension)
        for most in (_FIRST_OF_INDEX, pgvector.MOST) if indexed else ():
            leading, whole = self._by_index(most)
            yield self._ranked(*leading)
            if whole:
                return
        cosines, photos = self._by_comparing()
        if not indexed and len(cosines) > 2 * _FIRST:
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
    near = _nearest_by_index(session, found, limit) or _nearest_by_comparing(database, session, found, limit)
    near = sorted((one for one in near if one[1] != face_id), reverse=True)[:limit]
    probabilities = calibration(weights_of(found.model_version)).probability(np.array([cosine for cosine, _ in near]))
    return [(face, float(probability)) for (_, face), probability in zip(near, probabilities, strict=True)]


def _nearest_by_index(session: Session, found: EmbeddingRow, limit: int) -> list[tuple[float, int]] | None:
    """Return cosines and faces; None where the database has no index, or that has too few."""
    if limit >= pgvector.MOST or not pgvector.has_index(session, found.dimension):
        return None
    nearest = pgvector.nearest(session, nuisance.query(found.vector, found.model_version), max(2 * limit, 100))
    weights = weights_of(found.model_version)
    near = [(one.cosine, one.face_id) for one in nearest.faces if weights_of(one.model_version) == weights]
    return near if len(near) > limit or nearest.down_to < -1 else None


def _nearest_by_comparing(
    database: Database, session: Session, found: EmbeddingRow, limit: int
) -> list[tuple[float, int]]:
    wanted = nuisance.query(found.vector, found.model_version)
    near: list[tuple[float, int]] = []
    for part in vectors_of(database).parts(session, found.dimension):
        comparable = np.isin(part.versions, _comparable(part, found)) & (part.photo_ids >= 0)
        cosines = np.where(comparable, part.cosines(wanted), -2)
        rows = np.arange(len(cosines))
        if len(rows) > limit + 1:
            # To sort all of them takes longer than to compare them.
            rows = np.flatnonzero(cosines >= np.partition(cosines, -limit - 1)[-limit - 1])
        rows = rows[np.argsort(-cosines[rows], kind="stable")][: limit + 1]
        near += [(float(cosines[row]), int(part.face_ids[row])) for row in rows if cosines[row] > -2]
    return near
