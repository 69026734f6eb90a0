"""Canvases: the few shapes of pictures that the single-pass network is compiled for, and pictures put onto them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from rollcall_model.detection.single_pass import MULTIPLE

#: Longest sides of canvases, in pixels; larger ones are multiples of the last. Every shape is a program to compile.
_LONGEST: Final = (320, 640, 1024, 1280)
#: Shorter sides as shares of the longest: of small pictures, and of large ones: wide, and 9:16, 2:3, 3:4, 1:1. Half of
#: a photo of 1280 pixels is a large one: all photos are searched so on a CPU.
_SMALL: Final = 320
_SHARES_SMALL: Final = (0.5625, 0.75, 1.0)
_SHARES: Final = (0.4, 0.5625, 0.6667, 0.75, 1.0)

#: A picture is a panorama when its sides have a greater ratio.
PANORAMA: Final = 2.5

Shape = tuple[int, int]


class Round(NamedTuple):
    """Pictures that are processed at once, one a device, on canvases of one shape."""

    shape: Shape
    indices: tuple[int, ...]
    first: int = 0  # the device of the first picture; the others follow, around the last device

    def rows(self, devices: int) -> list[int]:
        """Return the canvas of each picture."""
        return [(self.first + number) % devices for number in range(len(self.indices))]


def shape_for(height: int, width: int) -> Shape:
    """Return the height and width of the smallest canvas that holds a picture of so many pixels."""
    longest = max(height, width)
    side = next((one for one in _LONGEST if one >= longest), -(-longest // _LONGEST[-1]) * _LONGEST[-1])
    shares = _SHARES if side > _SMALL else _SHARES_SMALL
    shorter = next(
        short for share in shares if (short := -(-int(side * share) // MULTIPLE) * MULTIPLE) >= min(height, width)
    )
    return (shorter, side) if width >= height else (side, shorter)


class Part(NamedTuple):
    """A part of a picture, whose left and top are in pixels of it."""

    left: int
    top: int
    width: int
    height: int


def parts(height: int, width: int, side: int) -> list[Part]:
    """Return the parts in which a picture is searched: the whole one, and of a panorama overlapping squares too.

    A panorama is much longer than it is wide, and longer than `side`. Its squares have its shorter side, at least half
    of `side` and at most all of it, and overlap by a quarter.
    """
    whole = Part(0, 0, width, height)
    shorter, longer = sorted((height, width))
    if longer <= side or longer <= PANORAMA * shorter:
        return [whole]
    size = min(max(shorter, side // 2), side)
    return [whole] + [
        Part(left, top, min(size, width), min(size, height))
        for top in _starts(height, size)
        for left in _starts(width, size)
    ]


def _starts(length: int, size: int) -> list[int]:
    """Return where overlapping pieces of a length begin, the first at 0, the last at the end."""
    count = max(-(-(length - size) // (size - size // 4)), 0) + 1
    return [round(index * (length - size) / max(count - 1, 1)) if length > size else 0 for index in range(count)]


def rounds(shapes: Sequence[Shape], devices: int, *, joint: bool = True) -> list[Round]:
    """Return how pictures with these canvases are processed: by shape, so that few devices stay idle.

    With `joint`, what is left of several shapes shares a larger canvas where that holds fewer pixels than a round for
    each. Without, for devices that an empty canvas costs nothing, it is spread over the devices: no other shapes are
    needed than those of the pictures.
    """
    result, remaining = [], []
    for shape in sorted(set(shapes), reverse=True):
        mine = [index for index, one in enumerate(shapes) if one == shape]
        whole = len(mine) // devices * devices
        result += [Round(shape, tuple(mine[start : start + devices])) for start in range(0, whole, devices)]
        if mine[whole:]:
            remaining.append(Round(shape, tuple(mine[whole:])))
    if not joint:
        taken = 0
        for one in remaining:
            result.append(one._replace(first=taken % devices))
            taken += len(one.indices)
        return result
    while remaining:
        first = remaining.pop(0)
        for other in list(remaining):
            larger = shape_for(max(first.shape[0], other.shape[0]), max(first.shape[1], other.shape[1]))
            fits = len(first.indices) + len(other.indices) <= devices
            if fits and _area(larger) < _area(first.shape) + _area(other.shape):
                first = Round(larger, first.indices + other.indices)
                remaining.remove(other)
        result.append(first)
    return result


def place(
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]], shape: Shape, count: int, rows: Sequence[int]
) -> UInt8[np.ndarray, "n h2 w2 3"]:
    """Return the pictures at the top left corners of those of `count` black canvases that `rows` names."""
    result = np.zeros((count, *shape, 3), np.uint8)
    for row, picture in zip(rows, pictures, strict=True):
        result[row, : picture.shape[0], : picture.shape[1]] = picture
    return result


def _area(shape: Shape) -> int:
    return shape[0] * shape[1]
