"""Decode large PNG files a strip of rows at a time, so that beside the file nothing is held but a strip and the result.

Pillow decodes whole pictures only. The stream of the pixels is therefore unpacked here, and each strip of it written as
a small PNG that is not packed, behind the row above it, which the filters of its first row may refer to. Of samples of
16 bits the higher bytes are such a picture by themselves: filters relate bytes to those of the same place in other
pixels. Of an interlaced picture the first six passes are the rows with even numbers, which are held, as half of it; the
last one is the rows between, in their order.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from PIL import Image

from rollcall.media import pillow_formats, png_chunks
from rollcall.media.conversion import BLOCK, Pixels, blocks, from_blocks, plain_or_on_white, step_for
from rollcall.media.job import Refused

#: Smaller pictures are decoded whole, which is a sixth quicker.
_LEAST_PIXELS: Final = 40_000_000
#: By the bits of a sample: grey, RGB, palette, and the first two with transparency. Grey of 16 bits is scaled by its
#: highest value, which is not known before all of it is there.
_COLOURS: Final = {8: frozenset({0, 2, 3, 4, 6}), 16: frozenset({2, 4, 6})}
_PORTION: Final = 256 << 10
#: Bytes that are unpacked at once, at most.
_UNPACKED: Final = 4 << 20
#: Chunks that say what the samples mean, and how many bytes of them: three and one for each colour of a palette.
_LONGEST: Final = {b"PLTE": 768, b"tRNS": 256}


def pays(header: png_chunks.Header, target: int | None, most: int | None = None) -> bool:
    """Return whether a picture is large, and of a kind for strips: 8 bits a sample, or 16 of colours."""
    pixels = header.width * header.height
    if pixels < _LEAST_PIXELS or header.colour not in _COLOURS.get(header.bits, ()):
        return False
    many, _ = step_for(header.width, header.height, target, most)
    return all(right - left == header.width for left, _, right, _ in blocks(header.width, header.height, many))


def decode(data: bytes, header: png_chunks.Header, target: int | None, most: int | None = None) -> Pixels:
    """Return the pixels as uint8 RGB, the longest side at least `target` and at most `most`, as `from_blocks` does.

    Raises
    ------
    Refused
        If the stream of the pixels is damaged or ends early.
    """
    stream = _Stream(data)
    others = [
        png_chunks.written(kind, data[start : min(end, start + _LONGEST[kind])])
        for kind, start, end in png_chunks.chunks(data)
        # A single transparent colour of 16 bits is none of 8.
        if kind in _LONGEST and not (header.bits == 16 and kind == b"tRNS")
    ]
    if header.interlaced:
        strip = _interlaced(stream, header, others)
    else:
        rows = _Rows(stream, header, header.width, others)

        def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
            return rows.read(bottom - top)

    return from_blocks(strip, header.width, header.height, target, most)


def held(header: png_chunks.Header) -> int:
    """Return how many bytes are held beside a strip and the result."""
    return (header.height + 1) // 2 * header.width * 3 if header.interlaced else 0


def _interlaced(
    stream: _Stream, header: png_chunks.Header, others: list[bytes]
) -> Callable[[int, int, int, int], Pixels]:
    """Return what gives the rows of an interlaced picture, one strip of them after the other."""
    even = np.empty(((header.height + 1) // 2, header.width, 3), np.uint8)
    *first, _ = png_chunks.ADAM7
    for left, across, top, down in first:
        place = even[top // 2 :: down // 2, left::across]
        count, columns, _ = place.shape
        rows = _Rows(stream, header, columns, others)
        portion = max(BLOCK // max(columns, 1), 1)
        for start in range(0, count if columns else 0, portion):
            made = rows.read(min(portion, count - start))
            for colour in range(3):  # a quarter of the time that it takes pixel by pixel
                place[start : start + portion, :, colour] = made[..., colour]
    odd = _Rows(stream, header, header.width, others)

    def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
        found = np.empty((bottom - top, header.width, 3), np.uint8)
        found[top % 2 :: 2] = even[(top + 1) // 2 : (bottom + 1) // 2]
        if bottom // 2 > top // 2:
            found[1 - top % 2 :: 2] = odd.read(bottom // 2 - top // 2)
        return found

    return strip


class _Rows:
    """The rows of a picture, or of a pass over it, one strip of them after the other."""

    def __init__(self, stream: _Stream, header: png_chunks.Header, columns: int, others: list[bytes]) -> None:
        self._stream, self._header, self._columns, self._others = stream, header, columns, others
        self._deep = header.bits == 16
        self._row_bytes = 1 + columns * header.channels
        self._above = bytes(self._row_bytes)  # of no filter

    def read(self, count: int) -> Pixels:
        """Return the next rows as uint8 RGB (count, columns, 3).

        Raises
        ------
        Refused
            If there are not so many, or they are damaged.
        """
        stored_bytes = self._row_bytes + self._deep * (self._row_bytes - 1)
        rows = self._stream.read(count * stored_bytes)
        if self._deep:
            rows = _higher(rows, stored_bytes)
        image = _opened(self._header, self._columns, self._others, self._above + rows, count + 1)
        # The bytes of a row are its samples, since each has 8 bits.
        self._above = b"\0" + image.crop((0, count, self._columns, count + 1)).tobytes()
        return np.asarray(plain_or_on_white(image.crop((0, 1, self._columns, count + 1))))


def _higher(rows: bytes, row_bytes: int) -> bytes:
    """Return filtered rows of 16 bits a sample as those of 8, the lower bytes left out."""
    stored = np.frombuffer(rows, np.uint8).reshape(-1, row_bytes)
    return np.concatenate([stored[:, :1], stored[:, 1::2]], axis=1).tobytes()


def _opened(header: png_chunks.Header, columns: int, others: list[bytes], rows: bytes, count: int) -> Image.Image:
    """Return filtered rows as a picture."""
    first = struct.pack(">IIBBBBB", columns, count, 8, header.colour, 0, 0, 0)
    return pillow_formats.unpacked(
        b"".join(
            [
                png_chunks.SIGNATURE,
                png_chunks.written(b"IHDR", first),
                *others,
                png_chunks.written(b"IDAT", zlib.compress(rows, 0)),
                png_chunks.written(b"IEND", b""),
            ]
        ),
        "PNG",
    )


class _Stream:
    """The unpacked bytes of the pixels, in their order."""

    def __init__(self, data: bytes) -> None:
        self._parts = _unpacked(data)
        self._left = memoryview(b"")

    def read(self, count: int) -> bytes:
        """Return the next bytes.

        Raises
        ------
        Refused
            If there are not so many, or they are damaged.
        """
        found = bytearray()
        while len(found) < count:
            if not self._left:
                self._left = memoryview(self._next())
            taken = self._left[: count - len(found)]
            self._left = self._left[len(taken) :]
            found += taken
        return bytes(found)

    def _next(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise Refused("the pixels end early") from None
        except zlib.error as error:
            raise Refused(f"zlib: {error}") from error


def _unpacked(data: bytes) -> Iterator[bytes]:
    unpack = zlib.decompressobj()
    view = memoryview(data)
    for kind, start, end in png_chunks.chunks(data):
        if kind != b"IDAT":
            continue
        for position in range(start, end, _PORTION):
            pending: bytes | memoryview = view[position : min(position + _PORTION, end)]
            while pending:
                part = unpack.decompress(pending, _UNPACKED)
                if part:
                    yield part
                if unpack.eof:
                    return
                pending = unpack.unconsumed_tail
