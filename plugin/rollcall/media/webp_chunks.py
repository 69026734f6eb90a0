"""Read the chunks of WebP files (RFC 9649)."""

from __future__ import annotations

import struct
from typing import Final

_MOST_CHUNKS: Final = 1000
#: Bits of what an extended file has.
_ANIMATED, _TRANSPARENT = 2, 16


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the first chunk, in pixels; (0, 0) where there is none."""
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return 0, 0


def is_animated(data: bytes) -> bool:
    """Return whether a file holds several pictures."""
    return data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & _ANIMATED)


def has_alpha(data: bytes) -> bool:
    """Return whether a file declares an alpha channel."""
    if data[12:16] == b"VP8X" and len(data) > 20:
        return bool(data[20] & _TRANSPARENT)
    return data[12:16] == b"VP8L" and len(data) > 24 and bool(data[24] & 16)


def is_lossy(data: bytes) -> bool:
    """Return whether the first picture of a file is a lossy one."""
    position = 12
    for _ in range(_MOST_CHUNKS):
        kind = data[position : position + 4]
        if kind in (b"VP8 ", b"VP8L", b"ANMF") or len(kind) < 4:
            return kind == b"VP8 "
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False


def first_frame(data: bytes) -> bytes | None:
    """Return the first picture of an animation as a file of its own; None if it does not fill the animation.

    What decodes animations holds three pictures with transparency beside the result.
    """
    if not is_animated(data):
        return None
    position = 12
    for _ in range(_MOST_CHUNKS):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if kind == b"ANMF":
            break
        if position + 8 >= len(data):
            return None
        position += 8 + length + length % 2
    start, end = position + 8, position + 8 + length
    left, top, right, bottom = (int.from_bytes(data[start + n : start + n + 3], "little") for n in (0, 3, 6, 9))
    if end > len(data) or left or top or (right + 1, bottom + 1) != size(data):
        return None
    transparent = data[start + 16 : start + 20] in (b"ALPH", b"VP8L")
    header = struct.pack("<4sIB3x", b"VP8X", 10, _TRANSPARENT * transparent) + data[24:30]
    return b"".join(
        [b"RIFF", struct.pack("<I", 4 + len(header) + end - start - 16), b"WEBP", header, data[start + 16 : end]]
    )
