"""Which format a file has: by its first bytes, not by its name.

To add a format: its suffix and its first bytes here, its size in `estimates`, its decoders in `decoders`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Final

from rollcall.media import exif


class Format(StrEnum):
    """The formats that are decoded; the values are their names in sentences."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    GIF = "GIF"
    BMP = "BMP"
    TIFF = "TIFF"
    PPM = "PPM"
    JPEG2000 = "JPEG 2000"
    AVIF = "AVIF"
    HEIF = "HEIC"
    JXL = "JPEG XL"
    RAW = "raw"
    VIDEO = "video"


_JPEG: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
_PLAIN: Final = frozenset({".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".avif"})
_NETPBM: Final = frozenset({".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"})
_HEIC: Final = frozenset({".heic", ".heif", ".hif"})
_JXL: Final = frozenset({".jxl"})
RAW_SUFFIXES: Final = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".rw2", ".orf", ".raf", ".pef", ".srw", ".x3f"}
)
#: Lower-case suffixes of the files that are taken for pictures.
SUFFIXES: Final = _JPEG | _PLAIN | _NETPBM | _HEIC | _JXL | RAW_SUFFIXES
#: Lower-case suffixes of the files that are taken for videos, and their media types.
VIDEO_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".3gp": "video/3gpp",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
}
VIDEO_SUFFIXES: Final = frozenset(VIDEO_TYPES)
#: The extra of the package that a format needs, and the module that the extra installs.
EXTRAS: Final = {
    Format.HEIF: ("heic", "pillow_heif"),
    Format.JXL: ("jxl", "pillow_jxl"),
    Format.RAW: ("raw", "rawpy"),
    Format.VIDEO: ("video", "av"),
}
_FIRST_BYTES: Final = (
    (b"\xff\xd8", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF8", Format.GIF),
    (b"BM", Format.BMP),
    (b"\x00\x00\x00\x0cjP  ", Format.JPEG2000),
    (b"\xff\x4f\xff\x51", Format.JPEG2000),
    (b"\xff\x0a", Format.JXL),
    (b"\x00\x00\x00\x0cJXL ", Format.JXL),
    (b"FUJIFILMCCD-RAW", Format.RAW),
    (b"FOVb", Format.RAW),
    # What Olympus and Panasonic write instead of TIFF's 42.
    (b"IIRO", Format.RAW),
    (b"IIRS", Format.RAW),
    (b"MMOR", Format.RAW),
    (b"IIU\0", Format.RAW),
)
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})


def sniff(data: bytes, suffix: str) -> Format | None:
    """Return the format of a file; `suffix` (lower-case) decides only what the bytes leave open. None: no picture."""
    for magic, found in _FIRST_BYTES:
        if data.startswith(magic):
            return found
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[:1] == b"P" and data[1:2] in b"1234567fF" and data[2:3].isspace():
        return Format.PPM
    if data.startswith(_TIFF):
        return Format.RAW if _is_raw(data, suffix) else Format.TIFF
    return _of_boxes(data) if data[4:8] == b"ftyp" else None


def _is_raw(data: bytes, suffix: str) -> bool:
    """Return whether a TIFF is a camera's raw file: most are, by their first directory."""
    if suffix in RAW_SUFFIXES or data[8:10] == b"CR":
        return True
    found = exif.read(data) if installed("rawpy") else None
    return found is not None and exif.DNG_VERSION in found.main.entries


def _of_boxes(data: bytes) -> Format | None:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[place : place + 4] for place in range(16, length, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return Format.AVIF
        if brand in _HEIF_BRANDS:
            return Format.HEIF
        if brand == b"crx ":
            return Format.RAW
    return Format.HEIF if data[8:12] in (b"mif1", b"msf1") else None


def missing_extra(kind: Format) -> str | None:
    """Return the extra that has to be installed for a format; None where nothing is missing."""
    extra, module = EXTRAS.get(kind, ("", ""))
    return extra if module and not installed(module) else None


@cache
def installed(module: str) -> bool:
    """Return whether a module can be imported."""
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ValueError:  # it is there, and half loaded
        return False
