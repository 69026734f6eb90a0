"""Patches of 4x4 windows: the parts of pyramid levels that P-Net scores after the prefilter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from rollcall_model.detection import pyramid
from rollcall_model.detection.octaves import CELL, Octave, is_filtered, octave_of
from rollcall_model.nn import pooling

#: Windows along a side of a patch, which begins and ends with the centres of its windows.
WINDOWS: Final = CELL // pyramid.STRIDE
#: Side of a patch in pixels of its level.
SIDE: Final = CELL + pyramid.WINDOW - pyramid.STRIDE
#: The first window of the first patch, counted in windows of the level: its centre is nearest to the border.
FIRST: Final = -((pyramid.WINDOW // 2) // pyramid.STRIDE)


class Patches(NamedTuple):
    """n patches of 4x4 windows each."""

    level: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]  # of patches; only one row of the first one's windows lies within the level
    column: Int[np.ndarray, " n"]


def grid(level: pyramid.Level) -> tuple[int, int]:
    """Return how many rows and columns of patches cover all windows of a level."""
    counts = [(side - pyramid.WINDOW) // pyramid.STRIDE + 1 for side in (level.height, level.width)]
    return cast(tuple[int, int], tuple((count - 1 - FIRST) // WINDOWS + 1 for count in counts))


def patch_of(
    level: pyramid.Level, octave: Octave, size: tuple[int, int], cells: Int[np.ndarray, "n 2"]
) -> Int[np.ndarray, "n 2"]:
    """Return row and column of the patch of a level that the centre of each cell (row, column) lies in.

    `size` is the height and width of the image in pixels.
    """
    ratio = _ratio(level, octave, size)
    return np.minimum(((cells + 0.5) * ratio).astype(np.int64), np.array(grid(level)) - 1)


def _ratio(level: pyramid.Level, octave: Octave, size: tuple[int, int]) -> np.ndarray:
    """Return how many pixels of the level, down and across, make one of the octave."""
    return np.asarray(np.array(size) / (octave.height, octave.width) * level.scale)


def _of_cells(
    cells: Bool[np.ndarray, "h w"], level: pyramid.Level, octave: Octave, size: tuple[int, int]
) -> Bool[np.ndarray, "r c"]:
    """Return which patches of a level belong to any of the cells that are set."""
    result = np.zeros(grid(level), bool)
    result[tuple(patch_of(level, octave, size, np.argwhere(cells)).T)] = True
    ratio = _ratio(level, octave, size)
    if (ratio > 1).any():
        # Cells are a little larger than patches here: a patch without a cell's centre belongs to the cell at its own.
        rows, columns = (
            np.minimum(((np.arange(count) + 0.5) / one).astype(np.int64), last - 1)
            for count, one, last in zip(result.shape, ratio, cells.shape, strict=True)
        )
        result |= cells[np.ix_(rows, columns)]
    return result


def selected(
    cells: Bool[np.ndarray, "h w 2"],
    octave: Octave,
    size: tuple[int, int],
    numbers: Sequence[int],
    levels: Sequence[pyramid.Level],
) -> Patches:
    """Return the patches of an octave's two levels whose cells are set.

    `numbers` are the positions in `levels` of the image's levels, and `size` its height and width in pixels.
    """
    parts = []
    for number in numbers:
        level = levels[number]
        octave_number, half = octave_of(level)
        if octave_number == octave.number and is_filtered(level) and cells[..., half].any():
            rows, columns = np.nonzero(_of_cells(cells[..., half], level, octave, size))
            parts.append(Patches(np.full(len(rows), number), rows, columns))
    return concat(parts)


def unfiltered(numbers: Sequence[int], levels: Sequence[pyramid.Level]) -> Patches:
    """Return all patches of the levels that are too small for the prefilter."""
    parts = []
    for number in numbers:
        if not is_filtered(levels[number]):
            rows, columns = np.indices(grid(levels[number])).reshape(2, -1)
            parts.append(Patches(np.full(len(rows), number), rows, columns))
    return concat(parts)


def concat(parts: Sequence[Patches]) -> Patches:
    """Return the patches of all parts, in order."""
    empty = Patches(*(np.zeros(0, np.int64) for _ in Patches._fields))
    return Patches(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))


def windows(patches: Patches) -> tuple[Int[np.ndarray, "n 4 4"], Int[np.ndarray, "n 4 4"]]:
    """Return row and column of every window of every patch, in windows of its level; some lie outside it."""
    steps = np.arange(WINDOWS)
    rows = patches.row[:, None, None] * WINDOWS + FIRST + steps[:, None]
    columns = patches.column[:, None, None] * WINDOWS + FIRST + steps[None, :]
    return np.broadcast_arrays(rows, columns)  # type: ignore[return-value]


def draw(
    sums: Int32[np.ndarray, "h1 w1 3"], level: pyramid.Level, patches: Patches, out: Float32[np.ndarray, "n t t 3"]
) -> None:
    """Average an image, of which `sums` is the integral image, to patches of one level; write them to `out`, 0..255."""
    start = np.stack([patches.column, patches.row]) * CELL + FIRST * pyramid.STRIDE
    inner = np.array([level.inner_width, level.inner_height])[:, None, None]
    # Beyond the level its last row and column are repeated, as where it is padded to be even.
    index = np.clip(start[:, :, None] + np.arange(SIDE), 0, inner - 1)
    pooling.resize_windows(sums, index, (inner[0, 0, 0], inner[1, 0, 0]), out)
