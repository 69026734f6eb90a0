"""Decode JPEG 2000 files, at a half, a quarter or less of the size for as much less memory, also those that end early.

OpenJPEG refuses those, though their first part holds the picture coarsely. The codestream is that of ISO/IEC 15444-1.
Nothing between the whole and the half can be decoded. OpenCV makes the whole with a quarter less memory than Pillow.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from rollcall.media import boxes, pillow_formats
from rollcall.media.conversion import factor_for, from_array
from rollcall.media.job import Decoded, Job, Refused, check_size

_COARSE: Final = "the file ends early; parts of the picture are coarse or missing"
_START: Final = b"\xff\x4f\xff\x51"
_TILE_PART: Final = b"\xff\x90"
#: Where a segment says how many resolutions the picture has: the marker, and the place behind its length.
_CODING_STYLE, _CODING_STYLE_OF_COMPONENT = 0xFF52, 0xFF53
_MOST_SEGMENTS: Final = 1000
_END: Final = b"\xff\xd9"
_MOST_PADDING: Final = 256 << 20
_MOST_TILE_PARTS: Final = 100_000
#: Pixels from which on the whole is OpenCV's, and of a tile that is large: others are decoded one by one.
_LARGE, _LARGE_TILE = 12_000_000, 4_200_000
#: Bytes that the decoder may hold where a reduced picture is wanted: what takes more is halved though that is less than
#: was asked for.
_MOST_BYTES: Final = 820_000_000
#: Bytes for each pixel that is made: of the whole by OpenCV, by Pillow, and by Pillow out of tiles. What is not made
#: because a picture is halved takes some as well.
_BY_OPENCV, _BY_PILLOW, _OF_TILES, _UNREDUCED = 16, 22, 8, 0.6
#: The enumerated colours that OpenCV is asked for (I.5.3.3); those of an ICC profile are left alone by both.
_SRGB: Final = 16


def decode(job: Job) -> Decoded:
    """Decode a sound file.

    Raises
    ------
    Refused
        If OpenJPEG cannot decode it.
    """
    return pillow_formats.decode(job, ("JPEG2000",), reduced=reduced(job.data, job.target))


def whole(job: Job) -> Decoded:
    """Decode all pixels of a large sound file, by OpenCV.

    Raises
    ------
    Refused
        If it is none, is not RGB of 8 bits, is to be halved, or OpenCV makes nothing of it.
    """
    if not is_by_opencv(job.data) or halvings(job.data, job.target):
        raise Refused("not a large JPEG 2000 of three equal components, or not the whole of it")
    width, height = size(job.data)
    check_size(job, width, height)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(job.data, np.uint8), flags)
    except cv2.error as error:
        raise Refused("OpenCV raises") from error
    if pixels is None or pixels.shape != (height, width, 3):
        raise Refused("OpenCV makes nothing of it")
    return Decoded(from_array(np.asarray(pixels, np.uint8), job.target), width, height)


def decode_damaged(job: Job) -> Decoded:
    """Decode what OpenJPEG can show of a damaged file.

    Raises
    ------
    Refused
        If that is nothing.
    """
    return pillow_formats.decode_damaged(job, ("JPEG2000",), reduced=reduced(job.data, job.target))


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the SIZ marker (A.5.1), in pixels; (0, 0) without one."""
    left, top, right, bottom = _area(data)
    return max(right - left, 0), max(bottom - top, 0)


def _area(data: bytes) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the picture on its reference grid; zeros without a SIZ marker."""
    place = data.find(_START, 0, 1 << 20)
    if place < 0:
        return 0, 0, 0, 0
    right, bottom, left, top = (int.from_bytes(data[place + 8 + 4 * n : place + 12 + 4 * n], "big") for n in range(4))
    return left, top, right, bottom


def is_by_opencv(data: bytes) -> bool:
    """Return whether the whole picture is decoded by OpenCV: large, of three components of 8 bits, none reduced."""
    place = data.find(_START, 0, 1 << 20)
    width, height = size(data)
    if width * height < _LARGE or _is_tiled(data) or data[place + 40 : place + 42] != b"\0\3":
        return False
    # Of each component: bits less one, with a sign in the highest; the distances of its samples.
    if data[place + 42 : place + 51] != b"\7\1\1" * 3:
        return False
    colours = boxes.first(data, b"jp2h", b"colr")
    if colours is None or data[colours.start] != 1:
        return True
    return int.from_bytes(data[colours.start + 3 : colours.start + 7], "big") == _SRGB


def _is_tiled(data: bytes) -> bool:
    """Return whether the picture is made of small tiles, by the SIZ marker."""
    place = data.find(_START, 0, 1 << 20)
    across, down = (int.from_bytes(data[place + n : place + n + 4], "big") for n in (24, 28))
    return 0 < across * down < _LARGE_TILE


def needed(data: bytes, halvings: int) -> int:
    """Return the bytes that decoding a picture takes that is halved so often, with those of its file twice."""
    width, height = size(data)
    each = _BY_OPENCV if not halvings and is_by_opencv(data) else _OF_TILES if _is_tiled(data) else _BY_PILLOW
    unreduced = 0 if _is_tiled(data) else int(width * height * _UNREDUCED)
    return (width * height >> 2 * halvings) * each + unreduced * bool(halvings) + 2 * len(data)


def is_too_large(data: bytes) -> bool:
    """Return whether the whole picture takes more memory, by OpenCV, than is taken at once."""
    width, height = size(data)
    return width * height * _BY_OPENCV > _MOST_BYTES


def halvings(data: bytes, target: int | None) -> int:
    """Return how often a picture is halved while it is decoded, and no more than it was encoded.

    As `target` allows, and of a picture with one so often that the decoder's memory is within bounds.
    """
    # Pillow halves no picture that begins elsewhere than its reference grid (Pillow 13).
    levels = 0 if any(_area(data)[:2]) else _levels(data)
    wanted = factor_for(*size(data), target).bit_length() - 1
    while target and wanted < levels and needed(data, wanted) > _MOST_BYTES:
        wanted += 1
    return min(wanted, levels) if wanted > 0 else 0


def reduced(data: bytes, target: int | None) -> pillow_formats.Reduced | None:
    """Return how a picture is halved, and what size it has then (B.5); None if it is not."""
    times = halvings(data, target)
    width, height = (-(-side >> times) for side in size(data))
    return pillow_formats.Reduced(times, width, height) if times else None


def _levels(data: bytes) -> int:
    """Return how often every component was halved, by the COD and COC markers (A.6.1, A.6.2) of the main header."""
    position = data.find(_START, 0, 1 << 20) + 2
    components = int.from_bytes(data[position + 38 : position + 40], "big")
    levels: list[int] = []
    for _ in range(_MOST_SEGMENTS):
        marker, length = (int.from_bytes(data[position + n : position + n + 2], "big") for n in (0, 2))
        if marker >> 8 != 0xFF or data[position : position + 2] == _TILE_PART or length < 2:
            break
        skip = {_CODING_STYLE: 9, _CODING_STYLE_OF_COMPONENT: 6 if components < 257 else 7}.get(marker)
        if skip is not None and position + skip < len(data):
            levels.append(data[position + skip])
        position += 2 + length
    return min(levels, default=0)


def padded(job: Job) -> Decoded:
    """Decode a file that ends early, with zeros, which are empty packets, for what is missing.

    Raises
    ------
    Refused
        If nothing is missing, or nothing can be shown.
    """
    missing = _claimed(job.data) - len(job.data)
    if not 0 < missing <= _MOST_PADDING:
        raise Refused("nothing is missing")
    # Of the end marker a byte can be there.
    filled = job.data + bytes(max(missing - len(_END), 0)) + _END[-min(missing, len(_END)) :]
    found = decode_damaged(job._replace(data=filled))
    return found._replace(warnings=(_COARSE,))


def _claimed(data: bytes) -> int:
    """Return where the file should end, by the length of its last tile-part (ISO/IEC 15444-1, A.4.2)."""
    position = data.find(_TILE_PART, max(data.find(_START, 0, 1 << 20), 0))
    for _ in range(_MOST_TILE_PARTS):
        if position < 0 or data[position : position + 2] != _TILE_PART:
            return position + len(_END)
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length < 12:
            return 0  # up to the end, wherever that is
        position += length
    return 0
