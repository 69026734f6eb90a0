"""Decode large TIFF files of 8 bits a sample some strips or tiles at a time, so that the whole picture is never held.

Pillow decodes whole pictures only. Each portion of strips or tiles is therefore written as a small TIFF with the tags
of the large one that say what its samples mean (TIFF 6.0, and Adobe's technical note 2 of 2002 for JPEG). Strips that
are as good as the whole are unpacked row by row by libtiff, and some rows written as a TIFF that is not packed.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from rollcall.media import exif, libtiff, pillow_formats
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
#: What of it says how samples are packed: bits of a byte in the other order, predictor, tables of JPEG, coarse colours.
_PACKING: Final = (266, 317, 347, 529, 530, 531, 532)
_RGB, _YCBCR, _JPEG = 2, 6, 7
#: The samples of each channel by themselves.
_APART: Final = 2
#: None, LZW, JPEG, Deflate (two numbers), PackBits, LZMA, Zstandard.
_COMPRESSIONS: Final = frozenset({_PLAIN, 5, 7, 8, 32946, 32773, 34925, 50000})
#: Grey of both directions, RGB, palette, inks, brightness with colours, and CIE L*a*b*.
_PHOTOMETRICS: Final = frozenset({0, 1, 2, 3, 5, 6, 8})
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
    in_rows: bool = False  # the parts are rows, which libtiff unpacks one after the other


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
    return _decode(job, lenient=False)


def decode_damaged(job: Job) -> Decoded:
    """Decode a large TIFF of which portions are damaged, which are black.

    Raises
    ------
    Refused
        If it is none for portions, or nothing can be shown.
    """
    return pillow_formats.unless_blank(_decode(job, lenient=True)._replace(warnings=(pillow_formats.DAMAGED,)))


def decode_whole(job: Job) -> Decoded:
    """Decode a TIFF at once, unless it is one for portions that was refused for its damage.

    Raises
    ------
    Refused
        If Pillow cannot decode all of it, or it takes too much memory for a damaged file.
    """
    if find(job.data, job.target, job.most) is not None:
        raise Refused("a large TIFF with damage")
    return pillow_formats.decode(job, ("TIFF",), turned=True)


def _decode(job: Job, *, lenient: bool) -> Decoded:
    found = find(job.data, job.target, job.most)
    if found is None:
        raise Refused("not a large TIFF in portions")
    check_size(job, found.width, found.height)
    with ExitStack() as held:
        reader = None
        if found.in_rows:
            rows = found.directory.number(_ROWS) or found.height
            reader = held.enter_context(libtiff.opened(job.data, found.planes, rows if lenient else 0))
        return Decoded(_pixels(job, found, reader, lenient), found.width, found.height)


def _pixels(job: Job, found: Layout, reader: libtiff.Rows | None, lenient: bool) -> Pixels:
    rows_of_parts = max(BLOCK // (found.width * found.part_height), 1)
    step = rows_of_parts * found.part_height

    # What one strip of the result begins with is what the last one ended with.
    @lru_cache(maxsize=1)
    def portion(number: int) -> Image.Image:
        if reader is not None:
            return _in_rows(reader, found, number * step, min(number * step + step, found.height))
        try:
            return _decoded(job.data, found, number * rows_of_parts, rows_of_parts)
        except Refused:
            if lenient:
                return Image.new("RGB", (found.width, min(step, found.height - number * step)))
            raise

    def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
        made = []
        for number in range(top // step, -(-bottom // step)):
            above = number * step
            box = (left, max(top - above, 0), right, min(bottom - above, step))
            made.append(np.asarray(plain_or_on_white(portion(number).crop(box))))
        return made[0] if len(made) == 1 else np.concatenate(made)

    return from_blocks(strip, found.width, found.height, job.target, job.most)


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
        compression, coarse = main.number(_COMPRESSION) or _PLAIN, main.number(_PHOTOMETRIC) == _YCBCR
        if compression != _PLAIN or len(parts) > planes:
            # Of others than JPEG rows of coarse colours are no rows of the picture.
            usable = libtiff.is_there() and (not coarse or compression == _JPEG)
            return Layout(width, height, main, 1, width, 1, False, parts, planes, in_rows=True) if usable else None
        if coarse:
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


def _in_rows(reader: libtiff.Rows, found: Layout, top: int, bottom: int) -> Image.Image:
    """Return some rows of a picture that libtiff unpacks, as Pillow understands them."""
    rows = reader.read(top, bottom)
    main, size = found.directory, rows[0].size
    entries = {tag: entry for tag, entry in main.entries.items() if tag not in _PACKING}
    written = {_COMPRESSION: _PLAIN}
    if main.number(_PHOTOMETRIC) == _YCBCR:
        written[_PHOTOMETRIC] = _RGB
    channels = 1 if found.planes > 1 else main.number(_CHANNELS) or 1
    if reader.row_bytes != found.width * channels:
        raise Refused("rows of another length than the picture's")
    plain = found._replace(directory=main._replace(entries=entries), part_height=bottom - top)
    parts = tuple(_Part(plane * size, size) for plane in range(found.planes))
    return pillow_formats.unpacked(_small(rows.tobytes(), plain, parts, bottom - top, written), "TIFF")


def _small(
    data: bytes, found: Layout, parts: tuple[_Part, ...], height: int, numbers: dict[int, int] | None = None
) -> bytes:
    """Return a TIFF of these parts, in the order of bytes of the whole; `numbers`: tags that have another value."""
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
    longs |= {tag: [number] for tag, number in (numbers or {}).items()}
    tags = {tag: (_LONG, len(of), struct.pack(f"{order}{len(of)}I", *of)) for tag, of in longs.items()}
    for tag in _KEPT:
        if tag not in tags and tag in found.directory.entries:
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
