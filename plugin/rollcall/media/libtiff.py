"""Unpack the rows of a TIFF one after the other by libtiff, also where all of them are packed as one strip.

Pillow unpacks whole strips only. The library that it does so by is asked directly here, where Pillow brings it as a
library of its own, which is not so on Windows. It reads the file where it lies in memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from rollcall.media.job import Refused

#: A tag of libtiff's own that is in no file: how colours of JPEG are given, and its value for RGB (`tiff.h`).
_JPEG_COLOURS, _AS_RGB = 65538, 1
_PHOTOMETRIC, _COMPRESSION = 262, 259
_YCBCR, _JPEG = 6, 7

_HANDLE: Final = ctypes.c_void_p
_READ: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, _HANDLE, ctypes.c_void_p, ctypes.c_ssize_t)
_SEEK: Final = ctypes.CFUNCTYPE(ctypes.c_uint64, _HANDLE, ctypes.c_uint64, ctypes.c_int)
_CLOSE: Final = ctypes.CFUNCTYPE(ctypes.c_int, _HANDLE)
_SIZE: Final = ctypes.CFUNCTYPE(ctypes.c_uint64, _HANDLE)
_MAP: Final = ctypes.CFUNCTYPE(ctypes.c_int, _HANDLE, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint64))
_UNMAP: Final = ctypes.CFUNCTYPE(None, _HANDLE, ctypes.c_void_p, ctypes.c_uint64)


@cache
def _library() -> Any:
    """Return libtiff as Pillow has loaded it; None where its functions cannot be reached."""
    try:
        # What a library was linked with is found through it, whatever the names of the files.
        found = ctypes.CDLL(_imaging.__file__)
        found.TIFFClientOpen.restype = _HANDLE
        found.TIFFClientOpen.argtypes = [
            ctypes.c_char_p, ctypes.c_char_p, _HANDLE, _READ, _READ, _SEEK, _CLOSE, _SIZE, _MAP, _UNMAP,
        ]  # fmt: skip
        found.TIFFReadScanline.argtypes = [_HANDLE, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint16]
        found.TIFFScanlineSize.argtypes, found.TIFFScanlineSize.restype = [_HANDLE], ctypes.c_ssize_t
        # The other arguments of these two depend on the tag.
        found.TIFFSetField.argtypes = [_HANDLE, ctypes.c_uint32]
        found.TIFFGetField.argtypes = [_HANDLE, ctypes.c_uint32]
        found.TIFFClose.argtypes, found.TIFFClose.restype = [_HANDLE], None
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            # It would print what is wrong with a file.
            getattr(found, name).argtypes, getattr(found, name).restype = [ctypes.c_void_p], ctypes.c_void_p
            getattr(found, name)(None)
    except (AttributeError, OSError):
        return None
    return found


def is_there() -> bool:
    """Return whether rows can be unpacked here."""
    return _library() is not None


class Rows:
    """The rows of the first picture of a file. To be used in the block of `opened`, by one thread."""

    def __init__(self, handles: list[int], rows_of_strip: int) -> None:
        self._handles, self._rows_of_strip = handles, rows_of_strip
        self._damaged: set[tuple[int, int]] = set()  # planes and strips
        self.row_bytes = int(_library().TIFFScanlineSize(handles[0]))

    def read(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return the samples of rows as bytes, (planes, rows, `row_bytes`), in the order of bytes of this machine.

        Rows above those that were read last are unpacked from the beginning of their strip again.

        Raises
        ------
        Refused
            If they are damaged or not there.
        """
        found = np.zeros((len(self._handles), bottom - top, self.row_bytes), np.uint8)
        for plane, (handle, rows) in enumerate(zip(self._handles, found, strict=True)):
            for number, row in enumerate(rows, start=top):
                strip = number // self._rows_of_strip if self._rows_of_strip else 0
                if (plane, strip) in self._damaged:
                    continue
                if _library().TIFFReadScanline(handle, row.ctypes.data, number, plane) != 1:
                    if not self._rows_of_strip:
                        raise Refused(f"libtiff: row {number} cannot be unpacked")
                    # What it would make of the bytes behind is nothing of the picture.
                    self._damaged.add((plane, strip))
                    row[:] = 0
        return found


@contextmanager
def opened(data: bytes, planes: int, rows_of_strip: int = 0) -> Iterator[Rows]:
    """Open the first picture of a file, whose samples lie in one plane, or those of each channel in one of their own.

    Samples in portions of JPEG are given as RGB. `rows_of_strip`: how many rows a strip has, where those of damaged
    strips shall be zeros from the damage on; else they are refused.

    Raises
    ------
    Refused
        If libtiff is not there, or makes nothing of the file.
    """
    if not is_there():
        raise Refused("no libtiff")
    with ExitStack() as held:
        # To go from one plane to another and back would begin a strip anew.
        handles = [held.enter_context(_opened(data)) for _ in range(planes)]
        yield Rows(handles, rows_of_strip)


@contextmanager
def _opened(data: bytes) -> Iterator[int]:
    library, memory = _library(), _Memory(data)
    handle = library.TIFFClientOpen(b"", b"r", None, *memory.functions)
    if not handle:
        raise Refused("libtiff makes nothing of it")
    try:
        values = [ctypes.c_uint16(), ctypes.c_uint16()]
        for tag, value in zip((_PHOTOMETRIC, _COMPRESSION), values, strict=True):
            library.TIFFGetField(handle, tag, ctypes.byref(value))
        if [value.value for value in values] == [_YCBCR, _JPEG]:
            library.TIFFSetField(handle, _JPEG_COLOURS, ctypes.c_int(_AS_RGB))
        yield handle
    finally:
        library.TIFFClose(handle)


class _Memory:
    """The bytes of a file as libtiff asks for them."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._position = 0
        #: Read, write, seek, close, size, map and unmap; held for as long as libtiff may call them.
        self.functions = (
            _READ(self._read),
            _READ(lambda _, place, count: 0),
            _SEEK(self._seek),
            _CLOSE(lambda _: 0),
            _SIZE(lambda _: self._bytes.size),
            _MAP(self._map),
            _UNMAP(lambda _, place, count: None),
        )

    def _read(self, _: object, place: int, count: int) -> int:
        part = self._bytes[self._position : self._position + count]
        ctypes.memmove(place, part.ctypes.data, part.size)
        self._position += part.size
        return part.size

    def _seek(self, _: object, offset: int, start: int) -> int:
        # From the beginning, from here, or from the end.
        self._position = (0, self._position, self._bytes.size)[start] + offset
        return self._position

    def _map(self, _: object, place: Any, size: Any) -> int:
        place[0], size[0] = self._bytes.ctypes.data, self._bytes.size
        return 1
