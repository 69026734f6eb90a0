"""The image pyramids of many photographs, packed into one long strip that is read in pages of one size.

P-Net is fully convolutional: a window's answer depends on its 12x12 pixels alone. So the levels of all
the pyramids of a batch are cut where they are too wide, laid side by side on a strip without gaps, and the
windows that straddle two pieces are never looked at. The strip is as long as it has to be; a page is a
stretch of it that shares as many rows with the next as a window needs. Whatever sizes a library mixes, one
program for one page shape is all that has to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, Shaped

from rollcall_model import pooling

WINDOW = 12
STRIDE = 2
#: Rows and columns that a page shares with its neighbours, so that no window is lost between them.
SHARED = WINDOW - STRIDE


class Level(NamedTuple):
    """One image of one pyramid."""

    image: int  # which photograph of the batch
    scale: float  # pixels of the level for one pixel of the photograph
    height: int  # even, as the width: an odd one is filled up with a copy of the last row
    width: int
    inner_height: int  # without the filling
    inner_width: int
    first: float  # the scale of the first level of the pyramid


class Piece(NamedTuple):
    """A part of a level, of its full height, and where it lies: all numbers are even."""

    level: int
    left: int  # in the level
    height: int
    width: int
    top: int  # on the strip
    column: int


def scales(height: int, width: int, min_face: float, factor: float) -> list[float]:
    """Return the scales at which faces from `min_face` pixels up to the image's size fill a window."""
    result = []
    scale = WINDOW / min_face
    while min(height, width) * scale >= WINDOW:
        result.append(scale)
        scale *= factor
    return result


def levels(index: int, height: int, width: int, min_face: float, factor: float) -> list[Level]:
    """Return the levels of the pyramid of an image of this size."""
    result = []
    every = scales(height, width, min_face, factor)
    for scale in every:
        rows, columns = int(height * scale + 1), int(width * scale + 1)
        result.append(Level(index, scale, rows + rows % 2, columns + columns % 2, rows, columns, every[0]))
    return result


def _cuts(length: int, limit: int) -> list[tuple[int, int]]:
    """Return (start, length) of the parts of one side that cover every window once: full ones and a rest."""
    windows, most = (length - WINDOW) // STRIDE + 1, (limit - WINDOW) // STRIDE + 1
    return [
        (STRIDE * start, STRIDE * min(most, windows - start) + WINDOW - STRIDE) for start in range(0, windows, most)
    ]


class _Step(NamedTuple):
    """A stretch of the outline of what has been laid down: free from `top` on."""

    left: int
    right: int
    top: int


def pack(all_levels: Sequence[Level], width: int) -> tuple[list[Piece], int]:
    """Return where every piece lies on a strip of this width, and how long the strip gets.

    Pieces of the full width come first, then the tallest; each is laid where it ends soonest, and of equal
    places where it covers the least ground that nothing else can use.
    """
    parts = [
        (level.height, part, number, left)
        for number, level in enumerate(all_levels)
        for left, part in _cuts(level.width, width)
    ]
    parts.sort(key=lambda part: (part[1] < width, -part[0], -part[1]))
    outline = [_Step(0, width, 0)]
    pieces = []
    for height, part, number, left in parts:
        first, last, top = _place(outline, part, width)
        start = outline[first].left
        piece = Piece(number, left, height, part, top, start)
        pieces.append(piece)
        behind = outline[last]._replace(left=start + part)
        steps = [_Step(start, start + part, top + height), *([behind] if behind.left < behind.right else [])]
        outline[first : last + 1] = steps
        _level(outline, first)
    return pieces, max(step.top for step in outline)


def _place(outline: Sequence[_Step], part: int, width: int) -> tuple[int, int, int]:
    """Return the first and the last step under a piece `part` wide in its best place, and its top."""
    best, place = None, (0, 0, 0)
    for first, step in enumerate(outline):
        right = step.left + part
        if right > width:
            break
        last, top = first, step.top
        while outline[last].right < right:
            last += 1
            top = max(top, outline[last].top)
        lost = sum((min(s.right, right) - s.left) * (top - s.top) for s in outline[first : last + 1])
        if best is None or (top, lost) < best:
            best, place = (top, lost), (first, last, top)
    return place


def _level(outline: list[_Step], index: int) -> None:
    """Join the step at `index` with its neighbours of the same height."""
    for left in (index, index - 1):
        if 0 <= left < len(outline) - 1 and outline[left].top == outline[left + 1].top:
            outline[left : left + 2] = [outline[left]._replace(right=outline[left + 1].right)]


def draw(
    sums: Int32[np.ndarray, "h1 w1 3"],
    level: Level,
    pieces: Sequence[Piece],
    strip: Float32[np.ndarray, "rows width 3"],
) -> None:
    """Average the image whose integral image is `sums` to a level, and lay its pieces on the strip."""
    places = [strip[p.top : p.top + p.height, p.column : p.column + p.width] for p in pieces]
    inner = level.inner_height, level.inner_width
    if len(places) == 1:
        pooling.resize(sums, *inner, places[0])
        return
    whole = np.empty((level.height, level.width, 3), np.float32)
    pooling.resize(sums, *inner, whole)
    for piece, place in zip(pieces, places, strict=True):
        place[:] = whole[:, piece.left : piece.left + piece.width]


def owners(pieces: Sequence[Piece], rows: int, width: int) -> Int32[np.ndarray, "r c"]:
    """Return which piece each window of the strip lies in; -1 where it lies in none or in two."""
    result = np.full(((rows - WINDOW) // STRIDE + 1, (width - WINDOW) // STRIDE + 1), -1, np.int32)
    for number, piece in enumerate(pieces):
        row, column = piece.top // STRIDE, piece.column // STRIDE
        end_row = row + (piece.height - WINDOW) // STRIDE + 1
        end_column = column + (piece.width - WINDOW) // STRIDE + 1
        result[row:end_row, column:end_column] = number
    return result


def pages(strip: Shaped[np.ndarray, "rows width *c"], count: int, height: int, shared: int = SHARED) -> np.ndarray:
    """Return the strip as overlapping pages, (count, height, width, *c), without copying.

    `shared` rows from each one's end begins the next.
    """
    shape = (count, height, *strip.shape[1:])
    return np.lib.stride_tricks.as_strided(
        strip, shape, ((height - shared) * strip.strides[0], *strip.strides), writeable=False
    )


def positions(pieces: Sequence[Piece]) -> Int[np.ndarray, "p 3"]:
    """Return, for every piece, its level and what to add to x and y on the strip for x and y in the level."""
    return np.array([(p.level, p.left - p.column, -p.top) for p in pieces], np.int64).reshape(-1, 3)
