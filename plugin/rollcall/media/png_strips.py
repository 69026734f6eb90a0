"""Decode large PNG files a strip of rows at a time, so that beside the file nothing is held but a strip and the result.

Pillow decodes whole pictures only. The stream of the pixels is therefore unpacked here, and each strip of it written as
a small PNG that is not packed, behind the row above it, which the filters of its first row may refer to. Of samples of
16 bits the higher bytes are such a picture by themselves: filters relate bytes to those of the same place in other
pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from rollcall.media import pillow_formats, png_chunks
from rollcall.media.conversion import Pixels, blocks, from_blocks, plain_or_on_white, step_for
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
    """Return whether a picture is large, and of a kind for strips: 8 bits a sample, or 16 of colours, rows in order."""
    pixels = header.width * header.height
    if pixels < _LEAST_PIXELS or header.interlaced or header.colour not in _COLOURS.get(header.bits, ()):
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
    row_bytes = 1 + header.width * header.channels
    deep = header.bits == 16
    stored_bytes = row_bytes + deep * (row_bytes - 1)
    others = [
        png_chunks.written(kind, data[start : min(end, start + _LONGEST[kind])])
        for kind, start, end in png_chunks.chunks(data)
        # A single transparent colour of 16 bits is none of 8.
        if kind in _LONGEST and not (deep and kind == b"tRNS")
    ]
    above = bytes(row_bytes)  # of no filter

    def strip(left: int, top: int, right: int, bottom: int) -> Pixels:
        nonlocal above
        rows = stream.read((bottom - top) * stored_bytes)
        if deep:
            rows = _higher(rows, stored_bytes)
        image = _opened(header, others, above + rows, bottom - top + 1)
        # The bytes of a row are its samples, since each has 8 bits.
        above = b"\0" + image.crop((0, bottom - top, header.width, bottom - top + 1)).tobytes()
        return np.asarray(plain_or_on_white(image.crop((0, 1, header.width, bottom - top + 1))))

    return from_blocks(strip, header.width, header.height, target, most)


def _higher(rows: bytes, row_bytes: int) -> bytes:
    """Return filtered rows of 16 bits a sample as those of 8, the lower bytes left out."""
    stored = np.frombuffer(rows, np.uint8).reshape(-1, row_bytes)
    return np.concatenate([stored[:, :1], stored[:, 1::2]], axis=1).tobytes()


def _opened(header: png_chunks.Header, others: list[bytes], rows: bytes, count: int) -> Image.Image:
    """Return filtered rows as a picture."""
    first = struct.pack(">IIBBBBB", header.width, count, 8, header.colour, 0, 0, 0)
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
