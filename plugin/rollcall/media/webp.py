"""Decode WebP files: large ones into planes, others by OpenCV, in a third of the memory of Pillow, or by Pillow."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from rollcall.media import jpeg, libwebp, pillow_formats, webp_chunks
from rollcall.media.conversion import blocks, from_array, from_blocks, step_for
from rollcall.media.job import Decoded, Job, Refused, check_size
from rollcall.media.planes import Strips

#: Zeros are decoded as pixels of no great difference to those before, which shows what is there.
_MOST_PADDING: Final = 64 << 20
#: Smaller pictures are made RGB at once.
_LEAST_PIXELS: Final = 40_000_000


def by_planes(job: Job) -> Decoded:
    """Decode a large lossy WebP, or the first picture of an animation where that fills it, some rows at a time.

    Raises
    ------
    Refused
        If it is none, or is damaged.
    """
    data = in_planes(job.data, job.target, job.most)
    if data is None:
        raise Refused("not a large lossy WebP")
    width, height = webp_chunks.size(data)
    check_size(job, width, height)
    strip = Strips(libwebp.planes(data, width, height, webp_chunks.has_alpha(data))).strip
    return Decoded(from_blocks(strip, width, height, job.target, job.most), width, height)


def in_planes(data: bytes, target: int | None, most: int | None = None) -> bytes | None:
    """Return the file of one picture that is large and lossy, for `by_planes`; None for any other."""
    width, height = webp_chunks.size(data)
    if width * height < _LEAST_PIXELS or not libwebp.is_there():
        return None
    many, _ = step_for(width, height, target, most)
    if any(right - left != width for left, _, right, _ in blocks(width, height, many)):
        return None
    single = webp_chunks.first_frame(data) if webp_chunks.is_animated(data) else data
    return single if single and webp_chunks.is_lossy(single) and webp_chunks.size(single) == (width, height) else None


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
