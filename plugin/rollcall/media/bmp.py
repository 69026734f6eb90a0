"""Decode BMP files of 16 and 32 bits a pixel whose colours lie in bit fields of any width, which Pillow refuses."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.media.conversion import Pixels, from_array
from rollcall.media.job import Decoded, Job, Refused, check_size

_BITFIELDS: Final = (3, 6)
_ROWS: Final = 64


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
    if not all(0 < mask < 1 << bits for mask in masks):
        raise Refused("an empty bit field, or one that is too wide")
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


def _field(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    """Return a bit field scaled to 0..255."""
    shift = (mask & -mask).bit_length() - 1
    highest = mask >> shift
    field = (values & values.dtype.type(mask)) >> values.dtype.type(shift)
    return np.asarray(np.rint(field.astype(np.float32) * np.float32(255 / highest)), np.uint8)
