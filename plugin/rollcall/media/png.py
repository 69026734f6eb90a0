"""Decode PNG files, written anew without what the pixels do not need; large ones in strips of rows."""

from __future__ import annotations

from typing import Final

from rollcall.media import pillow_formats, png_chunks, png_strips
from rollcall.media.job import Decoded, Job, Refused, check_size

_CUT_OFF: Final = "the file is damaged or ends early; about {:.0%} of the picture is missing"
#: Less than this is a row or two.
_SMALL_LOSS: Final = 0.001


def decode(job: Job) -> Decoded:
    """Decode a PNG whose pixels are sound, whatever its texts and checksums.

    Raises
    ------
    Refused
        If Pillow cannot decode all pixels.
    """
    header = png_chunks.header(job.data)
    if header is not None and png_strips.pays(header, job.target, job.most):
        check_size(job, header.width, header.height)
        pixels = png_strips.decode(job.data, header, job.target, job.most)
        return Decoded(pixels, header.width, header.height)
    return pillow_formats.decode(job._replace(data=png_chunks.essential(job.data)), ("PNG",))._replace(exif=b"")


def refilled(job: Job) -> Decoded:
    """Decode a PNG up to its first damage.

    Raises
    ------
    Refused
        If nothing of it can be shown.
    """
    data, missing = png_chunks.refilled(job.data)
    if missing >= 1:
        raise Refused("no pixels")
    found = decode(job._replace(data=data))
    warnings = (_CUT_OFF.format(missing),) if missing > _SMALL_LOSS else ()
    return pillow_formats.unless_blank(found._replace(warnings=warnings)) if warnings else found
