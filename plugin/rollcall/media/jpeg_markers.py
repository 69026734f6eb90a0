"""Walk the markers of a JPEG file (ITU-T T.81, annex B) without decoding anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_SOI, _EOI, _SOS, _APP1, _APP13, _COM = 0xD8, 0xD9, 0xDA, 0xE1, 0xED, 0xFE
#: Start of frame: baseline, extended, progressive and lossless ones, Huffman and arithmetic. Not DHT, JPG, DAC.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers without content, fill bytes, and a zero that is no marker.
_ALONE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9), 0xFF})
#: What decoding needs: frames, tables, restart interval, scans, JFIF's and Adobe's segments on the colours.
_ESSENTIAL: Final = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
#: A marker within or behind the data of a scan; a zero or a restart follows an 0xFF that is data.
_MARKER: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_MOST_SEGMENTS: Final = 2000
#: Begins a part of an XMP packet that does not fit into one segment (Adobe, "XMP Specification Part 3", 1.1.3.1).
_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"


class Segment(NamedTuple):
    """A segment: its marker, and where its content lies."""

    marker: int
    start: int
    end: int


class Frame(NamedTuple):
    """What the header holds on the picture."""

    width: int  # as stored, in pixels
    height: int
    bits: int  # of a sample
    sampling: tuple[tuple[int, int], ...]  # horizontal and vertical sampling factors, a pair a component
    in_scans: bool  # progressive, or one component after the other: decoders keep all coefficients
    scan: int  # where the first start of a scan lies
    clean: bool = True  # nothing stands between the segments


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to the first scan, which comes last."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if position + 4 > len(data):
            return
        if data[position] != 0xFF:
            # Bytes between segments: decoders go on at the next marker.
            position = data.find(b"\xff", position)
            if position < 0:
                return
            continue
        marker = data[position + 1]
        if marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _EOI:
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield Segment(marker, position + 4, min(end, len(data)))
        if marker == _SOS or end < position + 4:
            return
        position = end


def frame(data: bytes) -> Frame | None:
    """Return the fields of the header; None where there is no frame, or no scan behind it."""
    found: Frame | None = None
    clean, before = True, 2
    for marker, start, end in segments(data):
        content = data[start:end]
        clean = clean and not data[before : start - 4].strip(b"\xff")
        before = end
        if marker in _FRAMES and found is None and len(content) >= 6:
            sampling = tuple((max(one >> 4, 1), max(one & 15, 1)) for one in content[7 : 6 + 3 * content[5] : 3])
            height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            found = Frame(width, height, content[0], sampling, progressive, 0)
        elif marker == _SOS and found is not None:
            partial = bool(content) and content[0] < len(found.sampling)
            return found._replace(in_scans=found.in_scans or partial, scan=start - 4, clean=clean)
    return None


def scans(data: bytes, first: int, most: int) -> list[int]:
    """Return where the scans of the main picture begin, from the first on, and at most `most`."""
    found = [first]
    position = first + 4
    while len(found) < most:
        match = _MARKER.search(data, position)
        if match is None or match[1][0] == _EOI:
            break
        if match[1][0] == _SOS:
            found.append(match.start())
        # Tables stand between scans.
        end = match.end()
        position = end + max(int.from_bytes(data[end : end + 2], "big"), 2)
    return found


def before_cut(data: bytes, first: int) -> bytes:
    """Return a file that ends early without the segment that it ends in, if that stands between scans."""
    position = first + 4
    while match := _MARKER.search(data, position):
        end = match.end()
        length = int.from_bytes(data[end : end + 2], "big")
        if end + max(length, 2) > len(data):
            return data[: match.start()]
        position = end + max(length, 2)
    return data


def has_end(data: bytes, scan: int) -> bool:
    """Return whether there is an end of the picture behind the start of its scan.

    In the data of a scan no other bytes are equal to it; before the scan, thumbnails have ends of their own.
    """
    return data.rfind(b"\xff\xd9") > scan


def essential(data: bytes) -> bytes:
    """Return the file without the segments that decoding does not need, damaged ones among them."""
    parts, tail = [b"\xff\xd8"], b""
    for marker, start, end in segments(data):
        if marker == _SOS:
            tail = data[start - 4 :]
        elif marker in _ESSENTIAL:
            parts.append(data[start - 4 : end])
    return b"".join(parts) + tail


def blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name ("exif", "xmp", "xmp extended" or "photoshop") and the content of the blocks in the header."""
    parts: dict[bytes, dict[int, bytes]] = {}
    for marker, start, end in segments(data):
        if marker == _APP1 and data[start : start + 5] in (b"Exif\0", b"EXIF\0"):
            yield "exif", data[start + 6 : end]
        elif marker == _APP1 and data[start : start + len(_EXTENSION)] == _EXTENSION:
            # A digest that all parts share (32), the length of the whole (4), and where this part goes (4).
            place = start + len(_EXTENSION)
            offset = int.from_bytes(data[place + 36 : place + 40], "big")
            parts.setdefault(data[place : place + 32], {})[offset] = data[place + 40 : end]
        elif marker == _APP1 and data[start : start + 20] == b"http://ns.adobe.com/":
            yield "xmp", data[start:end]
        elif marker == _APP13 and data[start : start + 14] == b"Photoshop 3.0\0":
            yield "photoshop", data[start + 14 : end]
    for found in parts.values():
        yield "xmp extended", b"".join(found[offset] for offset in sorted(found))
