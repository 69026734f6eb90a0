"""Find the EXIF, XMP and IPTC blocks of a picture file, whatever its format.

Nothing here raises, whatever the bytes: a block that cannot be found is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rollcall.media import boxes, exif, iptc, jpeg_markers, maker_times, png_chunks, times, xmp
from rollcall.media.formats import Format
from rollcall.media.times import Moment

#: `uuid` boxes of JPEG 2000: EXIF (two forms), XMP and IPTC.
_UUIDS: Final = {
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"): "exif",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
}
_GIF_XMP: Final = b"XMP DataXMP"
_LONGEST: Final = 16 << 20
#: Texts of a PNG that hold a time of capture.
_TEXT_TIMES: Final = ("exif:DateTimeOriginal", "Creation Time", "create-date", "Creation time", "CreationTime")
_PROFILES: Final = {"exif": "exif", "APP1": "exif", "xmp": "xmp", "iptc": "photoshop"}


class Metadata(NamedTuple):
    """What a file holds about its picture; empty where it does not."""

    exif: bytes = b""
    exif_directory: bytes = b""  # a block whose first directory is that of EXIF, where it stands alone
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[str, ...] = ()  # times of capture written as text
    turned_by_container: int | None = None  # EXIF orientation that the container demands, 1..8
    xmp_extended: bytes = b""  # the second packet of a JPEG, where one segment was too small for all of it
    by_maker: tuple[Moment, ...] = ()  # times in blocks of the camera's maker
    by_container: Moment | None = None  # the time of an animation, in UTC
    changed: tuple[Moment, ...] = ()  # when the picture was last changed, as it says itself


def find(kind: Format, data: bytes) -> Metadata:
    """Return the blocks of a file."""
    found: dict[str, bytes] = {}
    texts: tuple[str, ...] = ()
    for name, block in _FINDERS.get(kind, _none)(data):
        found.setdefault(name, block[:_LONGEST])
    # The directories of a raw file are read in place.
    block = data if kind in (Format.TIFF, Format.RAW) and "exif" not in found else found.get("exif", b"")
    if kind is Format.PNG:
        texts = tuple(_png_texts(data))
    record = found.get("iptc", b"") or iptc.from_photoshop(found.get("photoshop", b""))
    turned = found["turned"][0] if "turned" in found else None
    extended = found.get("xmp extended", b"")
    directory, packet = found.get("exif directory", b""), found.get("xmp", b"")
    return Metadata(
        block,
        directory,
        packet,
        record,
        texts,
        turned,
        extended,
        tuple(_by_maker(kind, data)),
        _by_container(kind, data),
        tuple(_changed(kind, data, packet)),
    )


def directories(found: Metadata) -> exif.Exif | None:
    """Return the directories of tags; None where there are none that can be read."""
    parsed, alone = exif.read(found.exif), exif.read(found.exif_directory)
    if parsed is not None and alone is not None:
        return parsed._replace(exif=alone.main)
    return parsed


def _by_maker(kind: Format, data: bytes) -> Iterator[Moment]:
    if kind is Format.JPEG:
        yield from maker_times.in_jpeg(data)
    elif kind is Format.RAW:
        yield from maker_times.in_heap(data)


def _by_container(kind: Format, data: bytes) -> Moment | None:
    seconds = boxes.movie_time(data) if kind in (Format.AVIF, Format.HEIF) else None
    return None if seconds is None else times.since_1970(seconds, 0)


def _changed(kind: Format, data: bytes, packet: bytes) -> Iterator[Moment]:
    written = times.moment(xmp.changed(packet)) if packet else None
    if written is not None:
        yield written
    parts = png_chunks.changed(data) if kind is Format.PNG else ()
    local = times.plausible(*parts) if parts and 0 not in parts[1:3] else None
    if local is not None:
        yield Moment(local, 0)


def _none(_data: bytes) -> Iterator[tuple[str, bytes]]:
    return iter(())


def _png(data: bytes) -> Iterator[tuple[str, bytes]]:
    block = png_chunks.exif(data)
    if block:
        yield "exif", block
    texts = png_chunks.texts(data)
    if "XML:com.adobe.xmp" in texts:
        yield "xmp", texts["XML:com.adobe.xmp"]
    for keyword, text in texts.items():
        name = keyword.removeprefix("Raw profile type ")
        if name != keyword and name in _PROFILES:
            profile = _profile(text)
            xmp = name == "APP1" and not profile.startswith((b"Exif", b"II", b"MM"))
            yield "xmp" if xmp else _PROFILES[name], profile


def _profile(text: bytes) -> bytes:
    """Return a block that ImageMagick wrote as a text: its name, its length, and hexadecimal digits."""
    match = re.match(rb"\s*\S+\s+[0-9]+\s+([0-9A-Fa-f\s]*)", text)
    digits = re.sub(rb"\s", b"", match[1]) if match else b""
    return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))


def _png_texts(data: bytes) -> Iterator[str]:
    texts = png_chunks.texts(data)
    for name in _TEXT_TIMES:
        if name in texts:
            yield texts[name][:80].decode("utf-8", "replace")


def _webp(data: bytes) -> Iterator[tuple[str, bytes]]:
    position = 12
    while position + 8 <= len(data):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if kind in (b"EXIF", b"XMP "):
            yield kind.strip().decode().lower(), data[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)


def _tiff(data: bytes) -> Iterator[tuple[str, bytes]]:
    found = exif.read(data)
    if found is None:
        return
    for tag, name in ((exif.XMP, "xmp"), (exif.IPTC, "iptc"), (exif.PHOTOSHOP, "photoshop")):
        block = found.main.data(tag)
        if block:
            yield name, block


def _heif(data: bytes) -> Iterator[tuple[str, bytes]]:
    found = boxes.heif(data)
    if found is None:
        return
    if found.exif:
        yield "exif", found.exif
    if found.xmp:
        yield "xmp", found.xmp
    turned = found.orientation()
    if turned is not None:
        yield "turned", bytes([turned])


def _jxl(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, start, end in boxes.walk(data):
        if kind == b"Exif":
            yield "exif", boxes.exif_block(data[start:end])
        elif kind == b"xml ":
            yield "xmp", data[start:end]


def _jpeg2000(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, start, end in boxes.walk(data):
        if kind == b"uuid" and data[start : start + 16] in _UUIDS:
            yield _UUIDS[data[start : start + 16]], data[start + 16 : end]
        elif kind == b"xml " and b"adobe" in data[start : min(end, start + 4096)]:
            yield "xmp", data[start:end]


def _gif(data: bytes) -> Iterator[tuple[str, bytes]]:
    place = data.find(b"\x21\xff\x0b" + _GIF_XMP)
    if place >= 0:
        yield "xmp", data[place + 14 : data.find(b"\x01\xff\xfe\xfd", place)]


def _raw(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the blocks of raw files that are no TIFF: Fujifilm's hold a JPEG, Canon's CR3 directories in boxes."""
    if data.startswith(b"FUJIFILMCCD-RAW"):
        offset, length = int.from_bytes(data[84:88], "big"), int.from_bytes(data[88:92], "big")
        yield from jpeg_markers.blocks(data[offset : offset + length])
    elif data[4:8] == b"ftyp":
        moov = boxes.first(data, b"moov")
        for box in boxes.walk(data, moov.start, moov.end) if moov else ():
            if box.kind == b"uuid":
                yield from _cr3(data, box.start + 16, box.end)
    else:
        yield from _tiff(data)


def _cr3(data: bytes, start: int, end: int) -> Iterator[tuple[str, bytes]]:
    # The main directory is in CMT1 and that of EXIF in CMT2, each as the first one of a block of its own.
    for kind, name in ((b"CMT1", "exif"), (b"CMT2", "exif directory")):
        for box in boxes.walk(data, start, end):
            if box.kind == kind:
                yield name, data[box.start : box.end]


_FINDERS: Final[dict[Format, Callable[[bytes], Iterator[tuple[str, bytes]]]]] = {
    Format.JPEG: jpeg_markers.blocks,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.TIFF: _tiff,
    Format.HEIF: _heif,
    Format.AVIF: _heif,
    Format.JXL: _jxl,
    Format.JPEG2000: _jpeg2000,
    Format.GIF: _gif,
    Format.RAW: _raw,
}
