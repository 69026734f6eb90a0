"""Levels of many pyramids on one strip: every window once, nothing on top of anything, pixels averaged exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall_model import pooling, pyramid
from rollcall_model.pyramid import SHARED, STRIDE, WINDOW

WIDTH = 98


def mixed(seed: int, count: int) -> list[pyramid.Level]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(12, 400, (count, 2)).tolist()
    return [level for i, (h, w) in enumerate(sizes) for level in pyramid.levels(i, h, w, 20, 0.709)]


@pytest.mark.parametrize("seed", range(5))
def test_every_window_of_every_level_lies_on_the_strip_once(seed: int) -> None:
    levels = mixed(seed, 9)
    pieces, rows = pyramid.pack(levels, WIDTH)
    owners = pyramid.owners(pieces, rows, WIDTH)
    table = pyramid.positions(pieces)
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
def test_pieces_do_not_lie_on_top_of_each_other(seed: int) -> None:
    pieces, rows = pyramid.pack(mixed(seed, 9), WIDTH)
    ground = np.zeros((rows, WIDTH), int)
    for piece in pieces:
        ground[piece.top : piece.top + piece.height, piece.column : piece.column + piece.width] += 1
        assert piece.column + piece.width <= WIDTH
        assert piece.top % 2 == piece.column % 2 == piece.height % 2 == piece.width % 2 == 0
    assert ground.max() == 1


def test_a_batch_of_photographs_fills_its_strip() -> None:
    levels = [level for i in range(16) for level in pyramid.levels(i, 960, 1280, 40, 0.709)]
    _, rows = pyramid.pack(levels, 194)
    assert sum(level.height * level.width for level in levels) > 0.85 * rows * 194


def test_pages_share_the_rows_that_a_window_on_the_border_needs() -> None:
    height, count = 30, 3
    strip = np.arange((count * (height - SHARED) + SHARED) * 4 * 3, dtype=np.float32).reshape(-1, 4, 3)
    pages = pyramid.pages(strip, count, height)
    np.testing.assert_array_equal(pages[0][-SHARED:], pages[1][:SHARED])
    np.testing.assert_array_equal(pages[2], strip[-height:])


def test_levels_are_means_of_whole_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 97, 3)).astype(np.uint8)
    for level in pyramid.levels(0, *image.shape[:2], min_face=20, factor=0.6):
        pieces, rows = pyramid.pack([level], 34)
        strip = np.zeros((rows, 34, 3), np.float32)
        pyramid.draw(pooling.integral(image), level, pieces, strip)
        h, w = level.inner_height, level.inner_width
        for piece in pieces:
            for row, column in np.ndindex(piece.height, piece.width):
                i, j = min(row, h - 1), min(column + piece.left, w - 1)
                part = image[i * 61 // h : -(-(i + 1) * 61 // h), j * 97 // w : -(-(j + 1) * 97 // w)]
                np.testing.assert_allclose(strip[piece.top + row, piece.column + column], part.mean((0, 1)), atol=1e-3)


def test_the_integral_image_of_nothing_is_empty() -> None:
    assert pooling.integral(np.zeros((0, 5, 3), np.uint8)).shape == (1, 1, 3)
