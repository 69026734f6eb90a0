"""Decode HEIC files by libheif, without the copies that go through Pillow."""

from __future__ import annotations

import numpy as np

from rollcall.media.conversion import from_array
from rollcall.media.job import Decoded, Job, Refused, check_size


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
    except Exception as error:
        raise Refused(f"libheif: {error}") from error
    check_size(job, *found.size)
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
    return Decoded(from_array(pixels, job.target), width, height)
