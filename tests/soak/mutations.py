"""Damage to files: bytes, lengths, chunks, metadata, truncation."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from typing import Final

#: Numbers at which programs go wrong.
_NUMBERS: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_DATE: Final = re.compile(rb"\d{4}[:-]\d\d[:-]\d\d")

Mutation = Callable[[bytearray, random.Random, bytes], bytearray]


def mutate(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """Return a file with one to four kinds of damage; `other` is a file whose parts may be put in."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        result = chance.choice(MUTATIONS)(result, chance, other)
    return bytes(result)


def _place(data: bytearray, chance: random.Random) -> int:
    """Return a place, more often in the first half kilobyte, where headers are."""
    return chance.randrange(min(len(data), 512) if chance.random() < 0.5 else len(data)) if data else 0


def flip_bytes(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    for _ in range(chance.choice((1, 1, 2, 5, 20, 100))):
        if data:
            data[_place(data, chance)] = chance.randrange(256)
    return data


def flip_bit(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)
    return data


def overwrite(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    at, length = _place(data, chance), chance.randrange(1, 64)
    data[at : at + length] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return data


def truncate(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    return data[: chance.randrange(len(data) + 1)]


def cut_out(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 4, 30, 500))]
    return data


def double(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    at, length = _place(data, chance), chance.choice((1, 4, 30, 500, 5000))
    data[at:at] = bytes(data[at : at + length]) * chance.choice((1, 1, 2, 50))
    return data


def splice(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    at, start = _place(data, chance), chance.randrange(max(len(other), 1))
    data[at:at] = other[start : start + chance.choice((4, 100, 2000))]
    return data


def append(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    return data + chance.choice((other, chance.randbytes(chance.randrange(5000)), bytes(chance.randrange(5000))))


def put_number(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Put a number where a size or an offset may be."""
    at = _place(data, chance)
    code = chance.choice((">H", "<H", ">I", "<I"))
    number = chance.choice(_NUMBERS) & (0xFFFF if code[1] == "H" else 0xFFFFFFFF)
    packed = struct.pack(code, number)
    data[at : at + len(packed)] = packed
    return data


def change_size(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Change the width or height in the header of a JPEG, PNG, BMP or GIF."""
    start = data.find(b"\xff\xc0")
    at, code = (
        (start + 5, ">H")
        if start >= 0
        else (16, ">I")
        if data[1:4] == b"PNG"
        else (18, "<I")
        if data[:2] == b"BM"
        else (6, "<H")
    )
    length = struct.calcsize(code)
    at += chance.choice((0, length))
    number = chance.choice((*_NUMBERS, 3000, 20000, 65000)) & (0xFFFF if code[1] == "H" else 0xFFFFFFFF)
    data[at : at + length] = struct.pack(code, number)
    return data


def change_metadata(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Change bytes of EXIF, XMP, IPTC or a time."""
    places = [
        data.find(mark) for mark in (b"Exif", b"xmpmeta", b"8BIM", b"II*\x00", b"MM\x00*", b"tEXt", b"iTXt", b"eXIf")
    ]
    places += [match.start() for match in _DATE.finditer(data)]
    places = [place for place in places if place >= 0]
    if not places:
        return flip_bytes(data, chance, other)
    at = chance.choice(places)
    for _ in range(chance.randrange(1, 12)):
        place = at + chance.randrange(200)
        if place < len(data):
            data[place] = chance.choice((0, 255, chance.randrange(256), ord("9"), ord(":")))
    return data


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(flip_bytes, flip_bit, overwrite, truncate, cut_out, double, splice, append),
    *(put_number, put_number, change_size, change_metadata, change_metadata),
)
