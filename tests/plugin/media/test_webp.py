"""Of an animated WebP the first picture is decoded as a file of its own, where it fills the animation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, quarters
from rollcall.media import decoders, webp, webp_chunks
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
