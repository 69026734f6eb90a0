"""Octaves: the pictures that the prefilter reads, each half the size of the one before it.

An octave stands for two levels of the pyramid, and an 8x8 cell of it for a patch of 4x4 of P-Net's windows on each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from rollcall_model.detection.pyramid import Level
from rollcall_model.nn import pooling

#: Side of a cell, in pixels of an octave.
CELL: Final = 8
#: Levels with a shorter side than this, in pixels, are not filtered: P-Net scores all of their few windows.
MIN_LEVEL_SIDE: Final = 32
#: Images whose finest level has a shorter side than this, in pixels, are not filtered at all: the prefilter misses
#: faces below the smallest size, which in a small image matter most.
MIN_IMAGE_SIDE: Final = 100


class Octave(NamedTuple):
    """One picture that the prefilter reads; height and width in pixels."""

    image: int  # position of the image in the batch
    number: int  # 0: faces of the smallest size fill a window; each next one has half the side
    height: int
    width: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells; the last ones may reach beyond the picture."""
        return -(-self.height // CELL), -(-self.width // CELL)


def octave_of(level: Level) -> tuple[int, int]:
    """Return the number of the octave that a level belongs to, and 0 or 1: which of its two levels it is."""
    half = round(2 * math.log2(level.first_scale / level.scale))
    return half // 2, half % 2


def is_filtered(level: Level) -> bool:
    """Return whether a level, and its image, are large enough for the prefilter."""
    side = min(level.inner_height, level.inner_width)
    return side >= MIN_LEVEL_SIDE and side * level.first_scale >= MIN_IMAGE_SIDE * level.scale


def octaves(image: int, height: int, width: int, levels: Sequence[Level]) -> list[Octave]:
    """Return the octaves of an image that stand for any of its filtered levels."""
    filtered = [level for level in levels if is_filtered(level)]
    if not filtered:
        return []
    count = max(octave_of(level)[0] + 1 for level in filtered)
    size = [max(round(side * filtered[0].first_scale), 1) for side in (height, width)]
    return [Octave(image, number, *(max(side >> number, 1) for side in size)) for number in range(count)]


def draw(image: UInt8[np.ndarray, "h w 3"], wanted: Sequence[Octave]) -> list[UInt8[np.ndarray, "h2 w2 3"]]:
    """Return the RGB pictures of an image's octaves; each is made of the one before it."""
    result: list[UInt8[np.ndarray, "h2 w2 3"]] = []
    for octave in wanted:
        while image.shape[0] >= 2 * octave.height and image.shape[1] >= 2 * octave.width:
            image = pooling.halve(image)
        if image.shape[:2] != (octave.height, octave.width):
            image = cv2.resize(image, (octave.width, octave.height), interpolation=cv2.INTER_LINEAR)
        result.append(image)
    return result
