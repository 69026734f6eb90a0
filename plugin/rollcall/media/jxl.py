"""Decode JPEG XL files, and read from their first bytes how large they are.

The decoder makes all the pixels as soon as a file is opened, and a file of some kilobytes can hold thousands of
megapixels; so the header is read here before. The layout is that of ISO/IEC 18181-1 (size header) and 18181-2
(boxes).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from rollcall.media import pillow_formats
from rollcall.media.conversion import from_image
from rollcall.media.job import Decoded, Job, Refused, check_size

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
#: Signature and size header have at most 11 bytes.
_ENOUGH: Final = 16
#: Width by height for each value of the header's ratio but 0.
_RATIOS: Final = (
    Fraction(1),
    Fraction(12, 10),
    Fraction(4, 3),
    Fraction(3, 2),
    Fraction(16, 9),
    Fraction(5, 4),
    Fraction(2),
)


def decode(job: Job) -> Decoded:
    """Decode a picture. The decoder turns it by the codestream's orientation, except what was a JPEG.

    Raises
    ------
    Refused
        If libjxl cannot decode it.
    """
    check_size(job, *size(job.data))
    image = pillow_formats.opened(job.data, ("JXL",))
    try:
        image.load()
        pixels = from_image(image, job.target)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"libjxl: {error}") from error
    # What was a JPEG comes back as that JPEG, and its EXIF orientation applies; else the codestream overrides EXIF.
    turned = not getattr(image, "jpeg", False)
    return Decoded(pixels, *image.size, turned, bytes(image.info.get("exif") or b""))


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels as stored; (0, 0) of anything that is no JPEG XL."""
    codestream = _codestream(data)
    if not codestream.startswith(_CODESTREAM):
        return 0, 0
    bits = _Bits(codestream[2:])
    small = bits.take(1) == 1
    height = bits.side(small)
    ratio = bits.take(3)
    return (int(height * _RATIOS[ratio - 1]) if ratio else bits.side(small)), height


def _codestream(data: bytes) -> bytes:
    """Return the first `_ENOUGH` bytes of the codestream, out of its boxes if it has some."""
    if not data.startswith(_CONTAINER):
        return data[:_ENOUGH]
    found = b""
    start = 0
    while start + 8 <= len(data) and len(found) < _ENOUGH:
        length, kind, header = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if length == 1:
            length, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        end = start + length if length else len(data)
        if end < start + header:
            break
        if kind in (b"jxlc", b"jxlp"):
            # A part has its number before it.
            begin = start + header + (4 if kind == b"jxlp" else 0)
            found += data[begin : min(end, begin + _ENOUGH)]
        start = end
    return found[:_ENOUGH]


class _Bits:
    """Bits, the lowest of each byte first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def side(self, small: bool) -> int:
        return (self.take(5) + 1) * 8 if small else self.take((9, 13, 18, 30)[self.take(2)]) + 1
