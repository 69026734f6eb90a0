"""Portraits: pictures that show one person, of whom exactly one face is returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from rollcall.records import Picture

if TYPE_CHECKING:
    from rollcall_model.types import Attributes, Detections

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


def mean_of(straight: Attributes, mirrored: Attributes) -> Attributes:
    """Return the mean of the outputs for n crops seen twice: of the ages' probabilities and the genders' logits.

    Embeddings are the sum of both, of unit length.
    """
    odds = [np.log(one.p_female) - np.log1p(-one.p_female) for one in map(_inside, (straight, mirrored))]
    p_female = 1 / (1 + np.exp(-(odds[0] + odds[1]) / 2))
    embedding = straight.embedding + mirrored.embedding
    embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), _TINY)
    return straight._replace(
        age=(straight.age + mirrored.age) / 2, p_female=p_female.astype(np.float32), embedding=embedding
    )


def _inside(seen: Attributes) -> Attributes:
    """Return the same with probabilities whose logits are finite."""
    return seen._replace(p_female=np.clip(seen.p_female.astype(np.float64), _TINY, 1 - _TINY))
