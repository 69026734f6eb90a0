"""Of an animated WebP the first picture is decoded as a file of its own, and large ones into planes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, quarters
from rollcall.media import conversion, decoders, estimates, libwebp, webp, webp_chunks
from rollcall.media.formats import Format
from rollcall.media.job import Job, Refused


def animated(mode: str = "RGB", **options: object) -> bytes:
    first = Image.fromarray(quarters(320, 240)).convert(mode)
    if mode == "RGBA":
        first.putalpha(Image.linear_gradient("L").resize(first.size))
    return encoded(first, "WEBP", save_all=True, append_images=[first.rotate(180)], **options)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_first_picture_is_what_the_decoder_of_animations_makes(mode: str, lossless: bool) -> None:
    data = animated(mode, lossless=lossless)
    assert webp_chunks.is_animated(data)
    job = Job(Format.WEBP, data, 200)
    found, expected = webp.by_opencv(job), webp.by_pillow(job)
    assert (found.width, found.height) == (320, 240)
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 1


def test_an_animation_that_ends_in_its_first_picture_or_begins_elsewhere_is_left_to_the_other_decoder() -> None:
    data = bytearray(animated(lossless=True))
    place = data.index(b"ANMF")
    with pytest.raises(Refused):
        webp.by_opencv(Job(Format.WEBP, bytes(data[: place + 60])))
    assert webp_chunks.first_frame(bytes(data[: place + 2])) is None
    data[place + 14] -= 1  # narrower than the animation
    assert webp_chunks.first_frame(bytes(data)) is None
    assert decoders.decode(Job(Format.WEBP, animated()), lenient=False).pixels.shape == (240, 320, 3)


# ---- Large ones


def drawn(mode: str, width: int = 401, height: int = 303) -> Image.Image:
    coarse = np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small pictures decoded as large ones are, in strips whose bounds lie between two rows of colours."""
    if not libwebp.is_there():
        pytest.skip("libwebp is no library of its own here")
    monkeypatch.setattr(webp, "_LEAST_PIXELS", 1)
    monkeypatch.setattr(conversion, "BLOCK", 401 * 21)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("target", [None, 100])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("animated", [False, True])
def test_planes_give_the_pixels_of_the_other_decoder(mode: str, animated: bool, target: int | None) -> None:
    options = {"save_all": True, "append_images": [drawn(mode).transpose(Image.Transpose.ROTATE_180)]}
    job = Job(
        Format.WEBP, encoded(drawn(mode), "WEBP", lossless=False, quality=90, **(options if animated else {})), target
    )
    found, expected = webp.by_planes(job), webp.by_opencv(job)
    assert (found.width, found.height) == (401, 303)
    assert found.pixels.shape == expected.pixels.shape
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 4


@pytest.mark.usefixtures("large")
def test_planes_are_made_smaller_on_the_way_and_count_towards_the_memory() -> None:
    data = encoded(drawn("RGBA"), "WEBP", lossless=False)
    assert 200 <= max(webp.by_planes(Job(Format.WEBP, data, 200, most=230)).pixels.shape) <= 230
    size = estimates.Size(401, 303)
    needed = estimates.of_webp(size, data, 200)
    assert needed == estimates.of_strips(size, data, 200, None) + 401 * 303 * 3 // 2 + 401 * 303 * 2


@pytest.mark.usefixtures("large")
def test_lossless_and_damaged_pictures_are_left_to_the_other_decoder() -> None:
    whole = encoded(drawn("RGB"), "WEBP", lossless=False)
    for data in (encoded(drawn("RGB"), "WEBP", lossless=True), whole[: len(whole) // 2], b"RIFF", b""):
        with pytest.raises(Refused):
            webp.by_planes(Job(Format.WEBP, data))
