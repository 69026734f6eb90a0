"""Decode JPEG 2000 files, at a half, a quarter or less of the size for as much less memory, also those that end early.

OpenJPEG refuses those, though their first part holds the picture coarsely. The codestream is that of ISO/IEC 15444-1.
"""

from __future__ import annotations

from typing import Final

from rollcall.media import pillow_formats
from rollcall.media.conversion import factor_for
from rollcall.media.job import Decoded, Job, Refused

_COARSE: Final = "the file ends early; parts of the picture are coarse or missing"
_START: Final = b"\xff\x4f\xff\x51"
_TILE_PART: Final = b"\xff\x90"
#: Where a segment says how many resolutions the picture has: the marker, and the place behind its length.
_CODING_STYLE, _CODING_STYLE_OF_COMPONENT = 0xFF52, 0xFF53
_MOST_SEGMENTS: Final = 1000
_END: Final = b"\xff\xd9"
_MOST_PADDING: Final = 256 << 20
_MOST_TILE_PARTS: Final = 100_000


def decode(job: Job) -> Decoded:
    """Decode a sound file.

    Raises
    ------
    Refused
        If OpenJPEG cannot decode it.
    """
    return pillow_formats.decode(job, ("JPEG2000",), halvings=halvings(job.data, job.target))


def decode_damaged(job: Job) -> Decoded:
    """Decode what OpenJPEG can show of a damaged file.

    Raises
    ------
    Refused
        If that is nothing.
    """
    return pillow_formats.decode_damaged(job, ("JPEG2000",), halvings=halvings(job.data, job.target))


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the SIZ marker (A.5.1), in pixels; (0, 0) without one."""
    place = data.find(_START, 0, 1 << 20)
    if place < 0:
        return 0, 0
    right, bottom, left, top = (int.from_bytes(data[place + 8 + 4 * n : place + 12 + 4 * n], "big") for n in range(4))
    return max(right - left, 0), max(bottom - top, 0)


def halvings(data: bytes, target: int | None) -> int:
    """Return how often a picture is halved while it is decoded: as `target` allows, and no more than it was encoded."""
    wanted = factor_for(*size(data), target).bit_length() - 1
    return min(wanted, _levels(data)) if wanted > 0 else 0


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
