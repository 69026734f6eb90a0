"""Match new faces with the faces known before: pure functions of boxes and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.records import SAME_FACE_IOU, Box

#: In an edited picture, faces with at least this cosine similarity are the same person's, wherever their boxes are.
SAME_PERSON: Final = 0.795
#: Faces below this cosine similarity are of two people, even at the same place.
OTHER_PERSON: Final = 0.25


class KnownFace(NamedTuple):
    """The box and the embedding that a face is matched by."""

    box: Box
    embedding: NDArray[np.float32] | None = None  # (128,), unit length
    weights: str = ""  # of the network that made the embedding, see `ModelVersion.weights`


def cosine_similarity(a: KnownFace, b: KnownFace) -> float | None:
    """Return the cosine similarity of two faces' embeddings, -1..1; None if one is missing or of other weights."""
    if a.embedding is None or b.embedding is None or a.weights != b.weights or a.embedding.shape != b.embedding.shape:
        return None
    return float(a.embedding @ b.embedding)


def match(old: Sequence[KnownFace], new: Sequence[KnownFace], same_picture: bool) -> dict[int, int]:
    """Return, for each old face that is found again, its index and the index of the new face.

    In the same picture faces are matched by IoU, the highest first. In an edited one (cropped, turned, mirrored)
    they are matched by cosine similarity first, then by IoU unless the similarity is below `OTHER_PERSON`.
    """
    pairs = [(i, j) for i in range(len(old)) for j in range(len(new))]
    ious = {(i, j): old[i].box.iou(new[j].box) for i, j in pairs}
    near = {pair for pair in pairs if ious[pair] >= SAME_FACE_IOU}
    result: dict[int, int] = {}
    if not same_picture:
        similarities = {(i, j): cosine_similarity(old[i], new[j]) for i, j in pairs}
        same = [(found, i, j) for (i, j), found in similarities.items() if found is not None and found >= SAME_PERSON]
        _assign(same, result)
        near -= {pair for pair, found in similarities.items() if found is not None and found < OTHER_PERSON}
    _assign([(ious[pair], *pair) for pair in near], result)
    return result


def _assign(pairs: list[tuple[float, int, int]], result: dict[int, int]) -> None:
    """Add pairs of (score, old, new) to a matching, the highest-scoring first; each face is matched once."""
    taken = set(result.values())
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in result and j not in taken:
            result[i] = j
            taken.add(j)
