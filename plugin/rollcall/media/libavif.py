"""Decode AVIF files into the planes of the codec by libavif, with their transparency.

Pillow makes all of them RGB at once. The library that it does so by is asked directly here, where Pillow brings it as a
library of its own, which is not so on Windows. Its structures are those of `avif.h`, version 1; fields are only added
at their ends (its CHANGELOG, 1.0.0).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.media.job import Refused
from rollcall.media.planes import Planes

#: What a new decoder allows: pixels of a picture, of its sides, and pictures. Other values are another structure.
_LIMITS: Final = (16384 * 16384, 32768, 12 * 3600 * 60)
#: How many pixels share a colour, across and down, by the number of the format; 0: grey.
_SHARED: Final = {1: (1, 1), 2: (2, 1), 3: (2, 2), 4: (0, 0)}
_FULL: Final = 1


class _Image(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("width", "height", "depth", "format", "range", "position")),
        ("planes", ctypes.c_void_p * 3),
        ("row_bytes", ctypes.c_uint32 * 3),
        ("owns_planes", ctypes.c_int),
        ("opacity", ctypes.c_void_p),
        ("opacity_row_bytes", ctypes.c_uint32),
        ("owns_opacity", ctypes.c_int),
        ("premultiplied", ctypes.c_int),
        ("profile", ctypes.c_void_p),
        ("profile_bytes", ctypes.c_size_t),
        *((name, ctypes.c_uint16) for name in ("primaries", "transfer", "matrix")),
    )


class _Decoder(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("codec", "threads", "source", "progressive", "incremental")),
        *((name, ctypes.c_int) for name in ("ignores_exif", "ignores_xmp")),
        *((name, ctypes.c_uint32) for name in ("most_pixels", "longest_side", "most_pictures", "strict")),
        ("image", ctypes.POINTER(_Image)),
    )


@cache
def _library() -> Any:
    """Return libavif as Pillow has loaded it; None where its functions cannot be reached, or are another version's."""
    try:
        from PIL import _avif

        # What a library was linked with is found through it, whatever the names of the files.
        found = ctypes.CDLL(_avif.__file__)
        found.avifVersion.restype = ctypes.c_char_p
        decoder = ctypes.POINTER(_Decoder)
        found.avifDecoderCreate.restype = decoder
        found.avifDecoderSetIOMemory.argtypes = [decoder, ctypes.c_void_p, ctypes.c_size_t]
        for name in ("avifDecoderParse", "avifDecoderNextImage", "avifDecoderDestroy"):
            getattr(found, name).argtypes = [decoder]
        found.avifDecoderDestroy.restype = None
        if not found.avifVersion().startswith(b"1."):
            return None
        empty = found.avifDecoderCreate()
        one = empty.contents
        known = (one.most_pixels, one.longest_side, one.most_pictures) == _LIMITS and not one.image
        found.avifDecoderDestroy(empty)
    except (AttributeError, ImportError, OSError, ValueError):
        return None
    return found if known else None


def is_there() -> bool:
    """Return whether files can be decoded here."""
    return _library() is not None


@contextmanager
def decoded(data: bytes) -> Iterator[Planes]:
    """Decode the main picture of a file.

    Raises
    ------
    Refused
        If libavif is not there or makes nothing of the file, or its colours are multiplied by their transparency.
    """
    library = _library()
    if library is None:
        raise Refused("no libavif")
    decoder = library.avifDecoderCreate()
    if not decoder:
        raise MemoryError
    try:
        # What a strict decoder refuses is shown; metadata are read elsewhere.
        decoder.contents.strict, decoder.contents.ignores_exif, decoder.contents.ignores_xmp = 0, 1, 1
        stored = np.frombuffer(data, np.uint8)
        if (
            library.avifDecoderSetIOMemory(decoder, stored.ctypes.data, stored.size)
            or library.avifDecoderParse(decoder)
            or library.avifDecoderNextImage(decoder)
        ):
            raise Refused("libavif makes nothing of it")
        yield _planes(decoder.contents.image.contents)
    finally:
        library.avifDecoderDestroy(decoder)


def _planes(image: _Image) -> Planes:
    shared = _SHARED.get(image.format)
    if shared is None or image.premultiplied or not 8 <= image.depth <= 16:
        raise Refused("libavif: planes of another kind")
    width, height, (across, down) = image.width, image.height, shared
    sizes = [(height, width)]
    if across:
        sizes += [(-(-height // down), -(-width // across))] * 2
    planes = tuple(
        _array(image.planes[number], image.row_bytes[number], image.depth, *size) for number, size in enumerate(sizes)
    )
    opacity = None
    if image.opacity:
        opacity = _array(image.opacity, image.opacity_row_bytes, image.depth, height, width)
    return Planes(planes, opacity, image.depth, across, down, image.matrix, image.range == _FULL)


def _array(place: int | None, row_bytes: int, bits: int, height: int, width: int) -> NDArray[Any]:
    """Return a plane as an array (h, w), without a copy."""
    kind = np.dtype(np.uint8 if bits == 8 else np.uint16)
    if not place or row_bytes < width * kind.itemsize:
        raise Refused("libavif: a plane is missing")
    # The last row may end where its pixels end.
    count = (height - 1) * row_bytes + width * kind.itemsize
    stored = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(place))
    items = stored[: count // kind.itemsize * kind.itemsize].view(kind)
    return np.lib.stride_tricks.as_strided(items, (height, width), (row_bytes, kind.itemsize), writeable=False)
