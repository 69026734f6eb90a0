"""Decode the raw files of cameras: their large preview where there is one, else the raw data, by LibRaw."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np

from rollcall.media import exif, jpeg, jpeg_markers, pillow_formats
from rollcall.media.conversion import Pixels, from_array
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, Refused, TooManyPixels, check_size
from rollcall.media.orientation import swaps_sides, upright

#: A preview of at least so many pixels stands for the picture.
_LARGE_PREVIEW: Final = 1000
#: LibRaw's turns as EXIF orientations.
_FLIPS: Final = {0: 1, 3: 3, 5: 8, 6: 6}
#: A size in the header is believed if it is not further than this from that of the raw data.
_TOLERANCE: Final = 0.1
#: Bytes a pixel that LibRaw takes: the sensor's data, four colours of 16 bits, and RGB; the last two of half the size.
_WHOLE, _HALVED = 14, 6
#: Bytes that it may take where a reduced picture is wanted: what takes more is halved though that is less than was
#: asked for.
_MOST_BYTES: Final = 700_000_000


def decode(job: Job) -> Decoded:
    """Decode a raw file; width and height are those of the camera's picture, whatever the preview's.

    Raises
    ------
    Refused
        If LibRaw cannot read it.
    """
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(job.data)) as raw:
            width, height = _size(raw, job.data)
            check_size(job, width, height)
            orientation = _FLIPS.get(raw.sizes.flip, 1)
            preview = _preview(job, raw)
            if preview is not None:
                pixels = _turned(*preview, width, height, orientation)
            else:
                # Half the size takes the four colours of a square as one pixel: no interpolation, less work.
                pixels = raw.postprocess(half_size=is_halved(width, height, job.target), use_camera_wb=True)
    except (MemoryError, TooManyPixels, Refused):
        raise
    except Exception as error:
        raise Refused(f"LibRaw: {error}") from error
    if swaps_sides(orientation):
        width, height = height, width
    return Decoded(from_array(np.ascontiguousarray(pixels), job.target), width, height, turned=True)


def is_halved(width: int, height: int, target: int | None) -> bool:
    """Return whether a picture of that size is made half as large: where that leaves `target`, or memory demands it."""
    return target is not None and (max(width, height) // 2 >= target or width * height * _WHOLE > _MOST_BYTES)


def needed(width: int, height: int, file_bytes: int, target: int | None) -> int:
    """Return the bytes that decoding takes, with those of the file twice; `width` 0: the header does not say it."""
    # A sample has two bytes at most, beside the preview; a file's directories may give the size of that alone.
    if width * height * 5 >= file_bytes * 2:
        each = _HALVED if is_halved(width, height, target) else _WHOLE
        return width * height * each + 2 * file_bytes
    # Packed ones have a byte or more a pixel.
    whole = file_bytes * _WHOLE
    return (whole if target is None else max(min(whole, _MOST_BYTES), file_bytes * _HALVED)) + 2 * file_bytes


def _size(raw: Any, data: bytes) -> tuple[int, int]:
    """Return width and height as stored: those that the header gives, where they fit those of the raw data."""
    found = int(raw.sizes.width), int(raw.sizes.height)
    parsed = exif.read(data)
    written = parsed.size() if parsed else (0, 0)
    near = all(abs(one - other) <= _TOLERANCE * other for one, other in zip(written, found, strict=True))
    return written if near else found


def _preview(job: Job, raw: Any) -> tuple[Pixels, int | None] | None:
    """Return the camera's own large preview and the orientation in its EXIF; None if there is none."""
    import rawpy

    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format != rawpy.ThumbFormat.JPEG:
        large = preview.format == rawpy.ThumbFormat.BITMAP and max(preview.data.shape[:2]) >= _LARGE_PREVIEW
        return (np.asarray(preview.data, np.uint8), None) if large else None
    data = bytes(preview.data)
    frame = jpeg_markers.frame(data)
    if frame is None or max(frame.width, frame.height) < _LARGE_PREVIEW:
        return None
    part = job._replace(kind=Format.JPEG, data=data)
    try:
        decoded = jpeg.by_opencv(part)
    except Refused:
        try:
            decoded = jpeg.by_pillow(part)
        except Refused:
            return None
    block = next((content for name, content in jpeg_markers.blocks(data) if name == "exif"), b"")
    parsed = exif.read(block)
    return decoded.pixels, parsed.orientation() if parsed else None


def _turned(pixels: Pixels, own: int | None, width: int, height: int, orientation: int) -> Pixels:
    """Return a preview upright: by its own orientation, else by that of the raw file unless it is upright already."""
    if own is not None:
        return upright(pixels, own)
    lies = pixels.shape[1] > pixels.shape[0]
    if swaps_sides(orientation) and lies != (width > height):
        return pixels
    return upright(pixels, orientation)


def as_tiff(job: Job) -> Decoded:
    """Decode a file that only has the name of a raw file."""
    return pillow_formats.decode(job, ("TIFF",), turned=True)
