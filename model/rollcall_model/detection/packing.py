"""Many pyramids packed into one long canvas, which is processed in tiles of one size.

P-Net is fully convolutional: its score for a window depends on that window's 12x12 pixels alone. So the levels of all
pyramids of a batch are cut where they are too wide and packed without gaps; windows that straddle two pieces are
ignored. The canvas is as long as it has to be; a tile is a stretch of it that shares as many rows with the next as a
window needs. Whatever sizes a library mixes, a single program for one tile shape has to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, Shaped

from rollcall_model.detection.pyramid import STRIDE, WINDOW, Level
from rollcall_model.nn import pooling

#: Rows and columns that a tile shares with its neighbours, so that every window lies in one of them.
OVERLAP: Final = WINDOW - STRIDE


class Piece(NamedTuple):
    """A part of a level, of its full height, and its place on the canvas; all numbers are even, in pixels."""

    level: int
    left: int  # in the level
    height: int
    width: int
    top: int  # on the canvas
    column: int


class _Step(NamedTuple):
    """A stretch of the skyline of the pieces placed so far: free from `top` on."""

    left: int
    right: int
    top: int


def pack(levels: Sequence[Level], width: int) -> tuple[list[Piece], int]:
    """Return the place of every piece on a canvas of this width, and the canvas' height; in pixels.

    Skyline packing: pieces of the full width come first, then the tallest; each is placed where it ends soonest, and of
    equal places where it wastes the least area.
    """
    parts = [
        (level.height, part, number, left)
        for number, level in enumerate(levels)
        for left, part in _cuts(level.width, width)
    ]
    parts.sort(key=lambda part: (part[1] < width, -part[0], -part[1]))
    skyline = [_Step(0, width, 0)]
    pieces = []
    for height, part, number, left in parts:
        first, last, top = _best_place(skyline, part, width)
        start = skyline[first].left
        pieces.append(Piece(number, left, height, part, top, start))
        behind = skyline[last]._replace(left=start + part)
        steps = [_Step(start, start + part, top + height), *([behind] if behind.left < behind.right else [])]
        skyline[first : last + 1] = steps
        _merge(skyline, first)
    return pieces, max(step.top for step in skyline)


def _cuts(length: int, limit: int) -> list[tuple[int, int]]:
    """Return (start, length) of the parts of a side that contain every window once: full ones and a remainder."""
    windows, most = (length - WINDOW) // STRIDE + 1, (limit - WINDOW) // STRIDE + 1
    return [
        (STRIDE * start, STRIDE * min(most, windows - start) + WINDOW - STRIDE) for start in range(0, windows, most)
    ]


def _best_place(skyline: Sequence[_Step], part: int, width: int) -> tuple[int, int, int]:
    """Return the first and the last step under a piece `part` wide in its best place, and its top."""
    best, place = None, (0, 0, 0)
    for first, step in enumerate(skyline):
        right = step.left + part
        if right > width:
            break
        last, top = first, step.top
        while skyline[last].right < right:
            last += 1
            top = max(top, skyline[last].top)
        wasted = sum((min(s.right, right) - s.left) * (top - s.top) for s in skyline[first : last + 1])
        if best is None or (top, wasted) < best:
            best, place = (top, wasted), (first, last, top)
    return place


def _merge(skyline: list[_Step], index: int) -> None:
    """Join the step at `index` with its neighbours of the same height."""
    for left in (index, index - 1):
        if 0 <= left < len(skyline) - 1 and skyline[left].top == skyline[left + 1].top:
            skyline[left : left + 2] = [skyline[left]._replace(right=skyline[left + 1].right)]


def draw(
    sums: Int32[np.ndarray, "h1 w1 3"],
    level: Level,
    pieces: Sequence[Piece],
    canvas: Float32[np.ndarray, "rows width 3"],
) -> None:
    """Average the image whose integral image is `sums` to a level, and write its pieces to the canvas, 0..255."""
    places = [canvas[p.top : p.top + p.height, p.column : p.column + p.width] for p in pieces]
    inner = level.inner_height, level.inner_width
    if len(places) == 1:
        pooling.resize(sums, *inner, places[0])
        return
    whole = np.empty((level.height, level.width, 3), np.float32)
    pooling.resize(sums, *inner, whole)
    for piece, place in zip(pieces, places, strict=True):
        place[:] = whole[:, piece.left : piece.left + piece.width]


def owners(pieces: Sequence[Piece], rows: int, width: int) -> Int32[np.ndarray, "r c"]:
    """Return the piece that each window of the canvas lies in; -1 where it lies in none or in two."""
    result = np.full(((rows - WINDOW) // STRIDE + 1, (width - WINDOW) // STRIDE + 1), -1, np.int32)
    for number, piece in enumerate(pieces):
        row, column = piece.top // STRIDE, piece.column // STRIDE
        end_row = row + (piece.height - WINDOW) // STRIDE + 1
        end_column = column + (piece.width - WINDOW) // STRIDE + 1
        result[row:end_row, column:end_column] = number
    return result


def tiles(canvas: Shaped[np.ndarray, "rows width *c"], count: int, height: int, overlap: int = OVERLAP) -> np.ndarray:
    """Return the canvas as overlapping tiles, (count, height, width, *c), without copying.

    The last `overlap` rows of each tile are the first of the next.
    """
    shape = (count, height, *canvas.shape[1:])
    return np.lib.stride_tricks.as_strided(
        canvas, shape, ((height - overlap) * canvas.strides[0], *canvas.strides), writeable=False
    )


def positions(pieces: Sequence[Piece]) -> Int[np.ndarray, "p 3"]:
    """Return each piece's level, and what takes x and y on the canvas to x and y in the level."""
    return np.array([(p.level, p.left - p.column, -p.top) for p in pieces], np.int64).reshape(-1, 3)
