"""Decode WebP files: by OpenCV, which takes a third of the memory that Pillow takes, or by Pillow."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from rollcall.media import jpeg, pillow_formats, webp_chunks
from rollcall.media.conversion import from_array
from rollcall.media.job import Decoded, Job, Refused, check_size

#: Zeros are decoded as pixels of no great difference to those before, which shows what is there.
_MOST_PADDING: Final = 64 << 20


def by_opencv(job: Job) -> Decoded:
    """Decode a WebP of one picture, or the first of an animation where that fills it.

    Raises
    ------
    Refused
        If it is an animation of other pictures, or OpenCV makes nothing of it.
    """
    width, height = webp_chunks.size(job.data)
    data = job.data
    if webp_chunks.is_animated(data):
        data = webp_chunks.first_frame(data) or b""
        if not data:
            raise Refused("an animation whose first picture does not fill it")
    check_size(job, width, height)
    transparent = webp_chunks.has_alpha(data)
    # OpenCV's reduced reading would only take every other pixel here; the strips average all of them.
    flag = cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise Refused("OpenCV raises") from error
    if pixels is None or pixels.ndim != 3:
        raise Refused("OpenCV makes nothing of it")
    return Decoded(from_array(jpeg.to_rgb(np.asarray(pixels, np.uint8)), job.target), width, height)


def by_pillow(job: Job) -> Decoded:
    """Decode any sound WebP, the first picture of an animation."""
    return pillow_formats.decode(job, ("WEBP",))


def padded(job: Job) -> Decoded:
    """Decode a WebP that ends early, with zeros for what is missing.

    Raises
    ------
    Refused
        If nothing of it can be shown.
    """
    claimed = int.from_bytes(job.data[4:8], "little") + 8
    missing = claimed - len(job.data)
    if not 0 < missing <= _MOST_PADDING:
        raise Refused("nothing is missing")
    filled = job._replace(data=job.data + bytes(missing))
    try:
        found = by_opencv(filled)
    except Refused:
        found = by_pillow(filled)
    return pillow_formats.unless_blank(found._replace(warnings=(jpeg.CUT_OFF,)))
