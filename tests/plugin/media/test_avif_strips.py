"""Large AVIF files are decoded into the planes of the codec, and those made RGB some rows at a time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, need
from rollcall.media import avif_strips, boxes, conversion, decoders, estimates, libavif
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, Refused


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    need("AVIF")
    monkeypatch.setattr(avif_strips, "_LEAST_PIXELS", 1)
    # An odd number of strips, of which the bounds lie between two rows of colours.
    monkeypatch.setattr(conversion, "BLOCK", 640 * 21)


@pytest.fixture(params=["av", "libavif"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have one of two libraries decode."""
    if request.param == "av":
        pytest.importorskip("av")
    else:
        needs_libavif()
        monkeypatch.setattr(avif_strips, "installed", lambda name: False)
    return str(request.param)


def needs_libavif() -> None:
    if not libavif.is_there():
        pytest.skip("libavif is no library of its own here")


def by_pillow(job: Job) -> Decoded:
    return decoders._pillow("AVIF")(job)


def smooth(width: int = 640, height: int = 480) -> Image.Image:
    """Return colours that change in all directions, without edges."""
    coarse = np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.usefixtures("library")
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


@pytest.mark.parametrize("layout", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("target", [None, 200])
def test_what_is_transparent_is_laid_on_white(layout: str, target: int | None) -> None:
    needs_libavif()
    image = smooth(639, 479)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    job = Job(Format.AVIF, encoded(image, "AVIF", subsampling=layout), target)
    found, expected = avif_strips.decode(job), by_pillow(job)
    assert found.pixels.shape == expected.pixels.shape
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 6


def test_more_bits_are_those_of_the_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    needs_libavif()
    file = io.BytesIO()
    with av.open(file, "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", options={"preset": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.asarray(smooth()), format="rgb24").reformat(format="yuv420p10le")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    job = Job(Format.AVIF, file.getvalue(), 200)
    expected = avif_strips.decode(job).pixels
    monkeypatch.setattr(avif_strips, "installed", lambda name: False)
    assert np.array_equal(avif_strips.decode(job).pixels, expected)


@pytest.mark.usefixtures("library")
def test_a_picture_is_made_smaller_on_the_way() -> None:
    job = Job(Format.AVIF, encoded(smooth(), "AVIF"), 500, most=550)
    assert 480 <= max(avif_strips.decode(job).pixels.shape) <= 550


def test_what_the_planes_hold_counts_towards_the_memory() -> None:
    data = encoded(smooth(), "AVIF", subsampling="4:4:4")
    found = avif_strips.find(data, 200)
    assert found is not None and found.plane_bytes == 640 * 480 * 3
    size = estimates.size(Format.AVIF, data)
    assert estimates.of_library(Format.AVIF, size, data, 200) > found.needed


def test_transparency_counts_towards_the_memory() -> None:
    needs_libavif()
    image = smooth()
    plain = avif_strips.find(encoded(image, "AVIF", subsampling="4:4:4"), 200)
    image.putalpha(100)
    found = avif_strips.find(encoded(image, "AVIF", subsampling="4:4:4"), 200)
    assert plain is not None and found is not None
    assert found.plane_bytes == plain.plane_bytes + 640 * 480


@pytest.mark.usefixtures("library")
def test_a_damaged_stream_and_other_files_are_left_to_other_decoders() -> None:
    whole = encoded(smooth(), "AVIF")
    item = boxes.main_item(whole)
    assert item is not None
    damaged = whole[: item.offset] + bytes(item.length) + whole[item.offset + item.length :]
    for data in (whole[:-100], damaged, b"", encoded(smooth(), "PNG")):
        with pytest.raises(Refused):
            avif_strips.decode(Job(Format.AVIF, data))


def test_without_a_library_all_is_left_to_other_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avif_strips, "installed", lambda name: False)
    monkeypatch.setattr(libavif, "is_there", lambda: False)
    assert avif_strips.find(encoded(smooth(), "AVIF"), None) is None
