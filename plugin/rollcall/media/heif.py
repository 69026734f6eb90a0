"""Decode HEIC files by libheif, without the copies that go through Pillow, and HEIC and AVIF files that end early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from rollcall.media import boxes, pillow_formats
from rollcall.media.conversion import from_array
from rollcall.media.job import Decoded, Job, Refused, check_size

_CUT_OFF: Final = "the file ends early; parts of the picture are missing"
_MOST_PADDING: Final = 256 << 20
#: What a file that ends early is filled with, and what share of it is dropped first: the decoders of AV1 refuse symbols
#: that cannot be, so that some endings cannot be gone on from.
_FILLINGS: Final = tuple((share, byte) for share in (0.0, 0.02, 0.1, 0.25) for byte in (b"\0", b"\xff"))


def decode(job: Job) -> Decoded:
    """Decode the main picture; libheif turns it as `irot` and `imir` demand.

    Raises
    ------
    Refused
        If libheif cannot decode it.
    """
    import pillow_heif

    try:
        found = pillow_heif.open_heif(job.data, convert_hdr_to_8bit=True)
        size = found.size  # which raises where there is no picture
    except Exception as error:
        raise Refused(f"libheif: {error}") from error
    check_size(job, *size)
    try:
        pixels = np.asarray(found)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"libheif: {error}") from error
    height, width = pixels.shape[:2]
    if found.mode not in ("RGB", "RGBA", "L", "LA"):
        raise Refused(f"libheif: mode {found.mode}")
    if found.mode == "LA":
        pixels = pixels[..., [0, 0, 0, 1]]
    # Of a picture in tiles libheif leaves those out that are not there, without a word.
    cut = boxes.end_of_items(job.data) > len(job.data)
    result = Decoded(from_array(pixels, job.target), width, height, warnings=(_CUT_OFF,) if cut else ())
    return pillow_formats.unless_blank(result) if cut else result


def padded(job: Job) -> Decoded:
    """Decode a HEIC that ends early, with zeros for what is missing.

    Raises
    ------
    Refused
        If nothing is missing, or nothing can be shown.
    """
    return _padded(job, decode, _FILLINGS[:1])


def padded_avif(job: Job) -> Decoded:
    """Decode an AVIF that ends early, as `padded` does."""
    return _padded(job, lambda one: pillow_formats.decode(one, ("AVIF",)), _FILLINGS)


def _padded(job: Job, decoder: Callable[[Job], Decoded], fillings: tuple[tuple[float, bytes], ...]) -> Decoded:
    missing = boxes.end_of_items(job.data) - len(job.data)
    if not 0 < missing <= _MOST_PADDING:
        raise Refused("nothing is missing")
    refused = Refused("nothing to show")
    for share, byte in fillings:
        # A block of EXIF that is not there makes libavif refuse the picture: it gets another name.
        kept = job.data[: int(len(job.data) * (1 - share))].replace(b"Exif", b"none")
        try:
            found = decoder(job._replace(data=kept.ljust(len(job.data) + missing, byte)))
            return pillow_formats.unless_blank(found._replace(warnings=(_CUT_OFF,)))
        except Refused as error:
            refused = error
    raise refused
