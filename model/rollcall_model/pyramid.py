"""The image pyramid of many photographs, packed into pages of one fixed size.

P-Net is fully convolutional: a window's answer depends on its 12x12 pixels alone. So the levels of all
the pyramids of a batch are cut into pieces where they are too large, laid side by side on pages of one
size without gaps, and the windows that straddle two pieces are never looked at. Whatever sizes a library
mixes, one program for one page shape is all that has to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from rollcall_model import pooling

WINDOW = 12
STRIDE = 2


class Level(NamedTuple):
    """One image of one pyramid."""

    image: int  # which photograph of the batch
    scale: float  # pixels of the level for one pixel of the photograph
    pixels: Float32[np.ndarray, "h w 3"]  # 0..255, even height and width


class Piece(NamedTuple):
    """A part of a level and where it lies: all offsets are even."""

    level: int
    top: int  # in the level
    left: int
    height: int
    width: int
    page: int
    page_top: int
    page_left: int


def scales(height: int, width: int, min_face: int, factor: float) -> list[float]:
    """Return the scales at which faces from `min_face` pixels up to the image's size fill a window."""
    result = []
    scale = WINDOW / min_face
    while min(height, width) * scale >= WINDOW:
        result.append(scale)
        scale *= factor
    return result


def levels(index: int, sums: Int32[np.ndarray, "h1 w1 3"], min_face: int, factor: float) -> list[Level]:
    """Return the levels of the pyramid of the image whose integral image is `sums`."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    result = []
    for scale in scales(height, width, min_face, factor):
        pixels = pooling.resize(sums, int(height * scale + 1), int(width * scale + 1))
        odd_h, odd_w = pixels.shape[0] % 2, pixels.shape[1] % 2
        if odd_h or odd_w:
            pixels = np.pad(pixels, ((0, odd_h), (0, odd_w), (0, 0)), mode="edge")
        result.append(Level(index, scale, pixels))
    return result


class _Shelf(NamedTuple):
    page: int
    top: int
    height: int


def _cuts(length: int, limit: int) -> list[tuple[int, int]]:
    """Return (start, length) of the parts of one side, each at most `limit`, covering every window once."""
    windows = (length - WINDOW) // STRIDE + 1
    parts = -(-windows // ((limit - WINDOW) // STRIDE + 1))
    edges = [windows * part // parts for part in range(parts + 1)]
    return [
        (STRIDE * low, STRIDE * (high - low) + WINDOW - STRIDE) for low, high in zip(edges, edges[1:], strict=False)
    ]


def pack(all_levels: Sequence[Level], page_height: int, page_width: int) -> tuple[list[Piece], int]:
    """Return where every piece lies, and how many pages that takes.

    Pieces are laid on shelves, tallest first, each on the shelf that fits it most tightly.
    """
    parts = [
        (height, width, number, top, left)
        for number, level in enumerate(all_levels)
        for top, height in _cuts(level.pixels.shape[0], page_height)
        for left, width in _cuts(level.pixels.shape[1], page_width)
    ]
    parts.sort(key=lambda part: (-part[0], -part[1]))
    shelves: list[_Shelf] = []
    used_width: list[int] = []
    page_used: list[int] = []
    pieces = []
    for height, width, number, top, left in parts:
        best, best_waste = -1, page_height + 1
        for index, shelf in enumerate(shelves):
            waste = shelf.height - height
            if 0 <= waste < best_waste and used_width[index] + width <= page_width:
                best, best_waste = index, waste
                if waste == 0:
                    break
        if best < 0:
            page = next((p for p, used in enumerate(page_used) if used + height <= page_height), len(page_used))
            if page == len(page_used):
                page_used.append(0)
            best = len(shelves)
            shelves.append(_Shelf(page, page_used[page], height))
            used_width.append(0)
            page_used[page] += height
        shelf = shelves[best]
        pieces.append(Piece(number, top, left, height, width, shelf.page, shelf.top, used_width[best]))
        used_width[best] += width
    return pieces, len(page_used)


def draw(
    all_levels: Sequence[Level], pieces: Sequence[Piece], pages: int, page_height: int, page_width: int
) -> Float32[np.ndarray, "p h w 3"]:
    """Return the pages with every piece in its place."""
    result = np.zeros((pages, page_height, page_width, 3), np.float32)
    for piece in pieces:
        source = all_levels[piece.level].pixels
        result[
            piece.page,
            piece.page_top : piece.page_top + piece.height,
            piece.page_left : piece.page_left + piece.width,
        ] = source[piece.top : piece.top + piece.height, piece.left : piece.left + piece.width]
    return result
