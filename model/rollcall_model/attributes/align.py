"""From five landmarks to the canonical crop that the attribute network reads.

The crop is a square in which every face is upright, with the eyes and the mouth at fixed places: a similarity transform
(rotation, one scale, translation) takes the landmarks as near to `TEMPLATE` as least squares can.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from rollcall_model import geometry

#: Landmarks in the crop, as fractions of its side: eyes, nose, corners of the mouth. The proportions are the mean of
#: the detector's landmarks over frontal portraits. The crop is tight, from the hairline to below the chin: the labelled
#: sets show no more, and at inference the network should not see what it never saw in training.
TEMPLATE: Final[Float64[np.ndarray, "5 2"]] = np.array(
    [[0.290, 0.270], [0.710, 0.270], [0.500, 0.516], [0.314, 0.711], [0.686, 0.711]]
)


def magnification(landmarks: Float[np.ndarray, "5 2"], size: int) -> float:
    """Return how many pixels of a canonical crop of side `size` one pixel of the image becomes."""
    return geometry.scale_of(geometry.similarity(landmarks, TEMPLATE * size))


def crop(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "5 2"], size: int, zoom: float = 1.0
) -> UInt8[np.ndarray, "s s 3"]:
    """Return the canonical RGB crop of a face, `size` pixels wide.

    `landmarks` are in pixels of `image`, whose pixel centres lie at one half. A `zoom` below 1 shows more around the
    face. Large faces are averaged down first, so that none of their pixels is skipped; beyond the border of the image
    its last pixels are repeated.
    """
    target = ((TEMPLATE - 0.5) * zoom + 0.5) * size
    return geometry.cut(image, geometry.similarity(landmarks, target), size)


def crops(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "n 5 2"], size: int
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Return the canonical crops of the faces of one image, see `crop`."""
    matrices = geometry.similarity(landmarks, np.broadcast_to(TEMPLATE * size, landmarks.shape))
    return [geometry.cut(image, matrix, size) for matrix in matrices]


def central_landmarks(height: int, width: int) -> Float32[np.ndarray, "5 2"]:
    """Return assumed landmarks in pixels for a portrait in which the detector found no face.

    The face is assumed to fill the centre of the picture, as in a passport photograph.
    """
    side = min(height, width) * 1.08
    low = np.array([width / 2, height / 2]) - side / 2
    return (TEMPLATE * side + low).astype(np.float32)


def central_box(height: int, width: int) -> Float32[np.ndarray, 4]:
    """Return the box around `central_landmarks`: left, top, right, bottom in pixels, inside the picture."""
    points = central_landmarks(height, width)
    centre, eye_distance = points.mean(axis=0), np.ptp(points[:2, 0])
    half_size = np.array([eye_distance, eye_distance * 1.25])
    box = np.concatenate([centre - half_size, centre + half_size])
    return np.clip(box, 0, [width, height, width, height]).astype(np.float32)


def typical_landmarks() -> Float32[np.ndarray, "5 2"]:
    """Return typical landmarks of a face, as fractions of its box."""
    left, top, right, bottom = central_box(1000, 1000)
    points = central_landmarks(1000, 1000)
    return ((points - [left, top]) / [right - left, bottom - top]).astype(np.float32)


def sharpness(face: UInt8[np.ndarray, "s s 3"]) -> float:
    """Return the variance of the Laplacian of the crop's luminance: 0 for a flat crop, larger for a sharp one."""
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
