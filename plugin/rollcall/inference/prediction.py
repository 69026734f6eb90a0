"""What the attribute network predicts for one crop, and the face that this makes with a detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rollcall.records import Box, Face, Picture

if TYPE_CHECKING:
    from rollcall_model.types import Detections


@dataclass(slots=True)
class Prediction:
    """The attribute network's outputs for one crop; None for heads that are switched off."""

    sharpness: float  # variance of the Laplacian of the crop
    age: NDArray[np.float32] | None = None  # (101,), sums to 1
    p_female: float | None = None
    embedding: NDArray[np.float32] | None = None  # (128,), unit length
    is_animal: bool = False  # unknown without an embedding

    def face(self, picture: Picture, faces: Detections, row: int, detected: bool) -> Face:
        """Return the face at `row` in fractions of the picture; a box that reaches beyond the picture is clipped."""
        height, width = picture.pixels.shape[:2]
        x0, y0, x1, y1 = np.clip(
            faces.boxes[row].astype(np.float64) / np.array([width, height, width, height]), 0, 1
        ).tolist()
        points = faces.landmarks[row].astype(np.float64) / np.array([width, height])
        return Face(
            box=Box(x0, y0, x1 - x0, y1 - y0),
            landmarks=tuple((float(x), float(y)) for x, y in points),
            score=float(faces.scores[row]),
            sharpness=self.sharpness,
            age_distribution=self.age,
            p_female=self.p_female,
            embedding=self.embedding,
            detected=detected,
        )
