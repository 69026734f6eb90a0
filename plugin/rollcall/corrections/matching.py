"""Match new faces with the faces known before, by boxes and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.records import SAME_FACE_IOU, SAME_MOMENT, Box, Sighting
from rollcall.search.calibration import calibration


class KnownFace(NamedTuple):
    """The box and the embedding that a face is matched by."""

    box: Box
    embedding: NDArray[np.float32] | None = None  # (128,), unit length
    weights: str = ""  # of the network that made the embedding, see `ModelVersion.weights`
    video_time: float | None = None  # of the box, in seconds; None: of a photo
    track: tuple[Sighting, ...] = ()  # where else the face of a video was

    def at(self, video_time: float | None) -> Box | None:
        """Return the box at a time of the video; None if the face was not seen then. Of a photo, the box."""
        if video_time is None or self.video_time is None:
            return self.box
        seen = self.track or (Sighting(self.video_time, self.box),)
        nearest = min(seen, key=lambda one: abs(one.seconds - video_time))
        return nearest.box if abs(nearest.seconds - video_time) <= SAME_MOMENT else None


def cosine_similarity(a: KnownFace, b: KnownFace) -> float | None:
    """Return the cosine similarity of two faces' embeddings, -1..1; None if one is missing or of other weights."""
    if a.embedding is None or b.embedding is None or a.weights != b.weights or a.embedding.shape != b.embedding.shape:
        return None
    return float(a.embedding @ b.embedding)


def same_person(similarity: float, weights: str) -> bool:
    """Return whether faces of a cosine similarity are of one person, wherever they are in versions of one picture."""
    return similarity >= calibration(weights).same_person


def other_person(similarity: float, weights: str) -> bool:
    """Return whether faces of a cosine similarity are of two people, wherever they are in versions of one picture."""
    return similarity < calibration(weights).other_person


def match(old: Sequence[KnownFace], new: Sequence[KnownFace], same_picture: bool) -> dict[int, int]:
    """Return, for each old face that is found again, its index and the index of the new face.

    In the same picture faces are matched by IoU, the highest first. In an edited one (cropped, turned, mirrored)
    they are matched by cosine similarity first, then by IoU unless the similarity is below
    `Calibration.other_person`.
    """
    pairs = [(i, j) for i in range(len(old)) for j in range(len(new))]
    ious = {(i, j): _iou(old[i], new[j]) for i, j in pairs}
    near = {pair for pair in pairs if ious[pair] >= SAME_FACE_IOU}
    result: dict[int, int] = {}
    if not same_picture:
        similarities = {(i, j): cosine_similarity(old[i], new[j]) for i, j in pairs}
        comparable = {pair: found for pair, found in similarities.items() if found is not None}
        _assign([(found, i, j) for (i, j), found in comparable.items() if same_person(found, new[j].weights)], result)
        near -= {(i, j) for (i, j), found in comparable.items() if other_person(found, new[j].weights)}
    _assign([(ious[pair], *pair) for pair in near], result)
    return result


def _iou(old: KnownFace, new: KnownFace) -> float:
    box = new.at(old.video_time)
    return 0.0 if box is None else old.box.iou(box)


def _assign(pairs: list[tuple[float, int, int]], result: dict[int, int]) -> None:
    """Add pairs of (score, old, new) to a matching, the highest-scoring first; each face is matched once."""
    taken = set(result.values())
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in result and j not in taken:
            result[i] = j
            taken.add(j)
