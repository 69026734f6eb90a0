"""Mend the headers of AVIF files that browsers show and a strict decoder refuses.

Encoders left out what the standard demands of transparency, marked transforms as optional, wrote gain maps and groups
in drafts of their formats, or the properties of items in several boxes of one form. Nothing of that is needed for the
picture: everything but the main item, and the tiles that it is made of, gets the name of an empty box (ISO/IEC 14496-12
and 23008-12; MIAF, ISO/IEC 23000-22).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from rollcall.media import boxes, pillow_formats
from rollcall.media.boxes import Box
from rollcall.media.job import Decoded, Job, Refused

_EMPTY: Final = b"free"
_GAIN_MAP: Final = b"tmap"
#: Items that show something, and EXIF: a broken block makes a strict decoder refuse the picture. It is read from the
#: file as it is, not by the decoder.
_LEFT_OUT: Final = frozenset({b"av01", b"grid", b"iovl", b"iden", b"tmap", b"sato", b"Exif"})
#: Readers must know these to show the picture as it is meant, so they have to be marked so.
_TRANSFORMS: Final = frozenset({b"clap", b"irot", b"imir"})
_MOST: Final = 4000


def main_item(job: Job) -> Decoded:
    """Decode the main picture of an AVIF without its transparency, gain map and groups.

    Raises
    ------
    Refused
        If there is nothing to leave out, or the picture cannot be decoded without it either.
    """
    mended = without_extras(job.data)
    if mended == job.data:
        raise Refused("there is nothing to leave out")
    return pillow_formats.decode(job._replace(data=mended), ("AVIF",))


def without_extras(data: bytes) -> bytes:
    """Return a file of the same length in which nothing but the main picture has a name."""
    meta = boxes.first(data, b"meta")
    if meta is None:
        return data
    found = bytearray(data)
    parts = {box.kind: box for box in boxes.walk(data, meta.start + 4, meta.end)}
    if b"grpl" in parts:
        _rename(found, parts[b"grpl"].start - 4)
    kept = _needed(data, parts.get(b"iref"), _number(data, parts.get(b"pitm")))
    for number, place in _items(data, parts.get(b"iinf")):
        if number not in kept and data[place : place + 4] in _LEFT_OUT:
            _rename(found, place)
    for place in _brands(data):
        if data[place : place + 4] == _GAIN_MAP:
            _rename(found, place)
    properties = list(boxes.walk(data, parts[b"iprp"].start, parts[b"iprp"].end)) if b"iprp" in parts else []
    _tell_apart(found, properties)
    _demand_transforms(found, data, properties)
    return bytes(found)


def _brands(data: bytes) -> range:
    """Return where the compatible brands of a file stand."""
    first = boxes.first(data, b"ftyp")
    return range(first.start + 8, first.end - 3, 4) if first is not None else range(0)


def _rename(data: bytearray, place: int) -> None:
    data[place : place + 4] = _EMPTY


def _number(data: bytes, box: Box | None) -> int:
    if box is None or box.start >= box.end:
        return 0
    return _take(data, box.start + 4, 2 if data[box.start] == 0 else 4)


def _take(data: bytes, place: int, width: int) -> int:
    return int.from_bytes(data[place : place + width], "big")


def _needed(data: bytes, box: Box | None, main: int) -> set[int]:
    """Return the numbers of an item and of all that it is derived from."""
    found = {main}
    if box is None or box.start >= box.end:
        return found
    width = 2 if data[box.start] == 0 else 4
    derived = []
    for reference in boxes.walk(data, box.start + 4, box.end):
        if reference.kind == b"dimg":
            count = min(_take(data, reference.start + width, 2), _MOST)
            first = reference.start + width + 2
            tiles = {_take(data, first + width * index, width) for index in range(count)}
            derived.append((_take(data, reference.start, width), tiles))
    for _ in derived:
        for item, tiles in derived:
            if item in found:
                found |= tiles
    return found


def _items(data: bytes, box: Box | None) -> Iterator[tuple[int, int]]:
    """Yield the number of each item, and where its kind stands."""
    if box is None or box.start >= box.end:
        return
    for entry in boxes.walk(data, box.start + (6 if data[box.start] == 0 else 8), box.end):
        version = data[entry.start] if entry.start < entry.end else 0
        if entry.kind == b"infe" and version >= 2:
            width = 4 if version >= 3 else 2
            yield _take(data, entry.start + 4, width), entry.start + 4 + width + 2


class _Association(NamedTuple):
    """That an item has a property."""

    item: int
    place: int  # of the property's number in the file; its highest bit says that readers must know the property
    width: int  # of that number, in bytes

    def property_number(self, data: bytes) -> int:
        """Return the number of the property, from 1."""
        return _take(data, self.place, self.width) & (0x7F if self.width == 1 else 0x7FFF)


def _associations(data: bytes, box: Box) -> Iterator[_Association]:
    """Yield what one box says of items and their properties."""
    if box.end - box.start < 8:
        return
    width = 2 if data[box.start + 3] & 1 else 1
    number = 2 if data[box.start] == 0 else 4
    place = box.start + 8
    for _ in range(min(_take(data, box.start + 4, 4), _MOST)):
        item, first = _take(data, place, number), place + number + 1
        if first > box.end:
            return
        place = first + data[first - 1] * width
        for one in range(first, min(place, box.end - width + 1), width):
            yield _Association(item, one, width)


def _tell_apart(found: bytearray, properties: list[Box]) -> None:
    """Give boxes with properties of items that are of the same form other flags, which mean nothing."""
    seen: Counter[bytes] = Counter()
    for box in properties:
        if box.kind == b"ipma" and box.end - box.start >= 4:
            form = bytes(found[box.start : box.start + 4])
            found[box.start + 2] |= seen[form] & 0xFF
            seen[form] += 1


def _demand_transforms(found: bytearray, data: bytes, properties: list[Box]) -> None:
    """Mark all transforms as ones that a reader must know."""
    known = [one.kind for box in properties if box.kind == b"ipco" for one in boxes.walk(data, box.start, box.end)]
    for box in properties:
        for one in _associations(data, box) if box.kind == b"ipma" else ():
            if 0 < one.property_number(data) <= len(known) and known[one.property_number(data) - 1] in _TRANSFORMS:
                found[one.place] |= 0x80
