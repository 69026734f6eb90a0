"""Decode BMP files that Pillow refuses: bit fields of any width, palettes of 2 bits or of a size that is not that of
their pixels, the short header of OS/2, and packed ones that end early.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.media import plain_rows
from rollcall.media.conversion import Pixels, from_blocks
from rollcall.media.job import Decoded, Job, Refused, check_size
from rollcall.media.pillow_formats import DAMAGED, unless_blank
from rollcall.media.plain_rows import Rows

_BITFIELDS: Final = (3, 6)
#: Compressions of runs: bits of a pixel by their number.
_RUNS: Final = {1: 8, 2: 4}
#: Escapes behind a zero: end of row, end of picture, move; from 3 on that many pixels follow.
_END_OF_ROW, _END, _MOVE = 0, 1, 2
#: Sizes of the header: OS/2's first and shortened ones, and Windows' from version 3 to 5.
_SMALLEST_HEADER: Final = 12
_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def size_in_rows(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a large file of which some rows are decoded at a time; None for any other."""
    found = rows(data)
    if found is None and len(data) >= plain_rows.LARGE:
        fields = _fields(data)
        found = fields[0] if fields is not None else None
    return None if found is None else found[:2]


def _fields(data: bytes) -> tuple[Rows, tuple[int, ...]] | None:
    """Return rows and masks of a BMP with bit fields of red, green and blue; None for any other."""
    if len(data) < 66:
        return None
    start, header = struct.unpack_from("<II", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if header < 40 or compression not in _BITFIELDS or bits not in (16, 32) or width <= 0 or height == 0:
        return None
    masks = struct.unpack_from("<III", data, 54)
    if not any(masks) or not all(mask < 1 << bits for mask in masks):
        return None
    stride = (width * bits + 31) // 32 * 4
    return Rows(width, abs(height), start, stride, bits // 8, upwards=height > 0), masks


def by_fields(job: Job) -> Decoded:
    """Decode a BMP with bit fields.

    Raises
    ------
    Refused
        If it has none, or rows are missing.
    """
    fields = _fields(job.data)
    if fields is None:
        raise Refused("no bit fields")
    found, masks = fields
    check_size(job, found.width, found.height)
    if not found.are_in(job.data):
        raise Refused("rows are missing")

    def colours(stored: NDArray[np.uint8]) -> Pixels:
        values = np.ascontiguousarray(stored).view(f"<u{found.each}")[..., 0]
        return np.stack([_field(values, mask) for mask in masks], axis=2)

    return plain_rows.decode(job, found, colours)


def rows(data: bytes) -> Rows | None:
    """Return the rows of a large BMP of 24 bits a pixel, or of 32 without fields; None for any other."""
    if len(data) < plain_rows.LARGE:
        return None
    start, header = struct.unpack_from("<II", data, 10)
    width, height, planes, bits, packed = struct.unpack_from("<iiHHI", data, 18)
    if header not in _HEADERS or header < 40 or planes != 1 or bits not in (24, 32) or packed:
        return None
    stride = (width * bits // 8 + 3) // 4 * 4
    # The fourth byte of 32 bits means nothing there.
    found = Rows(width, abs(height), start, stride, bits // 8, blue_first=True, upwards=height > 0)
    return found if found.are_in(data) else None


def by_rows(job: Job) -> Decoded:
    """Decode a large BMP that is not packed without a copy of all its pixels.

    Raises
    ------
    Refused
        If it is none, or rows are missing.
    """
    found = rows(job.data)
    if found is None:
        raise Refused("no large BMP of 24 or 32 bits a pixel, or rows are missing")
    return plain_rows.decode(job, found)


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


def by_runs(job: Job) -> Decoded:
    """Decode a BMP of packed runs as far as it goes; what is missing has the first colour of the palette.

    Raises
    ------
    Refused
        If it has no runs, or nothing is there.
    """
    data = job.data
    if len(data) < 54:
        raise Refused("too short")
    start, header = struct.unpack_from("<II", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if header not in _HEADERS or header < 40 or _RUNS.get(compression) != bits or width <= 0 or height == 0:
        raise Refused("no runs")
    check_size(job, width, abs(height))
    count = max(min((start - 14 - header) // 4, 256), 0)
    colours = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(data[14 + header : 14 + header + count * 4], np.uint8)
    colours[: len(stored) // 4] = stored[: len(stored) // 4 * 4].reshape(-1, 4)[:, 2::-1]
    numbers = np.zeros((abs(height), width), np.uint8)
    _unpack_runs(data[start:], bits, numbers)
    if height > 0:
        numbers = numbers[::-1]

    def block(left: int, top: int, right: int, bottom: int) -> Pixels:
        return np.asarray(colours[numbers[top:bottom, left:right]], np.uint8)

    found = from_blocks(block, width, abs(height), job.target)
    return unless_blank(Decoded(found, width, abs(height), warnings=(DAMAGED,)))


def _unpack_runs(data: bytes, bits: int, numbers: NDArray[np.uint8]) -> None:
    """Write the colours' numbers of packed runs into (height, width), the first row first, up to the end of either."""
    height, width = numbers.shape
    place, row, column = 0, 0, 0
    while place + 1 < len(data) and row < height:
        count, value = data[place], data[place + 1]
        place += 2
        if count == 0 and value == _END:
            return
        if count == 0 and value == _END_OF_ROW:
            row, column = row + 1, 0
        elif count == 0 and value == _MOVE:
            across, up = data[place : place + 2] if place + 2 <= len(data) else (0, height)
            row, column, place = row + up, column + across, place + 2
        else:
            length = 1 if count else (value * bits + 7) // 8
            packed = bytes((value,)) if count else data[place : place + length]
            place += 0 if count else length + (length & 1)
            pixels = np.frombuffer(packed, np.uint8)
            if bits == 4:
                pixels = np.stack((pixels >> 4, pixels & 15), axis=1).reshape(-1)
            pixels = np.resize(pixels, count) if count else pixels[:value]
            room = max(min(len(pixels), width - column), 0)
            numbers[row, column : column + room] = pixels[:room]
            column += len(pixels)


def _field(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    """Return a bit field scaled to 0..255; zeros without one."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    highest = mask >> shift
    field = (values & values.dtype.type(mask)) >> values.dtype.type(shift)
    return np.asarray(np.rint(field.astype(np.float32) * np.float32(255 / highest)), np.uint8)
