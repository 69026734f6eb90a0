"""Read XMP packets: capture time and orientation, by pattern.

A packet is XML, but damaged ones are common and a hostile one can make an XML parser work for hours; what is wanted
stands in the same form in all of them (Adobe, "XMP Specification Part 1", 2012): an attribute, or an element.
"""

from __future__ import annotations

import re
from typing import Final

#: Names of properties that hold the time of capture, the most telling first.
_TIMES: Final = ("DateTimeOriginal", "DateCreated", "DateTimeDigitized", "CreateDate")
_PROPERTY: Final = re.compile(
    r"""[\w.-]{1,40}:(DateTimeOriginal|DateCreated|DateTimeDigitized|CreateDate|ModifyDate|Orientation)
        (?: \s{0,9}=\s{0,9}["']([^"'<>]{0,64})["']
          | [^<>]{0,200}>\s{0,99}([^<>]{0,64})< )""",
    re.VERBOSE,
)
#: Packets are a few kilobytes; those of image editors can have megabytes of history behind what is wanted.
_LONGEST: Final = 4 << 20


def times(packet: bytes) -> list[str]:
    """Return the capture times in a packet as they are written, the most telling first."""
    found = _properties(packet)
    return [found[name] for name in _TIMES if name in found]


def changed(packet: bytes) -> str:
    """Return when the picture was last changed, as it is written; "" where that is not said."""
    return _properties(packet).get("ModifyDate", "")


def orientation(packet: bytes) -> int | None:
    """Return `tiff:Orientation`, 1..8; None where there is none."""
    text = _properties(packet).get("Orientation", "")
    return int(text) if len(text) == 1 and text in "12345678" else None


def _properties(packet: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, attribute, element in _PROPERTY.findall(_decoded(packet[:_LONGEST])):
        value = (attribute or element).strip()
        if value:
            found.setdefault(name, value)
    return found


def _decoded(packet: bytes) -> str:
    """Return the text of a packet: UTF-8, or UTF-16 and UTF-32 of either order, whose zero bytes are left out."""
    return packet.replace(b"\0", b"").decode("utf-8", "replace")
