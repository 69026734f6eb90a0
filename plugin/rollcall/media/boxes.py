"""Walk the boxes of ISO base media files: JPEG XL, JPEG 2000, HEIF, AVIF and Canon's CR3.

ISO/IEC 14496-12 (boxes), 23008-12 (HEIF items and their properties), 15444-1 (JPEG 2000). Nothing here raises: a box
that is cut off or lies about its length ends the walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_MOST_BOXES: Final = 2000
_MOST_ITEMS: Final = 4000
#: No block of EXIF, XMP or IPTC is longer.
_LONGEST_BLOCK: Final = 16 << 20
#: Seconds from 1904, which the times of these files count from, to 1970.
_FROM_1904: Final = 2_082_844_800


class Box(NamedTuple):
    """A box: its kind and where its content lies in the file."""

    kind: bytes
    start: int
    end: int


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes of a file, or of a part of it."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        length, header = int.from_bytes(data[start : start + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = start + length if length else end
        if stop < start + header:
            return
        yield Box(data[start + 4 : start + 8], start + header, min(stop, end))
        start = stop


def first(data: bytes, *path: bytes) -> Box | None:
    """Return the first box at a path of kinds, such as (b"moov", b"trak")."""
    box: Box | None = Box(b"", 0, len(data))
    for kind in path:
        assert box is not None
        # `meta` is a full box: version and flags stand before its content.
        start = box.start + 4 if box.kind == b"meta" else box.start
        box = next((one for one in walk(data, start, box.end) if one.kind == kind), None)
        if box is None:
            return None
    return box


def movie_time(data: bytes) -> int | None:
    """Return when a file with moving pictures was made, in seconds since 1970 in UTC; None where it does not say."""
    box = first(data, b"moov", b"mvhd")
    if box is None:
        return None
    width = 8 if data[box.start : box.start + 1] == b"\1" else 4
    seconds = int.from_bytes(data[box.start + 4 : min(box.start + 4 + width, box.end)], "big")
    return seconds - _FROM_1904 if seconds > _FROM_1904 else None


class Heif(NamedTuple):
    """What the `meta` box of a HEIF or AVIF file holds of its main picture."""

    width: int  # of the stored picture, in pixels; 0 where it is not given
    height: int
    transforms: tuple[tuple[bytes, int], ...]  # `irot` and `imir` with their values, in the order of being applied
    exif: bytes
    xmp: bytes

    def orientation(self) -> int | None:
        """Return the transforms as an EXIF orientation, 1..8; None where there are none."""
        if not self.transforms:
            return None
        # Every orientation is `turns` quarter turns clockwise after `mirrored` exchanges of left and right.
        turns, mirrored = 0, False
        for kind, value in self.transforms:
            if kind == b"irot":
                turns -= value & 3
            else:
                # Exchanging left and right after a turn is the same before a turn the other way round; exchanging top
                # and bottom (axis 0) is exchanging left and right, and half a turn.
                turns = -turns + (0 if value & 1 else 2)
                mirrored = not mirrored
        return ((2, 7, 4, 5) if mirrored else (1, 6, 3, 8))[turns % 4]


def heif(data: bytes) -> Heif | None:
    """Return what the file holds of its main picture; None without a `meta` box."""
    meta = first(data, b"meta")
    if meta is None:
        return None
    parts = {box.kind: box for box in walk(data, meta.start + 4, meta.end)}
    items = _items(data, parts.get(b"iinf"))
    places = _places(data, parts.get(b"iloc"), parts.get(b"idat"))
    width = height = 0
    transforms: list[tuple[bytes, int]] = []
    for kind, content in _properties(data, parts.get(b"iprp"), _primary(data, parts.get(b"pitm"))):
        if kind == b"ispe":
            width, height = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
        elif kind in (b"irot", b"imir") and content:
            transforms.append((kind, content[0]))
    numbers = {kind: number for number, kind in reversed(items.items())}
    exif, xmp = (_item(data, places, numbers.get(kind)) for kind in (b"Exif", b"mime"))
    return Heif(width, height, tuple(transforms), exif_block(exif), xmp)


class Item(NamedTuple):
    """The main picture of a HEIF or AVIF file, where that lies in one piece."""

    kind: bytes
    offset: int  # of its bytes in the file
    length: int
    properties: tuple[tuple[bytes, bytes], ...]  # kind and first bytes of each
    has_auxiliary: bool  # some picture is one of transparency or depth


def main_item(data: bytes) -> Item | None:
    """Return where the main picture lies; None where there is none in one piece."""
    meta = first(data, b"meta")
    if meta is None:
        return None
    parts = {box.kind: box for box in walk(data, meta.start + 4, meta.end)}
    number = _primary(data, parts.get(b"pitm"))
    place = _places(data, parts.get(b"iloc"), parts.get(b"idat")).get(number)
    if place is None:
        return None
    box = parts.get(b"iref")
    references = () if box is None else walk(data, box.start + 4, box.end)
    return Item(
        _items(data, parts.get(b"iinf")).get(number, b""),
        *place,
        tuple(_properties(data, parts.get(b"iprp"), number)),
        any(one.kind == b"auxl" for one in references),
    )


class Grid(NamedTuple):
    """A main picture that is put together from others, all of one size (ISO/IEC 23008-12, 6.6.2.3)."""

    width: int  # in pixels; the last tiles may reach beyond it
    height: int
    columns: int
    rows: int
    tiles: tuple[Item, ...]  # in rows, from left to right, with whole properties
    properties: tuple[tuple[bytes, bytes], ...]  # of the main picture
    auxiliary: tuple[bytes, ...]  # what the pictures beside it show, as their first bytes say


def grid(data: bytes) -> Grid | None:
    """Return the tiles of the main picture; None if it has none, or some of them do not lie in one piece."""
    meta = first(data, b"meta")
    if meta is None:
        return None
    parts = {box.kind: box for box in walk(data, meta.start + 4, meta.end)}
    kinds, main = _items(data, parts.get(b"iinf")), _primary(data, parts.get(b"pitm"))
    if kinds.get(main) != b"grid":
        return None
    places = _places(data, parts.get(b"iloc"), parts.get(b"idat"))
    content = _item(data, places, main)
    if len(content) < 8:
        return None
    # Version and flags, of which one says that numbers have four bytes.
    wide = 4 if content[1] & 1 else 2
    width, height = (int.from_bytes(content[n : n + wide], "big") for n in (4, 4 + wide))
    rows, columns = content[2] + 1, content[3] + 1
    references = list(_references(data, parts.get(b"iref")))
    numbers = next((to for kind, item, to in references if kind == b"dimg" and item == main), [])
    if len(numbers) != rows * columns or any(number not in places for number in numbers):
        return None
    properties = _all_properties(data, parts.get(b"iprp"))
    tiles = tuple(Item(kinds.get(one, b""), *places[one], properties.get(one, ()), False) for one in numbers)
    beside = [item for kind, item, to in references if kind == b"auxl" and main in to]
    auxiliary = tuple(content[:64] for item in beside for kind, content in properties.get(item, ()) if kind == b"auxC")
    return Grid(width, height, columns, rows, tiles, properties.get(main, ()), auxiliary)


def _references(data: bytes, box: Box | None) -> Iterator[tuple[bytes, int, list[int]]]:
    """Yield the kind of each reference, the item that refers, and those that it refers to."""
    if box is None:
        return
    width = 2 if data[box.start : box.start + 1] == b"\0" else 4
    for one in walk(data, box.start + 4, box.end):
        reader = _Reader(data, one.start, one.end)
        item, count = reader.take(width), reader.take(2)
        yield one.kind, item, [reader.take(width) for _ in range(min(count, _MOST_ITEMS))]


def _all_properties(data: bytes, box: Box | None) -> dict[int, tuple[tuple[bytes, bytes], ...]]:
    """Return kind and content of the properties of each item, in their order."""
    parts = [] if box is None else list(walk(data, box.start, box.end))
    container = next((one for one in parts if one.kind == b"ipco"), None)
    if container is None:
        return {}
    known = [(one.kind, data[one.start : one.end]) for one in walk(data, container.start, container.end)]
    return {
        item: tuple(known[index - 1] for index in indices if 0 < index <= len(known))
        for association in parts
        if association.kind == b"ipma"
        for item, indices in _associated(data, association)
    }


def exif_block(content: bytes) -> bytes:
    """Return the EXIF block of an item or a box of that name, which four bytes with the distance to it stand before.

    Some encoders leave them out.
    """
    if content[:4] in (b"II*\0", b"MM\0*", b"Exif"):
        return content
    skip = 4 + int.from_bytes(content[:4], "big")
    return content[skip:] if skip < len(content) else content[4:]


def _primary(data: bytes, box: Box | None) -> int:
    if box is None:
        return 0
    width = 2 if data[box.start : box.start + 1] == b"\0" else 4
    return int.from_bytes(data[box.start + 4 : box.start + 4 + width], "big")


def _items(data: bytes, box: Box | None) -> dict[int, bytes]:
    """Return the kind of each item by its number."""
    if box is None:
        return {}
    found: dict[int, bytes] = {}
    start = box.start + (6 if data[box.start : box.start + 1] == b"\0" else 8)
    for entry in walk(data, start, box.end):
        version = data[entry.start] if entry.start < entry.end else 0
        width = 4 if version >= 3 else 2
        number = int.from_bytes(data[entry.start + 4 : entry.start + 4 + width], "big")
        kind = entry.start + 4 + width + 2
        if version >= 2 and len(found) < _MOST_ITEMS:
            found.setdefault(number, data[kind : kind + 4])
    return found


class _Extent(NamedTuple):
    """A piece of an item."""

    item: int
    whole: bool  # it is all of the item
    method: int  # 0: the offset is that in the file, 1: in the `idat` box
    offset: int
    length: int


def _extents(data: bytes, box: Box | None) -> Iterator[_Extent]:
    """Yield the pieces of all items in the `iloc` box."""
    if box is None:
        return
    reader = _Reader(data, box.start, box.end)
    version = reader.take(1)
    reader.take(3)
    sizes = reader.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    for _ in range(min(reader.take(2 if version < 2 else 4), _MOST_ITEMS)):
        number = reader.take(2 if version < 2 else 4)
        method = reader.take(2) & 15 if version in (1, 2) else 0
        reader.take(2)
        base = reader.take(base_size)
        count = reader.take(2)
        for _ in range(min(count, _MOST_ITEMS)):
            reader.take(index_size)
            yield _Extent(number, count == 1, method, base + reader.take(offset_size), reader.take(length_size))
        if reader.at_end:
            return


def _places(data: bytes, box: Box | None, content: Box | None) -> dict[int, tuple[int, int]]:
    """Return the offset and the length of each item that lies in one piece."""
    found: dict[int, tuple[int, int]] = {}
    for extent in _extents(data, box):
        if extent.whole and extent.method == 0:
            found[extent.item] = (extent.offset, extent.length)
        elif extent.whole and extent.method == 1 and content is not None:
            found[extent.item] = (content.start + extent.offset, extent.length)
    return found


def end_of_items(data: bytes) -> int:
    """Return how many bytes a HEIF or AVIF file has to have so that all its items are there; 0 without items."""
    meta = first(data, b"meta")
    places = first(data, b"meta", b"iloc") if meta is not None and meta.end < len(data) else None
    return max((one.offset + one.length for one in _extents(data, places) if one.method == 0), default=0)


def _item(data: bytes, places: dict[int, tuple[int, int]], number: int | None) -> bytes:
    offset, length = places.get(number, (0, 0)) if number is not None else (0, 0)
    return data[offset : offset + min(length, _LONGEST_BLOCK)]


def _properties(data: bytes, box: Box | None, item: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of an item's properties, in their order."""
    if box is None:
        return
    parts = list(walk(data, box.start, box.end))
    container = next((one for one in parts if one.kind == b"ipco"), None)
    if container is None:
        return
    known = list(walk(data, container.start, container.end))
    for association in parts:
        if association.kind != b"ipma":
            continue
        for index in next((indices for number, indices in _associated(data, association) if number == item), ()):
            if 0 < index <= len(known):
                one = known[index - 1]
                yield one.kind, data[one.start : min(one.end, one.start + 64)]


def _associated(data: bytes, box: Box) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each item and those of its properties, from 1."""
    reader = _Reader(data, box.start, box.end)
    version, flags = reader.take(1), reader.take(3)
    for _ in range(min(reader.take(4), _MOST_ITEMS)):
        number = reader.take(2 if version < 1 else 4)
        wide = 2 if flags & 1 else 1
        found = [reader.take(wide) & (0x7FFF if wide == 2 else 0x7F) for _ in range(reader.take(1))]
        yield number, found
        if reader.at_end:
            return


class _Reader:
    """Big-endian numbers, one after the other; zeros behind the end."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self._data, self._position, self._end = data, position, end

    @property
    def at_end(self) -> bool:
        return self._position >= self._end

    def take(self, width: int) -> int:
        value = int.from_bytes(self._data[self._position : min(self._position + width, self._end)], "big")
        self._position += width
        return value
