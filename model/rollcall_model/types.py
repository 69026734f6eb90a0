"""The values that the networks return."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32

#: Dimensions of an identity embedding.
EMBEDDING: Final = 128


class Detections(NamedTuple):
    """The faces of one image, the highest-scoring first, in pixels of the image that was passed.

    A pixel's centre lies at its index plus one half; x to the right, y down, origin at the top left corner of the top
    left pixel.
    """

    boxes: Float32[np.ndarray, "n 4"]  # left, top, right, bottom; may reach beyond the image
    scores: Float32[np.ndarray, " n"]  # O-Net's probability of a face, 0..1
    landmarks: Float32[np.ndarray, "n 5 2"]  # left eye, right eye, nose, mouth left, mouth right; viewer's side


class Attributes(NamedTuple):
    """Predictions of the attribute network for n faces."""

    age: Float32[np.ndarray, "n 101"]  # probabilities of completed years 0..100, each row sums to 1
    p_female: Float32[np.ndarray, " n"]  # 0..1
    embedding: Float32[np.ndarray, "n 128"]  # unit length


def no_detections() -> Detections:
    """Return the detections of an image without faces."""
    return Detections(np.zeros((0, 4), np.float32), np.zeros((0,), np.float32), np.zeros((0, 5, 2), np.float32))


def nearest_centre(detections: Detections, height: int, width: int) -> int:
    """Return the index of the face nearest to the centre of an image; a large face counts as nearer.

    `height` and `width` are the image's, in pixels; there must be at least one face.
    """
    centres = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2 - np.array([width, height]) / 2
    size = np.sqrt(np.prod(np.maximum(detections.boxes[:, 2:] - detections.boxes[:, :2], 1), axis=1))
    return int(np.argmin(np.linalg.norm(centres, axis=1) - 0.5 * size))
