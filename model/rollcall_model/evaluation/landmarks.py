"""How near a detector's five landmarks are to true ones, over pictures with one labelled face each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from rollcall_model.detection import boxes as bx
from rollcall_model.types import Detections

#: Mean error, over the distance of the eyes, from which on the landmarks of a face count as wrong.
WRONG: Final = 0.10
#: A box with a lower IoU is another face.
_SAME_FACE: Final = 0.3


class LandmarkErrors(NamedTuple):
    """Errors of the faces that were found, as shares of the distance of the eyes."""

    errors: Float64[np.ndarray, " n"]
    missed: int  # labelled faces that were not found

    @property
    def mean(self) -> float:
        """The mean error."""
        return float(self.errors.mean()) if len(self.errors) else float("nan")

    @property
    def wrong(self) -> float:
        """The share of faces with wrong landmarks."""
        return float((self.errors > WRONG).mean()) if len(self.errors) else float("nan")


def error(found: Float[np.ndarray, "5 2"], true: Float[np.ndarray, "5 2"]) -> float:
    """Return the mean distance of five landmarks from the true ones, over the distance of the true eyes."""
    return float(np.linalg.norm(found - true, axis=1).mean() / max(np.linalg.norm(true[1] - true[0]), 1e-6))


def measure(
    detect: Callable[[UInt8[np.ndarray, "h w 3"]], Detections],
    pictures: Iterable[tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, 4], Float32[np.ndarray, "5 2"]]],
) -> LandmarkErrors:
    """Return a detector's errors over RGB pictures with the box and the landmarks of one face each."""
    errors, missed = [], 0
    for image, box, landmarks in pictures:
        found = detect(image)
        overlap = bx.iou(found.boxes, box[None])[:, 0]
        if len(overlap) and overlap.max() >= _SAME_FACE:
            errors.append(error(found.landmarks[overlap.argmax()], landmarks))
        else:
            missed += 1
    return LandmarkErrors(np.array(errors), missed)
