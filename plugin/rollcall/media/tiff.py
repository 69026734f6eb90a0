"""Decode TIFF files of more than 8 bits a sample, of which Pillow knows a few: whole numbers and floating point.

libtiff unpacks them all, but Pillow does not ask it to. So a file is given a directory that calls its bytes grey pixels
of 8 bits, Pillow unpacks those, and they are put together to samples here: TIFF 6.0, and Adobe's technical note 3 of
2005 for the predictor of floating point.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rollcall.media import exif, libtiff, pillow_formats, samples
from rollcall.media.job import Decoded, Job, Refused, check_size

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _CHANNELS, _ROWS, _STRIP_LENGTHS, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_LENGTHS, _EXTRA, _FORM = 322, 323, 324, 325, 338, 339
#: None, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard: they know nothing of pixels.
_COMPRESSIONS: Final = frozenset({1, 5, 8, 32946, 32773, 34925, 50000})
#: Those that a predictor can stand before.
_PREDICTED: Final = _COMPRESSIONS - {1, 32773}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_LETTERS: Final = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f", _UNDEFINED: "u"}
_MOST_PARTS: Final = 1_000_000
#: Smaller pictures are unpacked whole.
_LEAST_PIXELS: Final = 40_000_000
#: Pixels that are unpacked at once, and of a strip or tile at most: larger ones are as good as the whole.
_PORTION, _MOST_OF_A_PART = 2_000_000, 8_000_000


class _Parts(NamedTuple):
    """Strips or tiles: where the packed bytes are."""

    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    width: int  # of a tile, in pixels; that of the picture for strips
    height: int
    tiled: bool


class Deep(NamedTuple):
    """A TIFF of many bits."""

    layout: samples.Layout
    kind: np.dtype[Any]  # of a sample, as it is stored
    planes: int  # 1: the samples of a pixel lie together; else as many as there are channels
    predictor: int
    compression: int
    fill_order: int
    parts: _Parts
    bits: int = 0  # of a sample, where samples do not begin at bytes; 0 where they do

    def row_bytes(self) -> int:
        """Return how many bytes a row of a part has, of one plane if the planes are apart."""
        samples_of_row = self.parts.width * (self.layout.channels if self.planes == 1 else 1)
        return (samples_of_row * self.bits + 7) // 8 if self.bits else samples_of_row * self.kind.itemsize

    @property
    def across(self) -> int:
        """How many pixels wide the parts of a row are together."""
        return -(-self.layout.width // self.parts.width) * self.parts.width

    @property
    def unpacked(self) -> int:
        """How many bytes the samples take."""
        return self.across * self.layout.height * self.layout.channels * self.kind.itemsize


def find(data: bytes) -> Deep | None:
    """Return how a file of more than 8 bits a sample, or of signed ones, is laid out; None for any other."""
    parsed = exif.read(data)
    if parsed is None:
        return None
    main = parsed.main
    width, height = main.number(_WIDTH) or 0, main.number(_HEIGHT) or 0
    channels, photometric = main.number(_CHANNELS) or 1, main.number(_PHOTOMETRIC)
    bits = _odd_bits(main, channels)
    kind = np.dtype(f"{main.order}u{2 if bits <= 16 else 4}") if bits else _kind(main)
    compression = main.number(_COMPRESSION) or 1
    extra = main.number(_EXTRA) or 0
    layout = samples.Layout(
        width, height, channels, extra in (1, 2), premultiplied=extra == 1, white_is_zero=photometric == _WHITE_IS_ZERO
    )
    known = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and compression in _COMPRESSIONS
    if (
        kind is None
        or not known
        or min(width, height, channels) < 1
        or channels > 8
        or (photometric == _RGB) != (layout.colours == 3)
    ):
        return None
    parts = _parts(main, width, height)
    planes = channels if main.number(_PLANES) == 2 else 1
    if parts is None or len(parts.offsets) != planes * -(-width // parts.width) * -(-height // parts.height):
        return None
    predictor = (main.number(_PREDICTOR) or 1) if compression in _PREDICTED else 1
    if (predictor == _FLOAT_DIFFERENCES and kind.kind != "f") or (bits and predictor != 1):
        return None
    return _divided(Deep(layout, kind, planes, predictor, compression, main.number(_FILL_ORDER) or 1, parts, bits))


def _divided(found: Deep) -> Deep:
    """Return a large picture in one strip as one in several: what is not packed can be divided anywhere."""
    parts, height, row = found.parts, found.layout.height, found.row_bytes()
    whole = parts.tiled or len(parts.offsets) != 1 or parts.lengths[0] < row * height
    if whole or found.compression != 1 or found.layout.width * height < _LEAST_PIXELS:
        return found
    rows = max(_PORTION // found.layout.width, 1)
    tops = range(0, height, rows)
    offsets = tuple(parts.offsets[0] + top * row for top in tops)
    lengths = tuple(min(rows, height - top) * row for top in tops)
    return found._replace(parts=parts._replace(offsets=offsets, lengths=lengths, height=rows))


def decode(job: Job, *, lenient: bool = False) -> Decoded:
    """Decode a TIFF of many bits, as stored: its orientation is left alone.

    `lenient`: rows of large pictures that cannot be unpacked are zeros.

    Raises
    ------
    Refused
        If it is none, or its bytes cannot be unpacked.
    """
    found = find(job.data)
    if found is None:
        raise Refused("no TIFF of many bits")
    layout = found.layout
    check_size(job, layout.width, layout.height)
    scale = 255 / ((1 << found.bits) - 1) if found.bits else None
    with ExitStack() as held:
        if in_rows(found):
            rows_of_strip = found.parts.height if lenient else 0
            rows = _in_rows(held.enter_context(libtiff.opened(job.data, found.planes, rows_of_strip)), found)
        else:
            rows = _portions(job.data, found) if in_portions(found) else _whole(job.data, found, held)
        pixels = samples.to_pixels(rows, layout, job.target, scale, job.most)
        return Decoded(pixels, layout.width, layout.height)


def in_portions(found: Deep) -> bool:
    """Return whether a picture is large, and unpacked some strips or rows of tiles at a time."""
    layout, parts = found.layout, found.parts
    large = layout.width * layout.height >= _LEAST_PIXELS
    return large and found.planes == 1 and parts.width * parts.height <= _MOST_OF_A_PART


def in_rows(found: Deep) -> bool:
    """Return whether a picture is large, in no portions, and unpacked row by row by libtiff."""
    large = found.layout.width * found.layout.height >= _LEAST_PIXELS
    # Samples that do not begin at bytes are put into the order of this machine by some versions only.
    return large and not in_portions(found) and not found.parts.tiled and not found.bits and libtiff.is_there()


def whole_bytes(found: Deep) -> int:
    """Return how many bytes a picture takes that is unpacked as a whole: a strip, and then all of them."""
    return found.unpacked + found.unpacked // max(len(found.parts.offsets), 1) * (found.compression != 1)


def portion_bytes(found: Deep) -> int:
    """Return how many bytes a portion takes, unpacked."""
    return _rows_of_parts(found) * found.parts.height * found.unpacked // found.layout.height


def _rows_of_parts(found: Deep) -> int:
    return max(_PORTION // (found.across * found.parts.height), 1)


def _whole(data: bytes, found: Deep, held: ExitStack) -> samples.Rows:
    """Return what gives the rows of a picture that is unpacked as a whole, and held until `held` ends."""
    images = [pillow_formats.unpacked(one, "TIFF") for one in _disguised(data, found)]
    for image in images:
        held.callback(image.close)

    def rows(top: int, bottom: int) -> NDArray[Any]:
        planes = [_samples(image, found, top, bottom) for image in images]
        return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)

    return rows


def _in_rows(reader: libtiff.Rows, found: Deep) -> samples.Rows:
    """Return what gives the rows of a picture that libtiff unpacks, without predictors and in this machine's order."""
    channels = found.layout.channels if found.planes == 1 else 1
    if reader.row_bytes != found.row_bytes():
        raise Refused("rows of another length than the picture's")

    def rows(top: int, bottom: int) -> NDArray[Any]:
        stored = reader.read(top, bottom).view(found.kind.newbyteorder("="))
        planes = stored.reshape(found.planes, bottom - top, found.layout.width, channels)
        return planes[0] if found.planes == 1 else np.concatenate(list(planes), axis=2)

    return rows


def _portions(data: bytes, found: Deep) -> samples.Rows:
    """Return what gives the rows of a picture of which a portion is unpacked when its rows are asked for."""
    count, high = _rows_of_parts(found), found.parts.height
    across, step = found.across // found.parts.width, count * high

    # What one strip of the result begins with is what the last one ended with.
    @lru_cache(maxsize=1)
    def portion(number: int) -> tuple[Image.Image, Deep]:
        chosen = slice(number * count * across, (number + 1) * count * across)
        lengths = found.parts.lengths[chosen]
        packed = [
            data[start : start + length] for start, length in zip(found.parts.offsets[chosen], lengths, strict=True)
        ]
        starts = tuple(accumulate(lengths[:-1], initial=8))
        height = min(step, found.layout.height - number * step)
        small = found._replace(
            layout=found.layout._replace(height=height),
            parts=found.parts._replace(offsets=starts, lengths=lengths, height=min(high, height)),
        )
        return pillow_formats.unpacked(next(_disguised(b"".join((bytes(8), *packed)), small)), "TIFF"), small

    def rows(top: int, bottom: int) -> NDArray[Any]:
        made = []
        for number in range(top // step, -(-bottom // step)):
            image, small = portion(number)
            above = number * step
            made.append(_samples(image, small, max(top - above, 0), min(bottom - above, small.layout.height)))
        return made[0] if len(made) == 1 else np.concatenate(made)

    return rows


def decode_damaged(job: Job) -> Decoded:
    """Decode what can be unpacked of a damaged one, for a process of its own.

    Raises
    ------
    Refused
        If it is none, or nothing can be shown.
    """
    with pillow_formats.truncated_allowed():
        return pillow_formats.unless_blank(decode(job, lenient=True)._replace(warnings=(pillow_formats.DAMAGED,)))


def _kind(main: exif.Directory) -> np.dtype[Any] | None:
    """Return the type of the samples; None if they have 8 bits or fewer, or differ, or are of no type here."""
    bits, forms = set(main.numbers(_BITS)), set(main.numbers(_FORM)) or {_UNSIGNED}
    if len(bits) != 1 or len(forms) != 1:
        return None
    (depth,), (form,) = bits, forms
    letter = _LETTERS.get(form)
    deep = depth in (16, 32, 64) or (depth == 8 and form == _SIGNED)
    return np.dtype(f"{main.order}{letter}{depth // 8}") if letter and deep else None


def _odd_bits(main: exif.Directory, channels: int) -> int:
    """Return how many bits a sample has where samples do not begin at bytes, and Pillow does not know them; else 0."""
    bits, forms = set(main.numbers(_BITS)), set(main.numbers(_FORM)) or {_UNSIGNED}
    if len(bits) != 1 or not forms <= {_UNSIGNED, _UNDEFINED}:
        return 0
    (depth,) = bits
    known = depth in (1, 8, 16, 32, 64) or (channels == 1 and depth in (2, 4))
    return depth if 1 < depth < 32 and not known else 0


def _parts(main: exif.Directory, width: int, height: int) -> _Parts | None:
    tiled = _TILE_OFFSETS in main.entries
    offsets = main.numbers(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, _MOST_PARTS)
    lengths = main.numbers(_TILE_LENGTHS if tiled else _STRIP_LENGTHS, _MOST_PARTS)
    across = main.number(_TILE_WIDTH) or 0 if tiled else width
    down = main.number(_TILE_HEIGHT) or 0 if tiled else min(main.number(_ROWS) or height, height)
    if not offsets or len(lengths) != len(offsets) or min(across, down) < 1 or max(across, down) > 1 << 20:
        return None
    return _Parts(offsets, lengths, across, down, tiled)


def _disguised(data: bytes, found: Deep) -> Iterator[bytes]:
    """Yield the file once for each plane, with a directory of grey pixels of 8 bits, as many as it has bytes."""
    parts = found.parts
    width, count = found.row_bytes(), len(parts.offsets) // found.planes
    for plane in range(found.planes):
        mine = slice(plane * count, (plane + 1) * count)
        tags: dict[int, Sequence[int]] = {
            _WIDTH: [found.across // parts.width * width],
            _HEIGHT: [found.layout.height],
            _BITS: [8],
            _COMPRESSION: [found.compression],
            _PHOTOMETRIC: [_BLACK_IS_ZERO],
            _FILL_ORDER: [found.fill_order],
            _CHANNELS: [1],
        }
        if parts.tiled:
            tags |= {_TILE_WIDTH: [width], _TILE_HEIGHT: [parts.height]}
            tags |= {_TILE_OFFSETS: parts.offsets[mine], _TILE_LENGTHS: parts.lengths[mine]}
        else:
            tags |= {_ROWS: [parts.height], _STRIP_OFFSETS: parts.offsets[mine], _STRIP_LENGTHS: parts.lengths[mine]}
        yield _with_directory(data, tags)


def _with_directory(data: bytes, tags: dict[int, Sequence[int]]) -> bytes:
    """Return a file whose only directory has these tags, behind what it held; its header is that of a small TIFF."""
    place = len(data) + len(data) % 2
    values, entries = b"", b""
    for tag, numbers in sorted(tags.items()):
        if len(numbers) == 1:
            entries += struct.pack("<HHII", tag, 4, 1, numbers[0])
        else:
            entries += struct.pack("<HHII", tag, 4, len(numbers), place + len(values))
            values += struct.pack(f"<{len(numbers)}I", *numbers)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    head = b"II*\0" + struct.pack("<I", place + len(values))
    return b"".join((head, memoryview(data)[8:], bytes(len(data) % 2), values, directory))


def _samples(image: Image.Image, found: Deep, top: int, bottom: int) -> NDArray[Any]:
    """Return rows of one plane, (n, width, channels), out of unpacked bytes."""
    channels = found.layout.channels if found.planes == 1 else 1
    packed = np.asarray(image.crop((0, top, image.width, bottom)))
    height = bottom - top
    # A predictor begins anew in each tile.
    pieces = packed.reshape(height, -1, found.row_bytes())
    if found.bits:
        values = _unpack_bits(pieces, found.bits, found.parts.width * channels, found.kind)
    elif found.predictor == _FLOAT_DIFFERENCES:
        values = _undo_float_differences(pieces, channels, found.kind)
    else:
        values = np.ascontiguousarray(pieces).view(found.kind).reshape(height, -1, found.parts.width, channels)
        if found.predictor == _DIFFERENCES:
            # Differences are those of whole numbers, also where the bits are those of floating point.
            whole = np.dtype(f"u{found.kind.itemsize}")
            native = values.astype(found.kind.newbyteorder("=")).view(whole)
            values = np.cumsum(native, axis=2, dtype=whole).view(found.kind.newbyteorder("="))
    return values.reshape(height, -1, channels)[:, : found.layout.width]


def _unpack_bits(pieces: NDArray[np.uint8], bits: int, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return the first `count` numbers of some bits in each row, (height, parts, count), the highest bit first."""
    height, across, _ = pieces.shape
    if bits == 24 and kind.byteorder != ">":
        # Whole bytes are in the order of the file, unlike all other numbers of bits.
        pieces = pieces.reshape(height, across, -1, 3)[..., ::-1].reshape(height, across, -1)
    each = np.unpackbits(pieces, axis=2, count=count * bits).reshape(height, across, count, bits)
    values = np.zeros((height, across, count), kind.newbyteorder("="))
    for bit in range(bits):
        values = (values << values.dtype.type(1)) | each[..., bit]
    return values


def _undo_float_differences(pieces: NDArray[np.uint8], channels: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return floating-point numbers whose bytes were split, the highest of all first, and replaced by differences."""
    height, across, length = pieces.shape
    summed = np.cumsum(pieces.reshape(height, across, -1, channels), axis=2, dtype=np.uint8)
    split = summed.reshape(height, across, kind.itemsize, length // kind.itemsize)
    together = np.ascontiguousarray(split.transpose(0, 1, 3, 2))
    return together.view(kind.newbyteorder(">"))[..., 0]
