"""XMP packets as trees: parsed without entities, network or documents of unbounded size; made; and serialized.

A packet comes from anybody, and an XML parser can be made to read files and to fill the memory: document type
declarations are refused, and with them all entities.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from rollcall.xmp.namespaces import RDF, XMP_META

#: Packets are a few kilobytes; those of image editors can have megabytes of history.
LONGEST: Final = 16 << 20
#: The byte order marks of UTF-16, in which a zero at the end belongs to the last letter.
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_START: Final = re.compile(rb"<(?:[\w.-]{1,40}:)?(?:xmpmeta|xapmeta|RDF)[\s>]")
_END: Final = re.compile(rb"</(?:[\w.-]{1,40}:)?(?:xmpmeta|xapmeta|RDF)\s*>")
_DECLARATION: Final = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml\s")
_NEW: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="{XMP_META}" x:xmptk="Rollcall">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n'
    '  <rdf:Description rdf:about=""/>\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)
#: An element or a tree of lxml, which has no annotations.
Element = Any


class BadPacketError(Exception):
    """The packet is no XMP that can be used; its text is why, for a sentence."""


@dataclass(frozen=True)
class Packet:
    """A packet as a tree, with its comments and processing instructions, and whether it has an XML declaration."""

    tree: Element
    declared: bool = False


def parse(data: bytes) -> Packet:
    """Return the packet that a sidecar is.

    Raises
    ------
    BadPacketError
        If it is too long, is not well-formed, declares a document type, or has no `rdf:RDF`.
    """
    if len(data) > LONGEST:
        raise BadPacketError(f"it has {len(data) >> 20} MiB, more than {LONGEST >> 20}")
    if not data.strip(b"\0 \t\r\n"):
        raise BadPacketError("it is empty")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(data if data[:2] in _WIDE else data.rstrip(b"\0"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        # The parser's own words are of limits, functions and a file called <string>.
        where = f" (line {error.lineno}, column {error.offset})" if isinstance(error, etree.XMLSyntaxError) else ""
        raise BadPacketError(f"it is not well-formed XML{where}") from error
    tree = root.getroottree()
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise BadPacketError("it declares a document type, which no metadata needs")
    packet = Packet(tree, _DECLARATION.match(data) is not None)
    if rdf_of(packet) is None:
        raise BadPacketError("it has no rdf:RDF")
    return packet


def parse_embedded(block: bytes) -> Packet:
    """Return the packet within a block of a picture file, whatever stands around it.

    Raises
    ------
    BadPacketError
        If there is none that can be used.
    """
    data = _in_utf8(block[:LONGEST])
    start = _START.search(data)
    if start is None:
        raise BadPacketError("it holds no packet")
    ends = list(_END.finditer(data, start.end()))
    return parse(data[start.start() : ends[-1].end()] if ends else data[start.start() :])


def new() -> Packet:
    """Return a packet without properties, for a new sidecar."""
    return parse(_NEW.encode())


def serialize(packet: Packet) -> bytes:
    """Return the bytes of a sidecar, in the encoding that it had."""
    encoding = packet.tree.docinfo.encoding or "UTF-8"
    if encoding.upper() in ("UTF-8", "US-ASCII", "ASCII"):
        return bytes(etree.tostring(packet.tree, encoding="UTF-8", xml_declaration=packet.declared))
    return bytes(etree.tostring(packet.tree, encoding=encoding, xml_declaration=True))


def rdf_of(packet: Packet) -> Element | None:
    """Return the element `rdf:RDF` of a packet."""
    root = packet.tree.getroot()
    name = f"{{{RDF}}}RDF"
    return root if root.tag == name else next(root.iter(name), None)


def descriptions(packet: Packet) -> list[Element]:
    """Return the descriptions of the picture, in their order."""
    rdf = rdf_of(packet)
    return [] if rdf is None else [one for one in rdf if isinstance(one.tag, str)]


def is_bare(packet: Packet) -> bool:
    """Return whether a packet has no property."""
    return not any(
        len(one) or any(not name.startswith(f"{{{RDF}}}") for name in one.attrib) for one in descriptions(packet)
    )


def _in_utf8(data: bytes) -> bytes:
    """Return a packet in UTF-8: in UTF-16 and UTF-32 zeros follow its first '<'."""
    place = data.find(b"<")
    if place < 0 or data[place + 1 : place + 2] != b"\0":
        return data
    width = 4 if data[place + 1 : place + 4] == b"\0\0\0" else 2
    # Without a byte order mark, which the packet's header has, texts in Latin letters are right in either order.
    if data.rfind(b"\xfe\xff", 0, place) > data.rfind(b"\xff\xfe", 0, place):
        return data[place - width + 1 :].decode(f"utf-{8 * width}-be", "replace").encode()
    return data[place:].decode(f"utf-{8 * width}-le", "replace").encode()
