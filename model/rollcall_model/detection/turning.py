"""Pictures turned by quarters, and their faces turned back: scans and old cameras say nothing of what is up."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from rollcall_model.types import Detections

#: OpenCV's name for so many quarters counter-clockwise.
_ROTATIONS: Final = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}


def turned(image: UInt8[np.ndarray, "h w 3"], quarters: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image turned counter-clockwise by so many quarters."""
    if not quarters % 4:
        return image
    # NumPy's copy of the turned view took five times as long as OpenCV's.
    return np.asarray(cv2.rotate(image, _ROTATIONS[quarters % 4]), np.uint8)


def turned_back(found: Detections, quarters: int, height: int, width: int) -> Detections:
    """Return the faces of an image turned by `turned`, in pixels of the image before; its size is `height`, `width`."""
    if quarters % 2:
        height, width = width, height
    boxes, landmarks = found.boxes.reshape(-1, 2, 2), found.landmarks
    for _ in range(-quarters % 4):
        boxes, landmarks = _quarter(boxes, width), _quarter(landmarks, width)
        height, width = width, height
    corners = np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)
    return Detections(corners.reshape(-1, 4), found.scores, landmarks)


def _quarter(points: Float32[np.ndarray, "n k 2"], width: int) -> Float32[np.ndarray, "n k 2"]:
    """Return points of an image of this width after a quarter turn counter-clockwise."""
    return np.stack([points[..., 1], width - points[..., 0]], axis=-1).astype(np.float32)
