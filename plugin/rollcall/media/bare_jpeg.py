"""JPEG files without what they tell beside the picture: where it was taken, who is on it, with which camera.

The picture itself is copied as it is. Kept are the colour profile, what decoders need, and which side is up. Segments
are those of ITU-T T.81, annex B; what follows the end of the picture (previews, motion) goes, too.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Final

from PIL import Image

#: The marker that follows a part of compressed data: no stuffed byte, restart or fill.
_NEXT: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_JFIF, _EXIF, _PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_APPLICATION: Final = range(0xE0, 0xF0)
_ORIENTATION: Final = 0x0112


def bare(data: bytes) -> bytes:
    """Return a JPEG file with the same picture and nothing that tells of it.

    Raises
    ------
    ValueError
        If it is no whole JPEG file.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    parts, place = [data[:2], _orientation(data)], 2
    while True:
        while data[place + 1 : place + 2] == b"\xff":
            place += 1  # fill
        if data[place : place + 1] != b"\xff" or (place + 4 > len(data) and data[place + 1 : place + 2] != b"\xd9"):
            raise ValueError("a JPEG without an end")
        marker = data[place + 1]
        if marker == _END:
            return b"".join([*parts, b"\xff\xd9"])
        stop = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
        if marker == _SCAN:
            following = _NEXT.search(data, stop)
            if following is None:
                raise ValueError("a JPEG without an end")
            stop = following.start()
        if _is_kept(marker, data[place + 4 : place + 16]):
            parts.append(data[place:stop])
        place = stop


def _is_kept(marker: int, content: bytes) -> bool:
    if marker == _PROFILE:
        return content.startswith(b"ICC_PROFILE\0")
    if marker == _JFIF:
        return content.startswith(b"JFIF\0")  # others hold previews
    return marker == _ADOBE or (marker not in _APPLICATION and marker != _COMMENT)


def _orientation(data: bytes) -> bytes:
    """Return the segment that says which side is up; nothing where none says so."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            side = image.getexif().get(_ORIENTATION)
    except (OSError, SyntaxError, struct.error) as error:
        raise ValueError("no JPEG") from error
    if side not in range(2, 9):
        return b""
    exif = Image.Exif()
    exif[_ORIENTATION] = side
    content = exif.tobytes()
    content = content if content.startswith(b"Exif\0\0") else b"Exif\0\0" + content
    return struct.pack(">BBH", 0xFF, _EXIF, len(content) + 2) + content
