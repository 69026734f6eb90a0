"""Many pyramids packed on one canvas: every window once, no overlaps, pixels averaged exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall_model.detection import packing, pyramid
from rollcall_model.detection.packing import OVERLAP
from rollcall_model.detection.pyramid import STRIDE, WINDOW
from rollcall_model.nn import pooling

WIDTH = 98


def mixed(seed: int, count: int) -> list[pyramid.Level]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(12, 400, (count, 2)).tolist()
    return [level for i, (h, w) in enumerate(sizes) for level in pyramid.levels(i, h, w, 20, 0.709)]


@pytest.mark.parametrize("seed", range(5))
def test_every_window_of_every_level_is_on_the_canvas_once(seed: int) -> None:
    levels = mixed(seed, 9)
    pieces, rows = packing.pack(levels, WIDTH)
    owners = packing.owners(pieces, rows, WIDTH)
    table = packing.positions(pieces)
    row, column = np.nonzero(owners >= 0)
    level, x, y = table[owners[row, column]].T
    seen = list(zip(level, row * STRIDE + y, column * STRIDE + x, strict=True))
    wanted = {
        (number, top, left)
        for number, one in enumerate(levels)
        for top in range(0, one.height - WINDOW + 1, STRIDE)
        for left in range(0, one.width - WINDOW + 1, STRIDE)
    }
    assert len(seen) == len(set(seen))
    assert set(seen) == wanted


@pytest.mark.parametrize("seed", range(5))
def test_pieces_do_not_overlap(seed: int) -> None:
    pieces, rows = packing.pack(mixed(seed, 9), WIDTH)
    covered = np.zeros((rows, WIDTH), int)
    for piece in pieces:
        covered[piece.top : piece.top + piece.height, piece.column : piece.column + piece.width] += 1
        assert piece.column + piece.width <= WIDTH
        assert piece.top % 2 == piece.column % 2 == piece.height % 2 == piece.width % 2 == 0
    assert covered.max() == 1


def test_a_batch_of_photographs_fills_its_canvas() -> None:
    levels = [level for i in range(16) for level in pyramid.levels(i, 960, 1280, 40, 0.709)]
    _, rows = packing.pack(levels, 194)
    assert sum(level.height * level.width for level in levels) > 0.85 * rows * 194


def test_tiles_share_the_rows_that_a_window_on_the_border_needs() -> None:
    height, count = 30, 3
    canvas = np.arange((count * (height - OVERLAP) + OVERLAP) * 4 * 3, dtype=np.float32).reshape(-1, 4, 3)
    tiles = packing.tiles(canvas, count, height)
    np.testing.assert_array_equal(tiles[0][-OVERLAP:], tiles[1][:OVERLAP])
    np.testing.assert_array_equal(tiles[2], canvas[-height:])


def test_levels_are_means_of_whole_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 97, 3)).astype(np.uint8)
    for level in pyramid.levels(0, *image.shape[:2], min_face=20, factor=0.6):
        pieces, rows = packing.pack([level], 34)
        canvas = np.zeros((rows, 34, 3), np.float32)
        packing.draw(pooling.integral(image), level, pieces, canvas)
        h, w = level.inner_height, level.inner_width
        for piece in pieces:
            for row, column in np.ndindex(piece.height, piece.width):
                i, j = min(row, h - 1), min(column + piece.left, w - 1)
                part = image[i * 61 // h : -(-(i + 1) * 61 // h), j * 97 // w : -(-(j + 1) * 97 // w)]
                np.testing.assert_allclose(canvas[piece.top + row, piece.column + column], part.mean((0, 1)), atol=1e-3)


def test_the_integral_image_of_nothing_is_empty() -> None:
    assert pooling.integral(np.zeros((0, 5, 3), np.uint8)).shape == (1, 1, 3)
