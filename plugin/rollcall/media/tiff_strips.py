"""Decode large TIFF files of 8 bits a sample some strips or tiles at a time, so that the whole picture is never held.

Pillow decodes whole pictures only. Each portion of strips or tiles is therefore written as a small TIFF with the tags
of the large one that say what its samples mean (TIFF 6.0, and Adobe's technical note 2 of 2002 for JPEG).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from rollcall.media import exif, pillow_formats
from rollcall.media.conversion import BLOCK, Pixels, blocks, from_blocks, plain_or_on_white, step_for
from rollcall.media.job import Decoded, Job, Refused, check_size

#: Smaller pictures are decoded whole.
_LEAST_PIXELS: Final = 40_000_000
#: Pixels of a strip, or of a row of tiles, that is packed: larger ones are as good as the whole.
_MOST_PIXELS: Final = 8_000_000
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_OFFSETS, _CHANNELS, _ROWS, _LENGTHS, _PLANES, _FORM = 273, 277, 278, 279, 284, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_LENGTHS = 322, 323, 324, 325
#: What says what the samples mean, beside what is written anew: bits, compression, colours, the order of bits and of
#: planes, predictor, palette, inks, transparency, the tables of JPEG, and how brightness and colours are stored.
_KEPT: Final = (258, 259, 262, 266, 277, 284, 317, 320, 332, 334, 338, 339, 347, 529, 530, 531, 532)
_PLAIN: Final = 1
#: The samples of each channel by themselves.
_APART: Final = 2
#: None, LZW, JPEG, Deflate (two numbers), PackBits.
_COMPRESSIONS: Final = frozenset({_PLAIN, 5, 7, 8, 32946, 32773})
#: Grey of both directions, RGB, palette, inks, and brightness with colours.
_PHOTOMETRICS: Final = frozenset({0, 1, 2, 3, 5, 6})
_MOST_PARTS: Final = 1_000_000
_LONG: Final = 4


class _Part(NamedTuple):
    start: int
    length: int


class Layout(NamedTuple):
    """A large TIFF: where the packed bytes of its strips or tiles are."""

    width: int
    height: int
    directory: exif.Directory
    across: int  # tiles beside each other; 1 for strips
    part_width: int  # pixels
    part_height: int
    tiled: bool
    parts: tuple[_Part, ...]  # in rows, from left to right; of one plane after the other, where the samples lie apart
    planes: int = 1


def find(data: bytes, target: int | None, most: int | None = None) -> Layout | None:
    """Return how a picture is laid out that is large, and of a kind for portions; None for any other."""
    parsed = exif.read(data)
    if parsed is None:
        return None
    main = parsed.main
    width, height = main.number(_WIDTH) or 0, main.number(_HEIGHT) or 0
    if width * height < _LEAST_PIXELS or not _is_known(main):
        return None
    many, _ = step_for(width, height, target, most)
    if any(right - left != width for left, _, right, _ in blocks(width, height, many)):
        return None
    return _tiles(main, width, height) if _TILE_OFFSETS in main.entries else _strips(main, width, height)


def decode(job: Job) -> Decoded:
    """Decode a large TIFF as stored, the longest side at least `job.target` and at most `job.most`.

    Raises
    ------
    Refused
        If it is none for portions, or one of them is damaged.
    """
    found = find(job.data, job.target, job.most)
    if found is None:
        raise Refused("not a large TIFF in portions")
    check_size(job, found.width, found.height)
    rows_of_parts = max(BLOCK // (found.width * found.part_height), 1)
    step = rows_of_parts * found.part_height

    # What one strip of the result begins with is what the last one ended with.
    @lru_cache(maxsize=1)
    def portion(number: int) -> Image.Image:
        return _decoded(job.data, found, number * rows_of_parts, rows_of_parts)

    def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
        made = []
        for number in range(top // step, -(-bottom // step)):
            above = number * step
            box = (left, max(top - above, 0), right, min(bottom - above, step))
            made.append(np.asarray(plain_or_on_white(portion(number).crop(box))))
        return made[0] if len(made) == 1 else np.concatenate(made)

    pixels = from_blocks(strip, found.width, found.height, job.target, job.most)
    return Decoded(pixels, found.width, found.height)


def _is_known(main: exif.Directory) -> bool:
    """Return whether samples have 8 bits, and are packed and coloured in a known way."""
    return (
        set(main.numbers(_BITS)) == {8}
        and set(main.numbers(_FORM)) <= {1}
        and (main.number(_COMPRESSION) or _PLAIN) in _COMPRESSIONS
        and main.number(_PHOTOMETRIC) in _PHOTOMETRICS
        and 1 <= (main.number(_CHANNELS) or 1) <= 5
    )


def _strips(main: exif.Directory, width: int, height: int) -> Layout | None:
    offsets, lengths = main.numbers(_OFFSETS, _MOST_PARTS), main.numbers(_LENGTHS, _MOST_PARTS)
    rows = min(main.number(_ROWS) or height, height)
    planes = _planes(main)
    if not offsets or len(lengths) != len(offsets) or len(offsets) != planes * -(-height // rows):
        return None
    parts = tuple(map(_Part, offsets, lengths))
    if width * rows > _MOST_PIXELS:
        if (main.number(_COMPRESSION) or _PLAIN) != _PLAIN or main.number(_PHOTOMETRIC) == 6 or len(parts) > planes:
            return None
        # What is not packed can be divided anywhere.
        rows, row = max(BLOCK // width, 1), width * (1 if planes > 1 else main.number(_CHANNELS) or 1)
        if min(lengths) < row * height:
            return None
        tops = range(0, height, rows)
        parts = tuple(_Part(start + top * row, row * min(rows, height - top)) for start in offsets for top in tops)
    return Layout(width, height, main, 1, width, rows, False, parts, planes)


def _planes(main: exif.Directory) -> int:
    """Return how many parts the samples of a place lie in: one, or one for each channel."""
    return (main.number(_CHANNELS) or 1) if main.number(_PLANES) == _APART else 1


def _tiles(main: exif.Directory, width: int, height: int) -> Layout | None:
    offsets, lengths = main.numbers(_TILE_OFFSETS, _MOST_PARTS), main.numbers(_TILE_LENGTHS, _MOST_PARTS)
    wide, high = main.number(_TILE_WIDTH) or 0, main.number(_TILE_HEIGHT) or 0
    if min(wide, high) < 1 or width * high > _MOST_PIXELS or wide > 2 * width or len(lengths) != len(offsets):
        return None
    across = -(-width // wide)
    planes = _planes(main)
    if len(offsets) != planes * across * -(-height // high):
        return None
    return Layout(width, height, main, across, wide, high, True, tuple(map(_Part, offsets, lengths)), planes)


def _decoded(data: bytes, found: Layout, first: int, count: int) -> Image.Image:
    """Return some rows of strips or tiles, as Pillow decodes them."""
    each = len(found.parts) // found.planes
    rows = slice(first * found.across, (first + count) * found.across)
    parts = tuple(one for plane in range(found.planes) for one in found.parts[plane * each : (plane + 1) * each][rows])
    top = first * found.part_height
    height = min(count * found.part_height, found.height - top)
    return pillow_formats.unpacked(_small(data, found, parts, height), "TIFF")


def _small(data: bytes, found: Layout, parts: tuple[_Part, ...], height: int) -> bytes:
    """Return a TIFF of these parts, in the order of bytes of the whole."""
    order, view = found.directory.order, memoryview(data)
    written: list[bytes | memoryview] = []
    starts, place = [], 8
    for part in parts:
        if part.start + part.length > len(data):
            raise Refused("a part of the picture is missing")
        starts.append(place)
        written.append(view[part.start : part.start + part.length])
        place += part.length
    lengths = [part.length for part in parts]
    longs: dict[int, list[int]] = {_WIDTH: [found.width], _HEIGHT: [height]}
    if found.tiled:
        longs |= {_TILE_WIDTH: [found.part_width], _TILE_HEIGHT: [found.part_height]}
        longs |= {_TILE_OFFSETS: starts, _TILE_LENGTHS: lengths}
    else:
        longs |= {_ROWS: [found.part_height], _OFFSETS: starts, _LENGTHS: lengths}
    tags = {tag: (_LONG, len(of), struct.pack(f"{order}{len(of)}I", *of)) for tag, of in longs.items()}
    for tag in _KEPT:
        if tag in found.directory.entries:
            kind, count, _ = found.directory.entries[tag]
            tags[tag] = (kind, count, found.directory.data(tag))
    entries = struct.pack(f"{order}H", len(tags))
    if place % 2:
        written.append(b"\0")
        place += 1
    for tag, (kind, count, value) in sorted(tags.items()):
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) <= 4:
            entries += value.ljust(4, b"\0")
            continue
        entries += struct.pack(f"{order}I", place)
        written.append(value + bytes(len(value) % 2))
        place += len(value) + len(value) % 2
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place)
    return b"".join((head, *written, entries, bytes(4)))
