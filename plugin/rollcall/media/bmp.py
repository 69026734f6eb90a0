"""Decode BMP files that Pillow refuses: bit fields of any width, palettes of 2 bits or of a size that is not that of
their pixels, and the short header of OS/2.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.media.conversion import Pixels, from_array, from_blocks
from rollcall.media.job import Decoded, Job, Refused, check_size

_BITFIELDS: Final = (3, 6)
_ROWS: Final = 64
#: Sizes of the header: OS/2's first and shortened ones, and Windows' from version 3 to 5.
_SMALLEST_HEADER: Final = 12
_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def by_fields(job: Job) -> Decoded:
    """Decode a BMP with bit fields.

    Raises
    ------
    Refused
        If it has none, or rows are missing.
    """
    data = job.data
    if len(data) < 66:
        raise Refused("too short")
    start, header = struct.unpack_from("<II", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if header < 40 or compression not in _BITFIELDS or bits not in (16, 32) or width <= 0 or height == 0:
        raise Refused("no bit fields")
    check_size(job, width, abs(height))
    masks = struct.unpack_from("<III", data, 54)
    if not any(masks) or not all(mask < 1 << bits for mask in masks):
        raise Refused("no bit field, or one that is too wide")
    stride = (width * bits + 31) // 32 * 4
    rows = min((len(data) - start) // stride, abs(height))
    if rows < abs(height):
        raise Refused("rows are missing")
    stored = np.frombuffer(data, np.uint8, rows * stride, start).reshape(rows, stride)
    pixels = np.zeros((rows, width, 3), np.uint8)
    for top in range(0, rows, _ROWS):
        part = stored[top : top + _ROWS, : width * bits // 8]
        values = np.ascontiguousarray(part).view("<u2" if bits == 16 else "<u4")
        for channel, mask in enumerate(masks):
            pixels[top : top + _ROWS, :, channel] = _field(values, mask)
    upright: Pixels = pixels if height < 0 else pixels[::-1]
    return Decoded(from_array(np.ascontiguousarray(upright), job.target), width, abs(height))


def by_palette(job: Job) -> Decoded:
    """Decode a BMP of 1, 2, 4 or 8 bits a pixel that is not packed, whatever it says of its palette.

    Raises
    ------
    Refused
        If it is none, or rows are missing.
    """
    data = job.data
    if len(data) < 54:
        raise Refused("too short")
    start, header = struct.unpack_from("<II", data, 10)
    if header == _SMALLEST_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        entry = 3
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        entry = 4
    packed = struct.unpack_from("<I", data, 30)[0] if header >= 20 else 0
    if header not in _HEADERS or packed or bits not in (1, 2, 4, 8) or width <= 0 or height == 0:
        raise Refused("no palette")
    check_size(job, width, abs(height))
    colours = np.zeros((256, 3), np.uint8)
    count = max(min((start - 14 - header) // entry, 256), 0)
    stored = np.frombuffer(data, np.uint8, count * entry, 14 + header).reshape(count, entry)
    colours[:count] = stored[:, 2::-1]
    stride = (width * bits + 31) // 32 * 4
    if (len(data) - start) // stride < abs(height):
        raise Refused("rows are missing")
    rows = np.frombuffer(data, np.uint8, stride * abs(height), start).reshape(abs(height), stride)
    if height > 0:
        rows = rows[::-1]
    each = 8 // bits
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)

    def block(left: int, top: int, right: int, bottom: int) -> Pixels:
        part = rows[top:bottom, left // each : -(-right // each), None] >> shifts & np.uint8((1 << bits) - 1)
        numbers = part.reshape(bottom - top, -1)[:, left % each :][:, : right - left]
        return np.asarray(colours[numbers], np.uint8)

    return Decoded(from_blocks(block, width, abs(height), job.target), width, abs(height))


def _field(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    """Return a bit field scaled to 0..255; zeros without one."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    highest = mask >> shift
    field = (values & values.dtype.type(mask)) >> values.dtype.type(shift)
    return np.asarray(np.rint(field.astype(np.float32) * np.float32(255 / highest)), np.uint8)
