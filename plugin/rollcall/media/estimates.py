"""How much memory decoding will take, from the header, before a pixel is made.

Bytes a pixel of what the decoders hold at once, as measured with files of 20 to 268 megapixels (peak of the resident
memory of a process, `tests/plugin/media/test_memory.py`), rounded up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.media import (
    avif_strips,
    bmp,
    boxes,
    exif,
    heif_tiles,
    jpeg2000,
    jpeg_markers,
    jxl,
    pillow_formats,
    png_chunks,
    png_strips,
    pnm,
    raw,
    samples,
    tiff,
    tiff_strips,
    webp,
    webp_chunks,
)
from rollcall.media.conversion import factor_for, step_for
from rollcall.media.formats import Format
from rollcall.media.job import Refused, TooManyPixels

#: What a decoder takes whatever the picture.
_FIXED: Final = 8 << 20
#: What a strip of rows takes while its pixels are converted.
_STRIPS: Final = 40 << 20
#: Bytes a pixel of the formats whose decoders are libraries of their own: planes of the codec, their RGB, and a copy.
_LIBRARIES: Final = {Format.AVIF: 16, Format.HEIF: 10, Format.JXL: 8}
#: No compression. Any other is libtiff's, which reports damage on the terminal.
_PLAIN_COMPRESSIONS: Final = frozenset({None, 1})
#: Bytes a pixel of Pillow's modes; RGB is stored in four.
_MODES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2, "LA": 4, "PA": 4}


class Size(NamedTuple):
    """Width and height of the stored picture, in pixels; zeros where the header does not give it."""

    width: int
    height: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


def size(kind: Format, data: bytes) -> Size:
    """Return the size that the header gives, without asking a decoder; zeros for formats that Pillow opens lazily."""
    match kind:
        case Format.JPEG:
            frame = jpeg_markers.frame(data)
            return Size(frame.width, frame.height) if frame else Size(0, 0)
        case Format.PNG:
            header = png_chunks.header(data)
            return Size(header.width, header.height) if header else Size(0, 0)
        case Format.WEBP:
            return Size(*webp_chunks.size(data))
        case Format.JXL:
            return Size(*jxl.size(data))
        case Format.AVIF | Format.HEIF:
            found = boxes.heif(data)
            return Size(found.width, found.height) if found else Size(0, 0)
        case Format.JPEG2000:
            return Size(*jpeg2000.size(data))
        case Format.RAW:
            parsed = exif.read(data)
            return Size(*parsed.largest()) if parsed else Size(0, 0)
        case _:
            return Size(0, 0)


def of_library(kind: Format, found: Size, data: bytes, target: int | None, most: int | None = None) -> int:
    """Return the bytes that a decoder with a library of its own takes."""
    pixels = found.width * found.height
    planes = avif_strips.find(data, target, most) if kind is Format.AVIF else None
    if planes is not None:
        return of_strips(found, data, target, most) + planes.needed
    tiles = heif_tiles.find(data, target, most) if kind in (Format.AVIF, Format.HEIF) else None
    if tiles is not None:
        return of_strips(found, data, target, most) + tiles.needed
    if kind is Format.JPEG2000:
        return _FIXED + jpeg2000.needed(data, jpeg2000.halvings(data, target))
    if kind is Format.RAW:
        return _FIXED + raw.needed(found.width, found.height, len(data), target)
    return _FIXED + 2 * len(data) + pixels * _LIBRARIES[kind]


def of_plain(
    kind: Format,
    found: Size,
    data: bytes,
    target: int | None,
    max_megapixels: float,
    most: int | None = None,
) -> tuple[int, bool]:
    """Return the bytes for a format that is decoded in this process, and whether it is of a plain kind.

    Raises
    ------
    TooManyPixels
        If Pillow finds a size above the limit in the header.
    """
    if kind is Format.JPEG:
        frame = jpeg_markers.frame(data)
        return (of_jpeg(frame, target), True) if frame else (_FIXED, True)
    if kind is Format.WEBP:
        return of_webp(found, data, target, most), True
    if kind is Format.PNG:
        header = png_chunks.header(data)
        if header is not None and png_strips.pays(header, target, most):
            return of_strips(found, data, target, most) + png_strips.held(header), False
        mode = header.pillow_mode() if header else ""
        # The file is written anew.
        return of_mode(mode, found, target) + 2 * len(data), True
    deep = _of_samples(kind, data, target, max_megapixels, most)
    if deep is not None:
        return deep, kind is not Format.TIFF or tiff_compression(data) in _PLAIN_COMPRESSIONS
    portions = _in_portions(kind, data, target, most)
    if portions is not None:
        found = portions
        if found.megapixels > max_megapixels:
            raise TooManyPixels(found.megapixels)
        return of_strips(found, data, target, most), False
    try:
        image = pillow_formats.opened(data, (kind.name,))
    except Refused:
        # Other decoders may know more: three bytes a pixel and a copy of what the file can hold.
        return _FIXED + 8 * len(data), kind is not Format.TIFF
    found = Size(*image.size)
    image.close()  # as after decoding
    if found.megapixels > max_megapixels:
        raise TooManyPixels(found.megapixels)
    if kind is not Format.TIFF or tiff_compression(data) in _PLAIN_COMPRESSIONS:
        return of_mode(image.mode, found, target) + len(data), True
    # libtiff unpacks a strip before its pixels are stored, which may be the whole picture.
    return of_mode(image.mode, found, target) + 2 * len(data) + found.width * found.height * 3, False


def _in_portions(kind: Format, data: bytes, target: int | None, most: int | None) -> Size | None:
    """Return the size of a picture of 8 bits a sample that is never held whole; None for any other."""
    if kind is Format.TIFF:
        strips = tiff_strips.find(data, target, most)
        return None if strips is None else Size(strips.width, strips.height)
    if kind is Format.BMP:
        size_in_rows = bmp.size_in_rows(data)
        return None if size_in_rows is None else Size(*size_in_rows)
    rows = pnm.rows(data) if kind is Format.PPM else None
    return None if rows is None else Size(rows.width, rows.height)


def _of_samples(kind: Format, data: bytes, target: int | None, max_megapixels: float, most: int | None) -> int | None:
    """Return the bytes for a picture of more than 8 bits a sample that is put together here; None for any other.

    Raises
    ------
    TooManyPixels
        If it is above the limit.
    """
    deep = tiff.find(data) if kind is Format.TIFF else None
    header = pnm.header(data) if kind is Format.PPM else None
    layout = deep.layout if deep else header.layout if header else None
    if layout is None:
        return None
    found = Size(layout.width, layout.height)
    if found.megapixels > max_megapixels:
        raise TooManyPixels(found.megapixels)
    # The bytes of a TIFF are unpacked, and its directory is written anew behind a copy of the file, or of portions.
    own = len(data) if deep is None else tiff.whole_bytes(deep) + 3 * len(data)
    if deep is not None and tiff.in_rows(deep):
        own = len(data) + _STRIPS
    elif deep is not None and tiff.in_portions(deep):
        own = len(data) + 2 * tiff.portion_bytes(deep) + _STRIPS
    many, few = step_for(found.width, found.height, target, most)
    made = found.width * found.height * few**2 // many**2
    return _FIXED + own + samples.strip_bytes(layout, many) + made * 6


def tiff_compression(data: bytes) -> int | None:
    """Return the compression of a TIFF's first picture."""
    parsed = exif.read(data)
    return parsed.main.number(exif.COMPRESSION) if parsed else None


def of_jpeg(frame: jpeg_markers.Frame, target: int | None) -> int:
    """Return the bytes for a JPEG: its reduced pixels twice, and all coefficients where there are several scans."""
    pixels = frame.width * frame.height
    # libjpeg reduces by 2, 4 or 8.
    factor = min(1 << (factor_for(frame.width, frame.height, target).bit_length() - 1), 8)
    made = pixels // factor**2
    total = made * 6 if len(frame.sampling) <= 3 else made * 8 + _STRIPS
    if frame.in_scans:
        widest = max((across for across, _ in frame.sampling), default=1)
        highest = max((down for _, down in frame.sampling), default=1)
        share = sum(across * down for across, down in frame.sampling) / (widest * highest)
        total += int(2 * pixels * share)
    return _FIXED + total


def of_webp(found: Size, data: bytes, target: int | None, most: int | None = None) -> int:
    """Return the bytes for a WebP: what is made, and the decoder's own pixels of a lossless or transparent one."""
    pixels = found.width * found.height
    single = webp.in_planes(data, target, most)
    if single is not None:
        planes = pixels * 3 // 2 + pixels * 2 * webp_chunks.has_alpha(single)
        return of_strips(found, data, target, most) + planes
    if webp_chunks.is_animated(data) and webp_chunks.first_frame(data) is None:
        return _FIXED + pixels * 20
    samples = 4 if webp_chunks.has_alpha(data) else 3
    own = 4 if b"VP8L" in data[:4096] else 0
    made = pixels // factor_for(found.width, found.height, target) ** 2
    # OpenCV copies what its decoder made.
    return _FIXED + pixels * max(samples + own, 2 * samples) + made * 6


def of_strips(found: Size, data: bytes, target: int | None, most: int | None) -> int:
    """Return the bytes for a picture of which nothing is held but its file, a strip of rows, and what is made."""
    many, few = step_for(found.width, found.height, target, most)
    made = found.width * found.height * few**2 // many**2
    return _FIXED + 2 * _STRIPS + len(data) + made * 6


def of_mode(mode: str, found: Size, target: int | None) -> int:
    """Return the bytes for a picture that Pillow decodes into one of its modes and that is then made RGB in strips."""
    pixels = found.width * found.height
    made = pixels // factor_for(found.width, found.height, target) ** 2
    return _FIXED + (_STRIPS if pixels > 1e6 else 0) + pixels * _MODES.get(mode, 4) + made * 6
