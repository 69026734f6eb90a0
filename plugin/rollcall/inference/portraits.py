"""Portraits: pictures that show one person, of whom exactly one face is returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.records import Box, Picture

if TYPE_CHECKING:
    from rollcall_model.types import Attributes, Detections

#: Two detectors' boxes with at least this IoU are of one face; their margins around it differ.
SAME_FACE: Final = 0.3
_TINY: Final = 1e-6


def one_each(pictures: Sequence[Picture], found: Sequence[Detections]) -> list[Detections]:
    """Return exactly one face of each picture, in its pixels: the one nearest the centre.

    Where none was found, a face is assumed to fill the centre; its score is 0. A picture without pixels has none.
    """
    from rollcall_model.attributes import align
    from rollcall_model.types import nearest_centre, no_detections

    chosen = []
    for picture, faces in zip(pictures, found, strict=True):
        height, width = picture.pixels.shape[:2]
        if len(faces.scores):
            best = nearest_centre(faces, height, width)
            chosen.append(type(faces)(*(column[best : best + 1] for column in faces)))
        elif min(height, width) > 0:
            assumed = no_detections()._replace(
                boxes=align.central_box(height, width)[None],
                scores=np.zeros(1, np.float32),
                landmarks=align.central_landmarks(height, width)[None],
            )
            chosen.append(assumed)
        else:
            chosen.append(faces)
    return chosen


def landmarks_of(face: Detections, others: Detections, picture: Picture) -> NDArray[np.float32]:
    """Return the landmarks of the one face of `one_each` as another detector found them in the picture, (n, 5, 2).

    Of an assumed face (with the score 0) they are those nearest the centre. Where no other face is that one, they are
    its own. n is 0 for a picture without pixels, else 1.
    """
    from rollcall_model.types import nearest_centre

    if not len(face.scores) or not len(others.scores):
        return face.landmarks
    if face.scores[0] == 0:
        best = nearest_centre(others, *picture.pixels.shape[:2])
        return others.landmarks[best : best + 1]
    boxes = [Box(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in [*face.boxes.tolist(), *others.boxes.tolist()]]
    ious = [boxes[0].iou(other) for other in boxes[1:]]
    best = int(np.argmax(ious))
    return others.landmarks[best : best + 1] if ious[best] >= SAME_FACE else face.landmarks


def mean_of(straight: Attributes, mirrored: Attributes) -> Attributes:
    """Return the mean of the probabilities of the ages, and of the logits of the genders, of n crops seen twice.

    The embeddings are those of `mirrored`.
    """
    odds = [np.log(one.p_female) - np.log1p(-one.p_female) for one in map(_inside, (straight, mirrored))]
    p_female = 1 / (1 + np.exp(-(odds[0] + odds[1]) / 2))
    return mirrored._replace(age=(straight.age + mirrored.age) / 2, p_female=p_female.astype(np.float32))


def _inside(seen: Attributes) -> Attributes:
    """Return the same with probabilities whose logits are finite."""
    return seen._replace(p_female=np.clip(seen.p_female.astype(np.float64), _TINY, 1 - _TINY))
