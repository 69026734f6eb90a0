"""Decode JPEG XL files, and read from their first bytes how large they are.

The decoder makes all the pixels as soon as a file is opened, and a file of some kilobytes can hold thousands of
megapixels; so the header is read here before. Pillow would copy them twice, so the decoder is asked without it. The
layout is that of ISO/IEC 18181-1 (size header) and 18181-2 (boxes).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
from PIL import Image

from rollcall.media import boxes, jpeg, jpeg_markers
from rollcall.media.conversion import Pixels, from_array, from_image
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, Refused, check_size

#: Samples of a pixel in the modes of 8 bits.
_CHANNELS: Final = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
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
    import pillow_jxl

    try:
        was_jpeg, header, content, _, extra = pillow_jxl.Decoder(num_threads=-1)(job.data)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"libjxl: {error}") from error
    if was_jpeg:
        return _jpeg(job, content)
    block = next((boxes.exif_block(bytes(one.data)) for one in extra if one.box_type == b"Exif"), b"")
    return Decoded(_pixels(header, content, job.target), header.width, header.height, True, block)


def _pixels(header: Any, content: bytes, target: int | None) -> Pixels:
    """Return what the decoder made, of any of Pillow's modes, as uint8 RGB (h, w, 3)."""
    channels = _CHANNELS.get(header.mode)
    if channels is None:
        # Of more than 8 bits a sample. Floating point of 16 bits comes as that of 32.
        mode = header.mode.replace("F;16", "F")
        try:
            return from_image(Image.frombytes(mode, (header.width, header.height), content), target)
        except ValueError as error:
            raise Refused(f"libjxl: mode {header.mode}") from error
    pixels = np.frombuffer(content, np.uint8).reshape(header.height, header.width, channels)
    if channels == 1:
        return from_array(pixels[..., 0], target)
    return from_array(pixels[..., [0, 0, 0, 1]] if channels == 2 else pixels, target)


def _jpeg(job: Job, data: bytes) -> Decoded:
    """Decode what was a JPEG and comes back as that, whose EXIF orientation applies."""
    part = job._replace(kind=Format.JPEG, data=data)
    try:
        found = jpeg.by_opencv(part)
    except Refused:
        found = jpeg.by_pillow(part)
    block = next((content for name, content in jpeg_markers.blocks(data) if name == "exif"), b"")
    return found._replace(exif=block)


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
