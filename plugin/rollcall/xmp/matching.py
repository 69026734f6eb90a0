"""Which region of another program is which face: by IoU, and by centres where programs draw boxes of other sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rollcall.records import SAME_FACE_IOU, Box

#: Programs draw boxes around eyes and mouth, or around the whole head: sides differ by up to this factor.
_MOST_SCALE: Final = 2.5


def similarity(a: Box, b: Box) -> float | None:
    """Return how well two boxes fit one face: 1 and more by IoU, less by their centres; None: not at all."""
    iou = a.iou(b)
    if iou >= SAME_FACE_IOU:
        return 1 + iou
    if not (_holds_centre(a, b) and _holds_centre(b, a)):
        return None
    scale = math.sqrt((a.width * a.height) / (b.width * b.height))
    return iou if 1 / _MOST_SCALE <= scale <= _MOST_SCALE else None


def assign(regions: Sequence[Box], faces: Mapping[int, Box]) -> dict[int, int]:
    """Return the face of each region that covers one, by the region's index: each face once, the best fit first."""
    scored = [
        (score, -index, -face_id)
        for index, region in enumerate(regions)
        for face_id, box in faces.items()
        if (score := similarity(region, box)) is not None
    ]
    result: dict[int, int] = {}
    taken: set[int] = set()
    for _, index, face_id in sorted(scored, reverse=True):
        if -index not in result and -face_id not in taken:
            result[-index] = -face_id
            taken.add(-face_id)
    return result


def _holds_centre(a: Box, b: Box) -> bool:
    """Return whether the centre of `b` lies in the middle of `a`: a neighbour's box may reach to its edge."""
    dx, dy = b.x + b.width / 2 - (a.x + a.width / 2), b.y + b.height / 2 - (a.y + a.height / 2)
    return abs(dx) <= 0.35 * a.width and abs(dy) <= 0.35 * a.height
