"""Which decoders are asked for each format, and in which order: one that refuses is a reason to ask the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import cv2
import numpy as np

from rollcall.media import (
    avif,
    avif_strips,
    bmp,
    heif,
    heif_tiles,
    jpeg,
    jpeg2000,
    jxl,
    pillow_formats,
    png,
    pnm,
    raw,
    tiff,
    tiff_strips,
    video_file,
    webp,
)
from rollcall.media.conversion import at_most, from_array
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, NoVideo, Refused, check_size
from rollcall.media.pillow_formats import DAMAGED, unless_blank

Decoder = Callable[[Job], Decoded]

# OpenCV would log damaged files on standard error.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def by_opencv(job: Job) -> Decoded:
    """Decode what another decoder refuses.

    Raises
    ------
    Refused
        If OpenCV makes nothing of it either.
    """
    if job.kind is Format.JPEG2000 and jpeg2000.is_too_large(job.data):
        raise Refused("OpenCV would hold all of it")
    try:
        pixels = cv2.imdecode(np.frombuffer(job.data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise Refused("OpenCV raises") from error
    if pixels is None:
        raise Refused("OpenCV makes nothing of it")
    height, width = pixels.shape[:2]
    check_size(job, width, height)
    found = Decoded(from_array(jpeg.to_rgb(np.asarray(pixels, np.uint8)), job.target), width, height)
    if not pillow_formats.is_known(job):
        return found  # a variant that Pillow does not know, which is no damage
    return unless_blank(found._replace(warnings=(DAMAGED,)))


def _pillow(*names: str, turned: bool = False) -> Decoder:
    return partial(pillow_formats.decode, formats=names, turned=turned)


def _damaged(*names: str, turned: bool = False) -> Decoder:
    return partial(pillow_formats.decode_damaged, formats=names, turned=turned)


#: For sound files.
_STRICT: Final[dict[Format, tuple[Decoder, ...]]] = {
    Format.JPEG: (jpeg.by_opencv, jpeg.by_pillow),
    Format.PNG: (png.decode,),
    Format.WEBP: (webp.by_planes, webp.by_opencv, webp.by_pillow),
    Format.GIF: (_pillow("GIF"),),
    Format.BMP: (bmp.by_rows, bmp.by_fields, _pillow("BMP"), bmp.by_palette),
    Format.TIFF: (tiff_strips.decode, tiff.decode, tiff_strips.decode_whole),
    Format.PPM: (pnm.by_rows, pnm.decode, _pillow("PPM")),
    Format.JPEG2000: (jpeg2000.whole, jpeg2000.decode),
    Format.AVIF: (avif_strips.decode, heif_tiles.decode, _pillow("AVIF"), avif.main_item),
    Format.HEIF: (heif_tiles.decode, heif.decode),
    Format.JXL: (jxl.decode,),
    Format.RAW: (raw.decode, raw.as_tiff),
    Format.VIDEO: (video_file.decode,),
}
#: For damaged ones, in a process of its own: these may print, change globals and crash.
_LENIENT: Final[dict[Format, tuple[Decoder, ...]]] = {
    Format.JPEG: (
        jpeg.essential,
        _damaged("JPEG", "MPO"),
        by_opencv,
        jpeg.essential_damaged,
        jpeg.earlier_scans,
    ),
    Format.PNG: (png.refilled, _damaged("PNG"), by_opencv),
    Format.WEBP: (webp.padded, by_opencv),
    Format.GIF: (_damaged("GIF"), by_opencv),
    Format.BMP: (bmp.by_runs, _damaged("BMP"), by_opencv),
    Format.TIFF: (tiff_strips.decode_damaged, tiff.decode_damaged, _damaged("TIFF", turned=True), by_opencv),
    Format.PPM: (pnm.padded, _damaged("PPM"), by_opencv),
    Format.JPEG2000: (jpeg2000.padded, jpeg2000.decode_damaged, by_opencv),
    Format.AVIF: (_damaged("AVIF"), heif.padded_avif, by_opencv),
    Format.HEIF: (heif.padded,),
    Format.JXL: (_damaged("JXL"),),
    Format.RAW: (_damaged("TIFF", turned=True),),
    Format.VIDEO: (),
}


def decode(job: Job, *, lenient: bool) -> Decoded:
    """Ask one decoder after the other: those for sound files, or those for damaged ones.

    Raises
    ------
    Refused
        If all refuse.
    TooManyPixels
        If the picture has more than it may have.
    """
    refusals = []
    for decoder in (_LENIENT if lenient else _STRICT)[job.kind]:
        try:
            found = decoder(job)
        except NoVideo:
            raise
        except Refused as error:
            refusals.append(str(error))
        else:
            return found if job.most is None else found._replace(pixels=at_most(found.pixels, job.most))
    raise Refused("; ".join(refusals))
