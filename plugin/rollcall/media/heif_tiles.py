"""Decode large HEIC and AVIF pictures that are a grid of tiles, as phones write them, a row of tiles at a time.

The decoders put all tiles together, and then make the whole RGB. Each tile is therefore written as a small file of its
own, with its properties (ISO/IEC 23008-12).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np

from rollcall.media import boxes, heif, pillow_formats
from rollcall.media.conversion import Pixels, blocks, from_blocks, step_for
from rollcall.media.formats import Format
from rollcall.media.job import Decoded, Job, Refused, check_size
from rollcall.media.orientation import swaps_sides, upright

#: Smaller pictures are decoded whole, on several threads.
_LEAST_PIXELS: Final = 60_000_000
#: Pixels of a row of tiles: larger ones are as good as the whole.
_MOST_PIXELS: Final = 20_000_000
#: Bytes a pixel of a row of tiles, and of the tile that is decoded just now.
_EACH, _DECODED = 3, 16
#: Properties that change nothing of how the pixels of a grid are put together, or that are applied here.
_HARMLESS: Final = frozenset({b"ispe", b"pixi", b"colr", b"irot", b"imir", b"pasp", b"clli", b"mdcv", b"cclv"})
#: How pictures are named that are the transparency of another (23008-12, 6.9.3, and MIAF): the end of each name.
_TRANSPARENCY: Final = (b"auxid:1", b"auxiliary:alpha")
#: What a reader must know of a picture: the configuration of its codec.
_ESSENTIAL: Final = frozenset({b"hvcC", b"av1C"})


class Layout:
    """A large picture in tiles."""

    def __init__(self, grid: boxes.Grid, brands: bytes, orientation: int) -> None:
        self.grid, self.brands, self.orientation = grid, brands, orientation
        self.width, self.height = grid.width, grid.height
        self.tile_width, self.tile_height = _size(grid.tiles[0])

    @property
    def needed(self) -> int:
        """The bytes that a row of tiles takes, twice while strips begin in one and end in the next, and one tile."""
        one = self.tile_width * self.tile_height
        return one * self.grid.columns * 2 * _EACH + one * _DECODED


def find(data: bytes, target: int | None, most: int | None = None) -> Layout | None:
    """Return the tiles of a picture that is large, and of a kind to be decoded a row of them at a time, or None."""
    grid, first = boxes.grid(data), boxes.first(data, b"ftyp")
    if grid is None or first is None or grid.width * grid.height < _LEAST_PIXELS:
        return None
    transparent = any(one[4:].split(b"\0")[0].endswith(_TRANSPARENCY) for one in grid.auxiliary)
    if transparent or not {kind for kind, _ in grid.properties} <= _HARMLESS or not _is_whole(grid, data):
        return None
    many, _ = step_for(grid.width, grid.height, target, most)
    if any(right - left != grid.width for left, _, right, _ in blocks(grid.width, grid.height, many)):
        return None
    described = boxes.heif(data)
    return Layout(grid, data[first.start : first.end], (described and described.orientation()) or 1)


def _is_whole(grid: boxes.Grid, data: bytes) -> bool:
    """Return whether all tiles are there, of one size, and fill the picture."""
    width, height = _size(grid.tiles[0])
    return (
        grid.columns * width >= grid.width > (grid.columns - 1) * width
        and grid.rows * height >= grid.height > (grid.rows - 1) * height
        and grid.columns * width * height <= _MOST_PIXELS
        and all(_size(one) == (width, height) and one.offset + one.length <= len(data) for one in grid.tiles)
    )


def _size(tile: boxes.Item) -> tuple[int, int]:
    content = dict(tile.properties).get(b"ispe", b"")
    return int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")


def decode(job: Job) -> Decoded:
    """Decode a large picture in tiles, upright, the longest side at least `job.target` and at most `job.most`.

    Raises
    ------
    Refused
        If it is none, or one of its tiles is damaged.
    """
    found = find(job.data, job.target, job.most)
    if found is None:
        raise Refused("not a large picture in tiles")
    check_size(job, found.width, found.height)
    decoder = _DECODERS[job.kind]

    # A strip of the result may begin in one row of tiles and end in the next.
    @lru_cache(maxsize=1)
    def row(number: int) -> Pixels:
        pixels = np.empty((found.tile_height, found.grid.columns * found.tile_width, 3), np.uint8)
        for column in range(found.grid.columns):
            tile = found.grid.tiles[number * found.grid.columns + column]
            left = column * found.tile_width
            pixels[:, left : left + found.tile_width] = _tile(job, found, tile, decoder)
        return pixels

    def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
        made = []
        for number in range(top // found.tile_height, -(-bottom // found.tile_height)):
            above = number * found.tile_height
            made.append(row(number)[max(top - above, 0) : bottom - above, left:right])
        return np.ascontiguousarray(made[0]) if len(made) == 1 else np.concatenate(made)

    pixels = from_blocks(strip, found.width, found.height, job.target, job.most)
    width, height = found.width, found.height
    if job.kind is Format.AVIF:
        return Decoded(pixels, width, height)  # whoever asks turns it
    if swaps_sides(found.orientation):
        width, height = height, width
    return Decoded(np.ascontiguousarray(upright(pixels, found.orientation)), width, height)


def _tile(job: Job, found: Layout, tile: boxes.Item, decoder: Callable[[Job], Decoded]) -> Pixels:
    small = _small(job.data, found, tile)
    pixels = decoder(job._replace(data=small, target=None, most=None)).pixels
    if pixels.shape[:2] != (found.tile_height, found.tile_width):
        raise Refused("a tile of another size")
    return pixels


def _small(data: bytes, found: Layout, tile: boxes.Item) -> bytes:
    """Return a file whose only picture is a tile."""
    properties = [(kind, content) for kind, content in tile.properties if kind not in (b"irot", b"imir", b"clap")]
    if all(kind != b"colr" for kind, _ in properties):
        properties += [one for one in found.grid.properties if one[0] == b"colr"]
    associated = [number | 0x80 * (kind in _ESSENTIAL) for number, (kind, _) in enumerate(properties, start=1)]
    first = _box(b"ftyp", found.brands)

    def meta(start: int) -> bytes:
        return _box(
            b"meta",
            bytes(4),
            _box(b"hdlr", bytes(8), b"pict", bytes(13)),
            _box(b"pitm", bytes(4), struct.pack(">H", 1)),
            _box(b"iinf", bytes(4), struct.pack(">H", 1), _box(b"infe", b"\2\0\0\0\0\1\0\0", tile.kind, b"\0")),
            _box(
                b"iprp",
                _box(b"ipco", *(_box(kind, content) for kind, content in properties)),
                _box(b"ipma", bytes(4), struct.pack(">IHB", 1, 1, len(associated)), bytes(associated)),
            ),
            # Offset and length have four bytes; the item has one piece.
            _box(b"iloc", bytes(4), struct.pack(">HHHHHII", 0x4400, 1, 1, 0, 1, start, tile.length)),
        )

    start = len(first) + len(meta(0)) + 8
    return first + meta(start) + _box(b"mdat", data[tile.offset : tile.offset + tile.length])


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _avif(job: Job) -> Decoded:
    return pillow_formats.decode(job, ("AVIF",))


_DECODERS: Final[dict[Format, Callable[[Job], Decoded]]] = {Format.HEIF: heif.decode, Format.AVIF: _avif}
