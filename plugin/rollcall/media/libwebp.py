"""Decode lossy WebP files into the planes of the codec by libwebp.

OpenCV and Pillow ask it for RGB at once. The library that Pillow uses is asked directly here, where Pillow brings it as
a library of its own, which is not so on Windows. Its structures are those of `decode.h`, whose version it checks.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

import numpy as np

from rollcall.media.job import Refused
from rollcall.media.planes import Planes

_VERSION: Final = 0x0209
_YUV, _YUVA = 11, 12
#: The matrix of all lossy WebPs (RFC 6386, 9.2), by its number in ITU-T H.273.
_BT_601: Final = 6


class _Input(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("width", "height", "has_alpha", "has_animation", "format")),
        ("more", ctypes.c_uint32 * 5),
    )


class _Rgba(ctypes.Structure):
    _fields_ = (("pixels", ctypes.c_void_p), ("row_bytes", ctypes.c_int), ("bytes", ctypes.c_size_t))


class _Planes(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("y", "u", "v", "a")),
        *((f"{name}_row_bytes", ctypes.c_int) for name in ("y", "u", "v", "a")),
        *((f"{name}_bytes", ctypes.c_size_t) for name in ("y", "u", "v", "a")),
    )


class _Samples(ctypes.Union):
    _fields_ = (("rgba", _Rgba), ("planes", _Planes))


class _Output(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("colours", "width", "height", "is_external")),
        ("samples", _Samples),
        ("more", ctypes.c_uint32 * 4),
        ("own", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("bypasses_filter", "coarse", "crops", "left", "top", "right", "bottom")),
        *(
            (name, ctypes.c_int)
            for name in ("scales", "width", "height", "threads", "dithers", "flips", "dithers_alpha")
        ),
        ("more", ctypes.c_uint32 * 5),
    )


class _Config(ctypes.Structure):
    _fields_ = (("input", _Input), ("output", _Output), ("options", _Options))


@cache
def _library() -> Any:
    """Return libwebp as Pillow has loaded it; None where its functions cannot be reached, or are another version's."""
    try:
        from PIL import _webp

        # What a library was linked with is found through it, whatever the names of the files.
        found = ctypes.CDLL(_webp.__file__)
        config = ctypes.POINTER(_Config)
        found.WebPInitDecoderConfigInternal.argtypes = [config, ctypes.c_int]
        found.WebPDecode.argtypes = [ctypes.c_void_p, ctypes.c_size_t, config]
        return found if found.WebPInitDecoderConfigInternal(_Config(), _VERSION) else None
    except (AttributeError, ImportError, OSError):
        return None


def is_there() -> bool:
    """Return whether files can be decoded here."""
    return _library() is not None


def planes(data: bytes, width: int, height: int, transparent: bool) -> Planes:
    """Decode a lossy picture of that size.

    Raises
    ------
    Refused
        If libwebp is not there or cannot decode all of it.
    MemoryError
        If there is not enough memory.
    """
    library, config = _library(), _Config()
    if library is None or not library.WebPInitDecoderConfigInternal(config, _VERSION):
        raise Refused("no libwebp")
    half = (-(-height // 2), -(-width // 2))
    found = [np.empty(size, np.uint8) for size in ((height, width), half, half, *[(height, width)] * transparent)]
    config.output.colours, config.output.is_external = _YUVA if transparent else _YUV, 1
    stored = np.frombuffer(data, np.uint8)
    for name, plane in zip("yuva", found, strict=False):
        setattr(config.output.samples.planes, name, plane.ctypes.data)
        setattr(config.output.samples.planes, f"{name}_row_bytes", plane.strides[0])
        setattr(config.output.samples.planes, f"{name}_bytes", plane.nbytes)
    status = library.WebPDecode(stored.ctypes.data, stored.size, config)
    if status:
        raise Refused(f"libwebp: status {status}")
    return Planes(tuple(found[:3]), found[3] if transparent else None, 8, 2, 2, _BT_601, False)
