"""Who looks like whom: exact search over all stored embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from rollcall import matching, resources
from rollcall.errors import RollcallError
from rollcall.store.database import Database
from rollcall.store.tables import Embedding

#: Fitted on the pairs of LFW (validation) for the committed weights, in whose metadata they stand.
#: From this cosine on two embeddings are taken to be of one person as likely as not, and how sharply that turns.
_SIMILARITY: Final = resources.weights_metadata()["similarity"]
HALF_WAY: Final[float] = _SIMILARITY["midpoint"]
STEEPNESS: Final[float] = _SIMILARITY["steepness"]
#: Photos less likely than this to show someone are taken to show someone else.
LEAST: Final = 0.01
#: So many of the likeliest faces are sorted first: for the first page no others are needed.
_FIRST: Final = 4096


def probability(cosine: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how likely embeddings of some cosines are of one person."""
    return np.asarray(1.0 / (1.0 + np.exp(-STEEPNESS * (cosine.astype(np.float64) - HALF_WAY))))


class Likes:
    """The photos that may show the person of a face.

    Raises
    ------
    RollcallError
        If the face is not known, or has no embedding.
    """

    def __init__(self, database: Database, session: Session, face_id: int) -> None:
        found = session.get(Embedding, face_id)
        if found is None:
            raise RollcallError(
                f"face {face_id} is not known or has no embedding; `rollcall search --json` shows the faces' numbers"
            )
        wanted = np.frombuffer(found.vector, "<f2")
        least = HALF_WAY - np.log(1 / LEAST - 1) / STEEPNESS
        cosines, photos = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
        for part in database.vectors.parts(session, found.dimension):
            # Whatever else was switched off meanwhile: the network that made both embeddings is the same.
            network = matching.network(found.model_version)
            comparable = [number for number, name in enumerate(part.names) if matching.network(name) == network]
            if not comparable:
                continue
            some = part.cosines(wanted)
            rows = np.flatnonzero(some > least)
            good = np.isin(part.versions[rows], comparable) & (part.photo_ids[rows] >= 0)
            rows = rows[good]
            cosines.append(some[rows])
            photos.append(np.asarray(part.photo_ids[rows]))
        self._cosines, self._photos = np.concatenate(cosines), np.concatenate(photos)

    def blocks(self) -> Iterator[list[tuple[int, float]]]:
        """Yield photos and how likely each shows the person, the likeliest first, in two parts.

        The second part may tell photos of the first again, never likelier.
        """
        cosines, photos = self._cosines, self._photos
        if len(cosines) > 2 * _FIRST:
            edge = np.partition(cosines, len(cosines) - _FIRST)[len(cosines) - _FIRST]
            first = cosines >= edge
            yield _ranked(cosines[first], photos[first])
            cosines, photos = cosines[~first], photos[~first]
        yield _ranked(cosines, photos)

    def all(self) -> dict[int, float]:
        """Return every photo with how likely it shows the person."""
        return {photo: chance for part in reversed(list(self.blocks())) for photo, chance in part}


def faces_like(database: Database, session: Session, face_id: int, limit: int) -> list[tuple[int, float]]:
    """Return the faces nearest to one and how likely each shows the same person, the likeliest first, it left out.

    Raises
    ------
    RollcallError
        If the face is not known, or has no embedding.
    """
    found = session.get(Embedding, face_id)
    if found is None:
        raise RollcallError(f"face {face_id} is not known or has no embedding; there is nothing to compare")
    wanted = np.frombuffer(found.vector, "<f2")
    network = matching.network(found.model_version)
    near: list[tuple[float, int]] = []
    for part in database.vectors.parts(session, found.dimension):
        comparable = [number for number, name in enumerate(part.names) if matching.network(name) == network]
        cosines = np.where(np.isin(part.versions, comparable) & (part.photo_ids >= 0), part.cosines(wanted), -2)
        rows = np.argsort(-cosines, kind="stable")[: limit + 1]
        near += [(float(cosines[row]), int(part.face_ids[row])) for row in rows if cosines[row] > -2]
    near = sorted((one for one in near if one[1] != face_id), reverse=True)[:limit]
    chances = probability(np.array([cosine for cosine, _ in near]))
    return [(face, float(chance)) for (_, face), chance in zip(near, chances, strict=True)]


def _ranked(cosines: NDArray[np.float32], photos: NDArray[np.int64]) -> list[tuple[int, float]]:
    order = np.lexsort((photos, -cosines))
    _, first = np.unique(photos[order], return_index=True)
    order = order[np.sort(first)]
    return list(zip(photos[order].tolist(), probability(cosines[order]).tolist(), strict=True))
