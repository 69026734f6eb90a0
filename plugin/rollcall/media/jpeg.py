"""Decode JPEG files: by OpenCV, at a half, a quarter or an eighth of the size for as much less work, or by Pillow.

Both use libjpeg. OpenCV makes RGB faster; Pillow knows pictures with four inks, and is silent about damage, which
OpenCV's libjpeg reports on the terminal. So what can be seen to be damaged goes to Pillow.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from rollcall.media import jpeg_markers, pillow_formats
from rollcall.media.conversion import Pixels, factor_for
from rollcall.media.job import Decoded, Job, Refused, check_size

CUT_OFF: Final = "the file ends early; the rest of the picture is blank"
_SCANS: Final = "the picture has more than {} scans; the later ones, which refine it, were left out"
_EOI: Final = b"\xff\xd9"
#: Bytes that are data of a scan as well as any.
_ANYTHING: Final = b"\x5a" * 256
#: Every scan of a progressive picture goes over all its pixels. Encoders write about ten; these limits keep what takes
#: longer, a file made to keep decoders busy, within some seconds.
_SCAN_MEGAPIXELS: Final = 2000
_FEWEST_SCANS, _MOST_SCANS = 12, 100
#: OpenCV's names for the steps of reduction. Those of colours mean blue, green, red, and exclude red, green, blue,
#: which libjpeg writes at once: to exchange them afterwards took 1 ms of a photo.
_FLAGS: Final = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: 0,
}
#: Larger pictures are not copied to exchange their channels, which takes longer, but changed a portion at a time.
_IN_ONE_PIECE: Final = 64 << 20
_PORTION: Final = 8 << 20


def by_opencv(job: Job) -> Decoded:
    """Decode a JPEG of one or three components whose segments and end are in order.

    Raises
    ------
    Refused
        If there is no frame, no end, or OpenCV makes nothing of it.
    """
    frame = jpeg_markers.frame(job.data)
    if frame is None or len(frame.sampling) not in (1, 3) or not frame.height:
        raise Refused("not a JPEG that OpenCV decodes")
    if not frame.clean or not jpeg_markers.has_end(job.data, frame.scan):
        raise Refused("bytes between segments, or no end of image")
    check_size(job, frame.width, frame.height)
    data, warnings = _with_few_scans(job.data, frame)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _flag_for(frame.width, frame.height, job.target))
    except cv2.error as error:
        raise Refused("OpenCV raises") from error
    if pixels is None:
        raise Refused("OpenCV makes nothing of it")
    return Decoded(np.asarray(pixels, np.uint8), frame.width, frame.height, warnings=warnings)


def by_pillow(job: Job) -> Decoded:
    """Decode any JPEG, also one that ends early.

    Raises
    ------
    Refused
        If nothing of it can be shown.
    """
    frame = jpeg_markers.frame(job.data)
    if frame is None:
        return pillow_formats.decode(job, ("JPEG", "MPO"))
    data, warnings = _with_few_scans(job.data, frame)
    cut = not jpeg_markers.has_end(data, frame.scan)
    try:
        found = pillow_formats.decode(job._replace(data=data), ("JPEG", "MPO"))
        # A copy that failed can have all its bytes, the last of them zeros.
        if cut and data.endswith(bytes(64)):
            warnings = (*warnings, CUT_OFF)
        return found._replace(warnings=warnings)
    except Refused:
        if not cut:
            raise
    # An end where the file ends makes libjpeg fill the rest.
    data = jpeg_markers.before_cut(data, frame.scan).rstrip(b"\xff")
    found = pillow_formats.decode(job._replace(data=data + _EOI), ("JPEG", "MPO"))
    # Of a picture in several scans the last ones may be missing altogether, which shows in no row.
    if frame.in_scans or not _is_complete(job._replace(data=data), found):
        found = pillow_formats.unless_blank(found._replace(warnings=(CUT_OFF,)))
    return found._replace(warnings=(*warnings, *found.warnings))


def essential(job: Job) -> Decoded:
    """Decode a JPEG whose header has damaged parts that decoding does not need.

    Raises
    ------
    Refused
        If nothing of it can be shown.
    """
    data = jpeg_markers.essential(job.data)
    found = by_pillow(job._replace(data=data))
    return pillow_formats.unless_blank(found._replace(warnings=found.warnings or (pillow_formats.DAMAGED,)))


def essential_damaged(job: Job) -> Decoded:
    """Decode as much as there is of a JPEG whose header has damaged parts, and whose scans are damaged, too.

    For a process of its own, as `pillow_formats.decode_damaged`.

    Raises
    ------
    Refused
        If nothing of it can be shown.
    """
    data = jpeg_markers.essential(job.data)
    return pillow_formats.decode_damaged(job._replace(data=data), ("JPEG",))


def earlier_scans(job: Job) -> Decoded:
    """Decode a progressive JPEG without the first scan that decoders give up at, and what comes behind it.

    Raises
    ------
    Refused
        If it is not progressive, or its first scan is damaged.
    """
    data = jpeg_markers.essential(job.data)
    frame = jpeg_markers.frame(data)
    if frame is None or not frame.in_scans:
        raise Refused("no picture in scans")
    data, _ = _with_few_scans(data, frame)
    ends = jpeg_markers.scans(data, frame.scan, _MOST_SCANS)[1:]
    best: Decoded | None = None
    # The scans up to one can be decoded or they cannot, and then neither with more of them.
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        try:
            best = pillow_formats.decode(job._replace(data=data[: ends[middle]] + _EOI), ("JPEG",))
            low = middle + 1
        except Refused:
            high = middle
    if best is None:
        raise Refused("no scan that can be decoded")
    return pillow_formats.unless_blank(best._replace(warnings=(pillow_formats.DAMAGED,)))


def _is_complete(job: Job, found: Decoded) -> bool:
    """Return whether nothing is missing but the end: what would come next makes no difference."""
    continued = pillow_formats.decode(job._replace(data=job.data + _ANYTHING + _EOI), ("JPEG", "MPO"))
    return np.array_equal(continued.pixels, found.pixels)


def _flag_for(width: int, height: int, target: int | None) -> int:
    """Return OpenCV's flag for RGB in the smallest size that keeps `target`, orientation left alone."""
    factor = factor_for(width, height, target)
    reduced = next(step for step in _FLAGS if factor >= step)
    return int(_FLAGS[reduced] | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def to_rgb(pixels: Pixels) -> Pixels:
    """Return (h, w, 3) or (h, w, 4) with blue and red exchanged; the pixels that are given are used up."""
    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    if pixels.nbytes <= _IN_ONE_PIECE:
        return np.asarray(cv2.cvtColor(pixels, code), np.uint8)
    rows = max(_PORTION // max(pixels.strides[0], 1), 1)
    for top in range(0, len(pixels), rows):
        pixels[top : top + rows] = cv2.cvtColor(pixels[top : top + rows], code)
    return pixels


def _with_few_scans(data: bytes, frame: jpeg_markers.Frame) -> tuple[bytes, tuple[str, ...]]:
    """Return the data up to as many scans as can be decoded in a reasonable time, and warnings."""
    if not frame.in_scans:
        return data, ()
    megapixels = max(frame.width * frame.height / 1e6, 1e-6)
    most = int(min(max(_SCAN_MEGAPIXELS / megapixels, _FEWEST_SCANS), _MOST_SCANS))
    starts = jpeg_markers.scans(data, frame.scan, most + 1)
    if len(starts) <= most:
        return data, ()
    return data[: starts[most]] + _EOI, (_SCANS.format(most),)
