"""Capture times that makers of cameras keep in blocks of their own, where EXIF has none or came later.

Read are Olympus' and Agfa's text (APP12), Canon's heap (CIFF: APP0, and CRW files), Casio's first digital cameras
(QVCI: APP1), the notes of Reconyx' trail cameras, and the records of FLIR's thermal cameras (APP1, FFF). Nothing here
raises, whatever the bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from rollcall.media import jpeg_markers, times
from rollcall.media.times import Moment

_APP0, _APP1, _APP12 = 0xE0, 0xE1, 0xEC
#: Olympus and Agfa write seconds since 1970, by the camera's clock.
_TIME_DATE: Final = re.compile(rb"\bTimeDate=([0-9]{1,10})\b")
_HEAPS: Final = (b"HEAPJPGM", b"HEAPCCDR")
#: Canon's time of capture: a record of its heap, in the first directory or in one within it.
_CAPTURED: Final = 0x180E
_SUBHEAPS: Final = (0x2800, 0x3000)
_DEEPEST: Final = 4
_MOST_RECORDS: Final = 200
#: Casio's block, and where in it the time stands, such as 1998.10.24.12.08.57.
_CASIO, _CASIO_TIME = b"QVCI\0", slice(77, 97)
_FLIR: Final = b"FLIR\0\1"
#: FLIR's record on the camera, and where its time lies: seconds, milliseconds, minutes west of Greenwich.
_CAMERA_RECORD, _FLIR_TIME = 0x20, 900
_MOST_OFFSET: Final = 14 * 60


def in_jpeg(data: bytes) -> Iterator[Moment]:
    """Yield the times in the header of a JPEG file."""
    thermal: dict[int, bytes] = {}
    for marker, start, end in jpeg_markers.segments(data):
        if marker == _APP12:
            match = _TIME_DATE.search(data, start, end)
            yield from _since_1970(int(match[1])) if match else ()
        elif marker == _APP0 and data[start + 6 : start + 14] in _HEAPS:
            yield from in_heap(data[start:end])
        elif marker == _APP1 and data.startswith(_CASIO, start):
            yield from _of_casio(data[start:end][_CASIO_TIME])
        elif marker == _APP1 and data.startswith(_FLIR, start) and end - start > 8:
            # The number of the part, that of the last, and the part.
            thermal.setdefault(data[start + 6], data[start + 8 : end])
    if thermal:
        yield from _of_flir(b"".join(thermal[number] for number in sorted(thermal)))


def in_heap(block: bytes) -> Iterator[Moment]:
    """Yield the times in Canon's heap: what stands in the header of a JPEG, or a whole CRW file."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 14 or block[6:14] not in _HEAPS:
        return
    (start,) = struct.unpack_from(f"{order}I", block, 2)
    yield from _heap(block, order, start, len(block), 0)


def of_reconyx(notes: bytes) -> Iterator[Moment]:
    """Yield the time in the maker's notes of a trail camera, an EXIF tag; nothing of other makers' notes."""
    if notes[:2] == b"\x01\xf1" and len(notes) >= 34:
        parts = struct.unpack_from("<6H", notes, 22)
        if parts[5] > 0x2000:
            parts = struct.unpack_from(">6H", notes, 22)  # some write these alone the other way round
        second, minute, hour, month, day, year = parts
    elif notes[:10] == b"RECONYXUF\0" and len(notes) >= 66:
        second, minute, hour, day, month, year = struct.unpack_from("<5BH", notes, 59)
    elif notes[:10] == b"RECONYXH2\0" and len(notes) >= 74:
        second, minute, hour, day, month, year = struct.unpack_from("<6H", notes, 62)
    else:
        return
    local = times.plausible(year, month, day, hour, minute, second) if month and day else None
    if local is not None:
        yield Moment(local, None)


def _of_casio(text: bytes) -> Iterator[Moment]:
    parts = re.match(rb"([0-9]{4})" + rb"\.([0-9]{2})" * 5, text)
    local = times.plausible(*map(int, parts.groups())) if parts else None
    if local is not None:
        yield Moment(local, None)


def _heap(block: bytes, order: str, start: int, end: int, depth: int) -> Iterator[Moment]:
    """Yield the times of the heap between two offsets. Its directory lies at its end, and says where it begins."""
    if depth > _DEEPEST or not start + 4 <= end <= len(block):
        return
    place = start + struct.unpack_from(f"{order}I", block, end - 4)[0]
    if place + 2 > end:
        return
    (count,) = struct.unpack_from(f"{order}H", block, place)
    for number in range(min(count, _MOST_RECORDS, (end - place - 2) // 10)):
        tag, size, offset = struct.unpack_from(f"{order}HII", block, place + 2 + 10 * number)
        first = start + offset
        if tag == _CAPTURED and size >= 4 and first + 4 <= end:
            yield from _since_1970(struct.unpack_from(f"{order}I", block, first)[0])
        elif tag & 0x3800 in _SUBHEAPS and first + size < end:
            yield from _heap(block, order, first, first + size, depth + 1)


def _of_flir(block: bytes) -> Iterator[Moment]:
    """Yield the time in the records of a thermal camera. Their index has an order of bytes of its own."""
    if block[:4] not in (b"FFF\0", b"AFF\0") or len(block) < 64:
        return
    order = ">" if 100 <= struct.unpack_from(">I", block, 20)[0] < 200 else "<"
    index, count = struct.unpack_from(f"{order}II", block, 24)
    for number in range(min(count, _MOST_RECORDS)):
        entry = index + 32 * number
        if entry + 32 > len(block):
            return
        (kind,) = struct.unpack_from(f"{order}H", block, entry)
        start, length = struct.unpack_from(f"{order}II", block, entry + 12)
        record = block[start : start + length]
        if kind == _CAMERA_RECORD and len(record) >= _FLIR_TIME + 10:
            own = "<" if record[:2] == b"\2\0" else ">"
            seconds, milliseconds, west = struct.unpack_from(f"{own}IIh", record, _FLIR_TIME)
            for found in _since_1970(seconds) if abs(west) <= _MOST_OFFSET else ():
                local = found.local - timedelta(minutes=west)
                yield Moment(local.replace(microsecond=(milliseconds & 0xFFFF) % 1000 * 1000), -west)


def _since_1970(seconds: int) -> Iterator[Moment]:
    """Yield the wall time so many seconds after the beginning of 1970; nothing for a clock that was not set."""
    found = times.since_1970(seconds, None) if seconds else None
    if found is not None:
        yield found
