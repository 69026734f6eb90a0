"""Read EXIF blocks: the few tags that matter here, out of TIFF directories of any soundness.

A block is a small TIFF file: TIFF 6.0, EXIF 3.0 (CIPA DC-008), BigTIFF, and the camera raw formats that are made like
them. Nothing here raises, whatever the bytes: a value that is not what its tag demands is not there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

ORIENTATION: Final = 0x0112
#: Tags of the main directory that hold other blocks.
XMP: Final = 0x02BC
IPTC: Final = 0x83BB
PHOTOSHOP: Final = 0x8649
COMPRESSION: Final = 0x0103
DNG_VERSION: Final = 0xC612
_WIDTH, _HEIGHT = 0x0100, 0x0101
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_CROP_SIZE: Final = 0xC620
_SUBDIRECTORIES: Final = 0x014A
_EXIF: Final = 0x8769
_GPS: Final = 0x8825
#: TIFF, BigTIFF, and what Olympus and Panasonic write in their raw files instead of 42.
_MAGIC: Final = {42: False, 43: True, 0x4F52: False, 0x5352: False, 0x55: False}
#: How Panasonic's raw files say what they are, and their tags for the borders of the sensor: top, left, bottom, right.
_PANASONIC: Final = b"\x55\0"
_BORDERS: Final = (4, 5, 6, 7)
#: Bytes of a value by its type.
_SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
    129: 1,
}
_LETTERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_TEXTS: Final = frozenset({1, 2, 7, 129})
_RATIONALS: Final = {5: "I", 10: "i"}
#: A directory has some dozens of entries; damaged ones claim thousands.
_MOST_ENTRIES: Final = 1000
_MOST_DIRECTORIES: Final = 40
_LONGEST_TEXT: Final = 256


class Directory(NamedTuple):
    """One directory of tags: where the value of each lies in the block."""

    block: bytes
    order: str  # "<" or ">"
    entries: dict[int, tuple[int, int, int]]  # tag to type, count and offset

    def numbers(self, tag: int, most: int = 8) -> tuple[int, ...]:
        """Return the whole numbers of a tag, the first `most`; none if it holds anything else."""
        kind, count, offset = self.entries.get(tag, (0, 0, 0))
        letter = _LETTERS.get(kind)
        count = min(count, most)
        if letter is None or count < 1:
            return ()
        data = self.block[offset : offset + count * _SIZES[kind]]
        if len(data) < count * _SIZES[kind]:
            return ()
        return tuple(struct.unpack(f"{self.order}{count}{letter}", data))

    def number(self, tag: int) -> int | None:
        """Return the first whole number of a tag."""
        found = self.numbers(tag, 1)
        return found[0] if found else None

    def ratios(self, tag: int, most: int = 4) -> tuple[float, ...]:
        """Return the fractions of a tag as numbers; none if one of them has no value."""
        kind, count, offset = self.entries.get(tag, (0, 0, 0))
        letter = _RATIONALS.get(kind)
        count = min(count, most)
        data = self.block[offset : offset + count * 8]
        if letter is None or count < 1 or len(data) < count * 8:
            return tuple(float(value) for value in self.numbers(tag, most))
        parts = struct.unpack(f"{self.order}{2 * count}{letter}", data)
        pairs = list(zip(parts[::2], parts[1::2], strict=True))
        return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else ()

    def text(self, tag: int) -> str:
        """Return the text of a tag up to its first zero byte; "" if it holds anything else."""
        kind, count, offset = self.entries.get(tag, (0, 0, 0))
        if kind not in _TEXTS:
            return ""
        data = self.block[offset : offset + min(count, _LONGEST_TEXT)]
        return data.split(b"\0")[0].decode("ascii", "replace").strip()

    def data(self, tag: int) -> bytes:
        """Return the bytes of a tag of any type."""
        kind, count, offset = self.entries.get(tag, (0, 0, 0))
        return self.block[offset : offset + count * _SIZES.get(kind, 0)]


class Exif(NamedTuple):
    """The directories of a block; those that it does not have are empty."""

    main: Directory
    exif: Directory
    gps: Directory
    sub: tuple[Directory, ...]  # further pictures of the file

    def orientation(self) -> int | None:
        """Return the orientation, 1..8; None where there is none."""
        value = self.main.number(ORIENTATION)
        return value if value is not None and 1 <= value <= 8 else None

    def size(self) -> tuple[int, int]:
        """Return width and height of the camera's picture, as stored, in pixels; (0, 0) where they are not given."""
        crops = [directory.ratios(_CROP_SIZE, 2) for directory in (*self.sub, self.main)]
        sizes = [(round(crop[0]), round(crop[1])) for crop in crops if len(crop) == 2 and max(crop) < 1e6]
        sizes.append(self._bordered())
        sizes.append((self.exif.number(_PIXEL_X) or 0, self.exif.number(_PIXEL_Y) or 0))
        return next((size for size in sizes if min(size) > 0), (0, 0))

    def _bordered(self) -> tuple[int, int]:
        """Return width and height between the borders of the sensor in a raw file of Panasonic's, else (0, 0)."""
        if self.main.block[2:4] != _PANASONIC:
            return 0, 0
        top, left, bottom, right = (self.main.number(tag) or 0 for tag in _BORDERS)
        return max(right - left, 0), max(bottom - top, 0)

    def largest(self) -> tuple[int, int]:
        """Return width and height, in pixels, of the largest picture that the directories describe."""
        sizes = [(one.number(_WIDTH) or 0, one.number(_HEIGHT) or 0) for one in (self.main, *self.sub)]
        return max(sizes, key=lambda size: size[0] * size[1])


def read(block: bytes) -> Exif | None:
    """Return the directories of a block, with or without "Exif" before it; None if it is none."""
    start = 6 if block[:4] in (b"Exif", b"EXIF") else 0
    tiff = block[start:] if start else block
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None
    big = _MAGIC.get(struct.unpack(f"{order}H", tiff[2:4])[0])
    if big is None:
        return None
    first = _unpack(tiff, f"{order}Q", 8) if big else _unpack(tiff, f"{order}I", 4)
    empty = Directory(tiff, order, {})
    main = _directory(tiff, order, big, first) if first else empty
    return Exif(
        main,
        next(_pointed_to(main, _EXIF, big), empty),
        next(_pointed_to(main, _GPS, big), empty),
        tuple(_pointed_to(main, _SUBDIRECTORIES, big)),
    )


def _pointed_to(main: Directory, tag: int, big: bool) -> Iterator[Directory]:
    for offset in main.numbers(tag, _MOST_DIRECTORIES):
        if offset > 0:
            yield _directory(main.block, main.order, big, offset)


def _directory(tiff: bytes, order: str, big: bool, offset: int) -> Directory:
    """Return the directory at an offset, without the entries that are cut off."""
    head, width = ("Q", 8) if big else ("H", 2)
    count = min(_unpack(tiff, f"{order}{head}", offset) or 0, _MOST_ENTRIES)
    entry, value = ("HHQ", 12) if big else ("HHI", 8)
    room = 8 if big else 4
    entries: dict[int, tuple[int, int, int]] = {}
    for index in range(count):
        position = offset + width + index * (value + room)
        if position + value + room > len(tiff):
            break
        tag, kind, number = struct.unpack_from(order + entry, tiff, position)
        length = _SIZES.get(kind, 0) * number
        place: int | None = position + value
        if length > room:
            place = _unpack(tiff, f"{order}{'Q' if big else 'I'}", position + value)
        if length and place is not None and place < len(tiff):
            entries.setdefault(tag, (kind, number, place))
    return Directory(tiff, order, entries)


def _unpack(data: bytes, form: str, offset: int) -> int | None:
    if offset < 0 or offset + struct.calcsize(form) > len(data):
        return None
    return int(struct.unpack_from(form, data, offset)[0])
