"""Read and mend the chunks of PNG files (W3C, "Portable Network Graphics", third edition).

Decoders stop at a large text, a wrong checksum or a stream that ends early, although the pixels before are sound. A
file is therefore written anew, with nothing but what the pixels need.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ESSENTIAL: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
_MOST_CHUNKS: Final = 200_000
_LONGEST_TEXT: Final = 8 << 20
_PORTION: Final = 16 << 10
#: Of a file, what is searched for EXIF that no chain of chunks leads to.
_END: Final = 1 << 20
_HIGHEST_FILTER: Final = 4
_ROWS_AT_ONCE: Final = 1 << 20
#: A byte for each colour of a palette.
_LONGEST_TRANSPARENCY: Final = 256
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Start and step, across and down, of the seven passes of an interlaced picture.
ADAM7: Final = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


class Chunk(NamedTuple):
    """A chunk: its kind, and where its content lies."""

    kind: bytes
    start: int
    end: int


class Header(NamedTuple):
    """The first chunk."""

    width: int
    height: int
    bits: int  # of a sample
    colour: int  # colour type
    interlaced: bool

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return _CHANNELS.get(self.colour, 4)

    def pillow_mode(self) -> str:
        """Return the mode that Pillow decodes it into."""
        if self.colour == 0:
            return "I;16" if self.bits == 16 else "L"
        return {2: "RGB", 3: "P", 4: "LA"}.get(self.colour, "RGBA")

    def stream_bytes(self) -> int:
        """Return how many bytes the pixels have before they are packed: rows, each behind a byte for its filter."""
        return sum(rows * length for rows, length in self.passes())

    def passes(self) -> Iterator[tuple[int, int]]:
        """Yield how many rows each pass over the picture has, and the bytes of a row with that for its filter."""
        bits = self.bits * self.channels
        for left, across, top, down in ADAM7 if self.interlaced else ((0, 1, 0, 1),):
            columns, rows = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if columns > 0 and rows > 0:
                yield rows, 1 + (columns * bits + 7) // 8


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks; the last one may be cut off."""
    position = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            return
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        yield Chunk(kind, position + 8, min(position + 8 + length, len(data)))
        if kind == b"IEND":
            return
        position += 12 + length


def header(data: bytes) -> Header | None:
    """Return the header; None where there is none."""
    first = next(chunks(data), None)
    if first is None or first.kind != b"IHDR" or first.end - first.start < 13:
        return None
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, first.start)
    return Header(width, height, bits, colour, bool(interlaced))


def essential(data: bytes) -> bytes:
    """Return the file with what the pixels need and nothing else, checksums made anew."""
    parts: list[bytes | memoryview] = [SIGNATURE]
    # Nothing is copied before it is put together: a camera's pixels are hundreds of megabytes, and often one chunk.
    view = memoryview(data)
    for kind, start, end in chunks(data):
        if kind in _ESSENTIAL:
            content = view[start : min(end, start + _LONGEST_TRANSPARENCY) if kind == b"tRNS" else end]
            parts += _parts(kind, content)
    return b"".join([*parts, written(b"IEND", b"")])


def refilled(data: bytes) -> tuple[bytes, float]:
    """Return the file with its pixels up to the first damage and zeros behind it, and the share that is missing, 0..1.

    The pixels are unpacked and packed again in portions, so that they are never held whole.
    """
    found = header(data)
    if found is None:
        return data, 1.0
    total, done = found.stream_bytes(), 0
    packed = zlib.compressobj(1)
    parts: list[bytes] = []
    for part in _with_known_filters(_unpacked(data, total), found):
        done += len(part)
        parts.append(packed.compress(part))
    if done < next(found.passes(), (0, 1))[1]:
        # Not one row: a damaged header, perhaps of a huge picture, whose zeros would take long.
        return data, 1.0
    zeros = bytes(_ROWS_AT_ONCE)
    parts += [packed.compress(zeros[: total - start]) for start in range(done, total, _ROWS_AT_ONCE)]
    parts.append(packed.flush())
    others = [written(kind, data[start:end]) for kind, start, end in chunks(data) if kind in _ESSENTIAL - {b"IDAT"}]
    stream = written(b"IDAT", b"".join(parts))
    return b"".join([SIGNATURE, *others, stream, written(b"IEND", b"")]), 1 - done / total if total else 1.0


def _with_known_filters(parts: Iterable[bytes], found: Header) -> Iterator[bytes]:
    """Yield the bytes of the pixels up to the first row whose filter does not exist, at which decoders give up."""
    passes = found.passes()
    rows, length = next(passes, (0, 0))
    behind = 0  # where the next row begins, from the beginning of the part
    for part in parts:
        while behind < len(part) and rows:
            # Rows that begin in this part, at most those that are left of the pass.
            count = min(rows, -(-(len(part) - behind) // length))
            filters = part[behind : behind + (count - 1) * length + 1 : length]
            wrong = next((row for row, one in enumerate(filters) if one > _HIGHEST_FILTER), None)
            if wrong is not None:
                yield part[: behind + wrong * length]
                return
            rows, behind = rows - count, behind + count * length
            if not rows:
                rows, length = next(passes, (0, 0))
        behind -= len(part)
        yield part


def _unpacked(data: bytes, total: int) -> Iterator[bytes]:
    """Yield the bytes of the pixels up to the first damage, at most `total`."""
    unpack = zlib.decompressobj()
    for kind, start, end in chunks(data):
        if kind != b"IDAT":
            continue
        for position in range(start, end, _PORTION):
            before = unpack.copy()
            try:
                parts = _portion(unpack, data[position : min(position + _PORTION, end)], total)
            except zlib.error:
                # Up to the byte that is wrong; with a wrong checksum at its end the stream is complete.
                yield from _bytewise(before, data[position : min(position + _PORTION, end)], total)
                return
            total -= sum(map(len, parts))
            yield from parts
            if total <= 0 or unpack.eof:
                return


def _portion(unpack: Any, pending: bytes, total: int) -> list[bytes]:
    """Return what some packed bytes hold, at most `total` bytes."""
    parts = []
    while pending and total > 0:
        parts.append(unpack.decompress(pending, min(total, _ROWS_AT_ONCE)))
        total -= len(parts[-1])
        pending = unpack.unconsumed_tail
    return parts


def _bytewise(unpack: Any, pending: bytes, total: int) -> Iterator[bytes]:
    for position in range(len(pending)):
        try:
            parts = _portion(unpack, pending[position : position + 1], total)
        except zlib.error:
            return
        total -= sum(map(len, parts))
        yield from parts
        if total <= 0:
            return


def texts(data: bytes) -> dict[str, bytes]:
    """Return the texts by their keywords, unpacked, the first of each; `eXIf` and `iCCP` are none."""
    found: dict[str, bytes] = {}
    for kind, start, end in chunks(data):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = data[start : min(end, start + _LONGEST_TEXT)].partition(b"\0")
            found.setdefault(keyword[:79].decode("latin-1"), _text(kind, rest))
    return found


def exif(data: bytes) -> bytes:
    """Return the content of the chunk `eXIf`, or nothing.

    It may stand behind the pixels: where bytes of these are missing, and behind the last chunk, no chain of chunks
    leads to it.
    """
    chained = next((data[start:end] for kind, start, end in chunks(data) if kind == b"eXIf"), b"")
    return chained or _exif_at_the_end(data)


def _exif_at_the_end(data: bytes) -> bytes:
    """Return what looks like a chunk `eXIf` in the last bytes of a file, or nothing."""
    found = data.rfind(b"eXIf", max(len(data) - _END, len(SIGNATURE) + 4))
    if found < 0:
        return b""
    content = data[found + 4 : found + 4 + int.from_bytes(data[found - 4 : found], "big")]
    return content if content.startswith((b"II*\0", b"MM\0*", b"Exif\0\0")) else b""


def changed(data: bytes) -> tuple[int, ...]:
    """Return year, month, day, hour, minute and second of the last change, the chunk `tIME`; nothing without one."""
    content = next((data[start:end] for kind, start, end in chunks(data) if kind == b"tIME"), b"")
    return struct.unpack_from(">HBBBBB", content) if len(content) >= 7 else ()


def _text(kind: bytes, rest: bytes) -> bytes:
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:]
        # Language and translated keyword.
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]
    if not packed:
        return rest
    try:
        return zlib.decompressobj().decompress(rest, _LONGEST_TEXT)
    except zlib.error:
        return b""


def written(kind: bytes, content: bytes) -> bytes:
    """Return a chunk: its length, its kind, its content and their checksum."""
    return b"".join(_parts(kind, content))


def _parts(kind: bytes, content: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)
