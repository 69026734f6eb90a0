"""What is up in a picture without a sure face: the places that look most like one are seen turned by each quarter."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from rollcall_model import geometry
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import turning
from rollcall_model.types import Detections

#: Side of a view in pixels, a multiple of 32, and how many times the side of its face that is.
SIDE: Final = 96
_AROUND: Final = 3.0
#: Quarters of a turn, counter-clockwise.
QUARTERS: Final = (0, 1, 2, 3)
#: How many places are seen turned, and the score of the network that the first must have: it is lower where a face is
#: turned, but not by much, and pictures without anything like a face are not searched on.
_PLACES: Final = 2
_HINT: Final = 0.2
#: Places with a higher IoU are near each other.
_APART: Final = 0.1


def hints(seen: Detections, least: float) -> Int[np.ndarray, " k"]:
    """Return which places look most like a face: a few that are not near each other, with sides from `least` pixels."""
    fit = np.flatnonzero((seen.scores >= _HINT) & (bx.area(seen.boxes) >= least**2))
    rest = fit[np.argsort(-seen.scores[fit], kind="stable")]
    chosen: list[int] = []
    # A crowd has thousands of places: what is near to them all is of no use.
    while len(rest) and len(chosen) < _PLACES:
        chosen.append(int(rest[0]))
        apart = bx.iou(seen.boxes[rest[:1]], seen.boxes[rest[1:]])[0] <= _APART
        rest = rest[1:][apart]
    return np.array(chosen, np.int64)


def views(image: UInt8[np.ndarray, "h w 3"], boxes: Float32[np.ndarray, "k 4"]) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Return each place of an image and what is around it, turned by each of the `QUARTERS`."""
    return [turning.turned(cut, quarters) for cut in (_around(image, box) for box in boxes) for quarters in QUARTERS]


def most_probable(probabilities: Float[np.ndarray, " n"], least: float) -> int:
    """Return the quarter at which some place is most probably a face, of those of all `views`; 0 up to `least`."""
    best = probabilities.reshape(-1, len(QUARTERS)).max(axis=0)
    return QUARTERS[int(best.argmax())] if best.max() > least else 0


def _around(image: UInt8[np.ndarray, "h w 3"], box: Float32[np.ndarray, " 4"]) -> UInt8[np.ndarray, "s s 3"]:
    half = max(float(np.max(box[2:] - box[:2])), 1.0) * _AROUND / 2
    scale = SIDE / (2 * half)
    low = (box[:2] + box[2:]) / 2 - half
    return geometry.cut(image, np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]]], float), SIDE)
