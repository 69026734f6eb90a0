"""Canvases: the few shapes of pictures that the single-pass network is compiled for, and pictures put onto them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from rollcall_model import runtime
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
    """Pictures that are processed at once, on canvases of one shape."""

    shape: Shape
    indices: tuple[int, ...]
    canvases: int
    first: int = 0  # the canvas of the first picture; the others follow, around the last one

    @property
    def rows(self) -> list[int]:
        """The canvas of each picture."""
        return [(self.first + number) % self.canvases for number in range(len(self.indices))]


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


def rounds(shapes: Sequence[Shape], devices: int) -> list[Round]:
    """Return how pictures with these canvases are processed on devices that an empty canvas costs nothing.

    By shape, one a device; what is left of each shape is spread over the devices.
    """
    result, taken = [], 0
    for shape, mine in _by_shape(shapes):
        whole = len(mine) // devices * devices
        result += [Round(shape, tuple(mine[start : start + devices]), devices) for start in range(0, whole, devices)]
        if mine[whole:]:
            result.append(Round(shape, tuple(mine[whole:]), devices, taken % devices))
            taken += len(mine[whole:])
    return result


def batches(shapes: Sequence[Shape], sizes: Sequence[int]) -> list[Round]:
    """Return how pictures with these canvases are processed on devices that are quickest with many at once.

    By shape, in as many canvases as one of the `sizes` says.
    """
    return [
        Round(shape, tuple(mine[start:end]), end - start)
        for shape, mine in _by_shape(shapes)
        for start, end in pairwise(runtime.buckets(len(mine), sizes, runtime.FILLED_GPU))
    ]


def _by_shape(shapes: Sequence[Shape]) -> Iterator[tuple[Shape, list[int]]]:
    """Yield each shape, the largest first, and the pictures that have it."""
    for shape in sorted(set(shapes), reverse=True):
        yield shape, [index for index, one in enumerate(shapes) if one == shape]


def place(
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]], shape: Shape, count: int, rows: Sequence[int]
) -> UInt8[np.ndarray, "n h2 w2 3"]:
    """Return the pictures at the top left corners of those of `count` black canvases that `rows` names."""
    result = runtime.zeros((count, *shape, 3), np.uint8)
    for row, picture in zip(rows, pictures, strict=True):
        result[row, : picture.shape[0], : picture.shape[1]] = picture
    return result
