"""Mend JPEG 2000 files that end early: OpenJPEG refuses them, though their first part holds the picture coarsely."""

from __future__ import annotations

from typing import Final

from rollcall.media import pillow_formats
from rollcall.media.job import Decoded, Job, Refused

_COARSE: Final = "the file ends early; parts of the picture are coarse or missing"
_START: Final = b"\xff\x4f\xff\x51"
_TILE_PART: Final = b"\xff\x90"
_END: Final = b"\xff\xd9"
_MOST_PADDING: Final = 256 << 20
_MOST_TILE_PARTS: Final = 100_000


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
    found = pillow_formats.decode_damaged(job._replace(data=filled), formats=("JPEG2000",))
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
