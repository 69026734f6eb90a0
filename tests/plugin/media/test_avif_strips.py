"""Large AVIF files are decoded into the planes of the codec, and those made RGB some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, need, quarters
from rollcall.media import avif_strips, boxes, conversion, decoders, estimates
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, Refused


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    need("AVIF")
    pytest.importorskip("av")
    monkeypatch.setattr(avif_strips, "_LEAST_PIXELS", 1)
    # An odd number of strips, of which the bounds lie between two rows of colours.
    monkeypatch.setattr(conversion, "BLOCK", 640 * 21)


def by_pillow(job: Job) -> Decoded:
    return next(one for one in decoders._STRICT[Format.AVIF][1:])(job)


def smooth(width: int = 640, height: int = 480) -> Image.Image:
    """Return colours that change in all directions, without edges."""
    coarse = np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("target", [None, 200])
@pytest.mark.parametrize(
    ("layout", "range_"),
    [("4:2:0", "full"), ("4:2:2", "full"), ("4:4:4", "full"), ("4:0:0", "full"), ("4:2:0", "limited")],
)
def test_the_pixels_are_those_of_the_other_decoder(layout: str, range_: str, target: int | None) -> None:
    job = Job(Format.AVIF, encoded(smooth(639, 479), "AVIF", subsampling=layout, range=range_), target)
    found, expected = avif_strips.decode(job), by_pillow(job)
    assert (found.width, found.height) == (639, 479)
    assert found.pixels.shape == expected.pixels.shape
    difference = np.abs(found.pixels.astype(int) - expected.pixels)
    assert difference.mean() < 1
    assert difference.max() <= 6


def test_a_picture_is_made_smaller_on_the_way() -> None:
    job = Job(Format.AVIF, encoded(smooth(), "AVIF"), 500, most=550)
    assert 480 <= max(avif_strips.decode(job).pixels.shape) <= 550


def test_what_the_planes_hold_counts_towards_the_memory() -> None:
    data = encoded(smooth(), "AVIF", subsampling="4:4:4")
    found = avif_strips.find(data, 200)
    assert found is not None and found.plane_bytes == 640 * 480 * 3
    size = estimates.size(Format.AVIF, data)
    assert estimates.of_library(Format.AVIF, size, data, 200) > found.needed


def test_transparency_a_damaged_stream_and_other_files_are_left_to_other_decoders() -> None:
    opaque = np.full(quarters().shape[:2], 255, np.uint8)
    opaque[:8] = 100
    transparent = encoded(Image.fromarray(np.dstack([quarters(), opaque]), "RGBA"), "AVIF")
    whole = encoded(smooth(), "AVIF")
    item = boxes.main_item(whole)
    assert item is not None
    damaged = whole[: item.offset] + bytes(item.length)
    for data in (transparent, whole[:-100], damaged, b"", encoded(smooth(), "PNG")):
        with pytest.raises(Refused):
            avif_strips.decode(Job(Format.AVIF, data))
