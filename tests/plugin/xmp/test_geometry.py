"""Boxes of the upright picture and areas of the stored one, in all eight orientations."""

from __future__ import annotations

import numpy as np
import pytest

from drawn import stored
from rollcall.records import Box
from rollcall.xmp.geometry import Size, clipped, stored_size, to_stored, to_upright

BOX = Box(0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_area_covers_in_the_stored_picture_what_the_box_covers_in_the_upright_one(orientation: int) -> None:
    upright = np.zeros((100, 200, 3), np.uint8)
    upright[20:60, 20:80] = 255
    pixels = stored(upright, orientation)
    height, width = pixels.shape[:2]
    rows, columns = np.nonzero(pixels[..., 0])
    found = (columns.min() / width, rows.min() / height, np.ptp(columns + 0) / width, np.ptp(rows) / height)
    area = to_stored(BOX, orientation)
    assert found[:2] == pytest.approx(area[:2])
    assert found[2:] == pytest.approx(area[2:], abs=0.011)
    assert stored_size(200, 100, orientation) == (width, height)


@pytest.mark.parametrize("orientation", [0, *range(1, 9), 9])
def test_turning_there_and_back_gives_the_same_box(orientation: int) -> None:
    assert to_upright(to_stored(BOX, orientation), orientation) == pytest.approx(BOX)


def test_a_reduced_picture_fits_and_a_cropped_one_does_not() -> None:
    assert Size(4000, 3000).fits(Size(1024, 768))
    assert Size(4032, 3024).fits(Size(1000, 749))
    assert not Size(4000, 3000).fits(Size(3000, 3000))
    assert not Size(4000, 3000).fits(Size(3000, 4000))
    assert not Size(0, 0).fits(Size(3000, 4000))


def test_what_lies_outside_of_the_picture_is_cut_off() -> None:
    assert clipped(Box(-0.1, 0.5, 0.3, 0.7)) == pytest.approx((0, 0.5, 0.2, 0.5))
    assert clipped(Box(1.1, 0.5, 0.3, 0.7)) is None
