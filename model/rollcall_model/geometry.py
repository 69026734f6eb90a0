"""Similarities between landmarks, and the crops of an image along them.

A similarity is a rotation, one scale and a translation, as a matrix [s R | t] of pixels whose centres lie at one half.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, Float64, UInt8


def similarity(
    landmarks: Float[np.ndarray, "*b n 2"], target: Float[np.ndarray, "*b n 2"]
) -> Float64[np.ndarray, "*b 2 3"]:
    """Return the similarity [s R | t] that takes `landmarks` nearest to `target` (Umeyama 1991, without reflection).

    Landmarks that all coincide have no scale: they are only translated. Of 300 faces at once it takes a thirtieth of
    the time for each.
    """
    source = np.asarray(landmarks, np.float64)
    destination = np.asarray(target, np.float64)
    centre, target_centre = source.mean(axis=-2), destination.mean(axis=-2)
    here, there = source - centre[..., None, :], destination - target_centre[..., None, :]
    (x, y), (u, v) = (here[..., 0], here[..., 1]), (there[..., 0], there[..., 1])
    variance = np.asarray((x * x + y * y).sum(axis=-1))
    # In the plane the best rotation and scale have a closed form: (a, b) = s (cos, sin).
    spread = variance > 1e-9
    a = np.divide((x * u + y * v).sum(axis=-1), variance, out=np.ones_like(variance), where=spread)
    b = np.divide((x * v - y * u).sum(axis=-1), variance, out=np.zeros_like(variance), where=spread)
    result = np.empty((*variance.shape, 2, 3))
    result[..., 0, 0], result[..., 0, 1], result[..., 1, 0], result[..., 1, 1] = a, -b, b, a
    result[..., 2] = target_centre - (result[..., :2] @ centre[..., None])[..., 0]
    return result


def scale_of(matrix: Float64[np.ndarray, "2 3"]) -> float:
    """Return how many pixels of the target one pixel of the image becomes."""
    return math.hypot(matrix[0, 0], matrix[1, 0])


def cut(image: UInt8[np.ndarray, "h w 3"], matrix: Float64[np.ndarray, "2 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Return the square of `size` pixels that `matrix` takes the image to.

    Where it is reduced widely it is averaged first, so that none of its pixels is skipped; beyond the border of the
    image its last pixels are repeated.
    """
    scale = scale_of(matrix)
    if scale < 0.5:
        image, matrix = _downscale(image, matrix, scale, size)
    # Of six numbers each step in NumPy takes as long as ten in Python.
    (a, b, x), (c, d, y) = matrix.tolist()
    # OpenCV counts pixel centres as whole numbers.
    shifted = np.array([[a, b, x + (a * 0.5 + b * 0.5 - 0.5)], [c, d, y + (c * 0.5 + d * 0.5 - 0.5)]])
    result: UInt8[np.ndarray, "s s 3"] = cv2.warpAffine(
        image, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return result


def moved(points: Float[np.ndarray, "n 2"], matrix: Float64[np.ndarray, "2 3"]) -> Float64[np.ndarray, "n 2"]:
    """Return points of the image in the target."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def moved_back(
    points: Float[np.ndarray, "*b n 2"], matrix: Float64[np.ndarray, "*b 2 3"]
) -> Float64[np.ndarray, "*b n 2"]:
    """Return points of the target in the image; `matrix` must not be singular."""
    inverse = np.linalg.inv(matrix[..., :2])
    result: Float64[np.ndarray, "*b n 2"] = (points - matrix[..., None, :, 2]) @ np.swapaxes(inverse, -1, -2)
    return result


def _downscale(
    image: UInt8[np.ndarray, "h w 3"], matrix: Float64[np.ndarray, "2 3"], scale: float, size: int
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], Float64[np.ndarray, "2 3"]]:
    """Return the part of the image inside the crop, averaged down, and the matrix from that part to the crop."""
    (a, b, x), (c, d, y) = matrix.tolist()
    determinant = a * d - b * c
    corners = [(u - x, v - y) for v in (0.0, float(size)) for u in (0.0, float(size))]
    step = max(int(1 / scale), 1)
    left, right = _span([(d * u - b * v) / determinant for u, v in corners], image.shape[1], step)
    top, bottom = _span([(a * v - c * u) / determinant for u, v in corners], image.shape[0], step)
    part = image[top:bottom, left:right]
    width, height = max(part.shape[1] // step, 1), max(part.shape[0] // step, 1)
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    across, down = part.shape[1] / width, part.shape[0] / height
    return small, np.array(
        [[a * across, b * down, x + (a * left + b * top)], [c * across, d * down, y + (c * left + d * top)]]
    )


def _span(places: list[float], limit: int, step: int) -> tuple[int, int]:
    """Return the first pixel, and the one after the last, that hold all `places` on an axis of `limit` pixels.

    In whole steps, for which OpenCV averages several times as fast; what that adds or takes lies at the border.
    """
    low = min(max(math.floor(min(places)) - 2, 0), limit - 1)
    high = min(max(math.ceil(max(places)) + 2, low + 1), limit)
    whole = min(-(-(high - low) // step), (limit - low) // step) * step
    return low, low + whole if whole > 0 else high
