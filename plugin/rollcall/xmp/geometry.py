"""Boxes of the upright picture and areas of the stored one, turned into each other for each EXIF orientation.

Regions of XMP are relative to the pixels as they are stored (Metadata Working Group, "Guidelines for Handling Image
Metadata", 2.0, 2010, 5.9); boxes of Rollcall to the upright picture. Both are fractions, origin top left.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rollcall.media.orientation import swaps_sides
from rollcall.records import Box

#: By how much two aspect ratios of one picture may differ: sides are rounded when pictures are reduced.
_SAME_ASPECT = 0.02


class Size(NamedTuple):
    """The sides of a picture, in pixels."""

    width: float
    height: float

    def fits(self, other: Size) -> bool:
        """Return whether another picture has the same aspect ratio."""
        if min(*self, *other) <= 0:
            return False
        return abs(math.log((self.width * other.height) / (self.height * other.width))) <= _SAME_ASPECT


def to_stored(box: Box, orientation: int) -> Box:
    """Return an upright box in the frame of the stored pixels; `orientation` is the EXIF orientation, 1..8."""
    x, y, width, height = box
    right, bottom = 1 - x - width, 1 - y - height
    return {
        2: Box(right, y, width, height),
        3: Box(right, bottom, width, height),
        4: Box(x, bottom, width, height),
        5: Box(y, x, height, width),
        6: Box(y, right, height, width),
        7: Box(bottom, right, height, width),
        8: Box(bottom, x, height, width),
    }.get(orientation, box)


def to_upright(box: Box, orientation: int) -> Box:
    """Return a box of the stored pixels in the frame of the upright picture."""
    # Quarter turns undo each other, every other orientation itself.
    return to_stored(box, {6: 8, 8: 6}.get(orientation, orientation))


def stored_size(width: int, height: int, orientation: int) -> Size:
    """Return the sides of the stored picture from those of the upright one."""
    return Size(height, width) if swaps_sides(orientation) else Size(width, height)


def clipped(box: Box) -> Box | None:
    """Return the part of a box that lies in the picture; None if there is none."""
    x0, y0, x1, y1 = max(box.x, 0.0), max(box.y, 0.0), min(box.x + box.width, 1.0), min(box.y + box.height, 1.0)
    return Box(x0, y0, x1 - x0, y1 - y0) if x1 - x0 > 1e-4 and y1 - y0 > 1e-4 else None
