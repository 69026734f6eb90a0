"""A JPEG without what it tells beside the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rollcall.media.bare_jpeg import bare

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def written(*, progressive: bool = False, orientation: int = 1) -> bytes:
    """Return a JPEG that tells a place, a name, a camera, and has a second picture behind it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.5), 3: "E", 4: (11.0, 34.0, 30.0)})
    out, profile = io.BytesIO(), b"a colour profile"
    Image.fromarray(PIXELS).save(
        out, "JPEG", exif=exif, xmp=b"<x>Anna in Ulm</x>", comment=b"by Anna", icc_profile=profile,
        progressive=progressive, restart_marker_rows=1,
    )  # fmt: skip
    return out.getvalue() + b"\xff\xd8 of the motion, in Ulm"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_picture_stays_as_it_is_and_nothing_else_does(progressive: bool, orientation: int) -> None:
    data = written(progressive=progressive, orientation=orientation)
    found = bare(data)
    assert not any(word in found for word in (b"Ulm", b"Anna", b"Camera"))
    with Image.open(io.BytesIO(found)) as image, Image.open(io.BytesIO(data)) as before:
        assert image.getexif().get_ifd(0x8825) == {} and image.getexif().get(0x0112, 1) == orientation
        assert image.info["icc_profile"] == b"a colour profile"
        assert np.array_equal(np.asarray(image), np.asarray(before))


def test_what_is_no_whole_jpeg_is_refused() -> None:
    data = written()
    for part in (b"", b"\xff\xd8", b"GIF89a", data[:200], data[: len(data) // 2]):
        with pytest.raises(ValueError, match="JPEG"):
            bare(part)
