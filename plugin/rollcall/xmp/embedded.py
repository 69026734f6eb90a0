"""What a picture file itself holds of keywords and regions, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rollcall.media import formats, iptc, metadata, reading
from rollcall.xmp import content, packets
from rollcall.xmp.content import Content
from rollcall.xmp.packets import BadPacketError


def of_blocks(blocks: Iterable[bytes], keywords: Sequence[str] = ()) -> Content:
    """Return what the XMP blocks of a file say, the first of two that say the same; damaged blocks say nothing.

    `keywords` are those of IPTC: they count where XMP has no list of plain keywords.
    """
    result = Content()
    for block in blocks:
        if not block:
            continue
        try:
            found = content.read(packets.parse_embedded(block))
        except BadPacketError:
            continue
        result = result.filled_from(found)
    return result._replace(subject=tuple(keywords)) if result.subject is None and keywords else result


def of_file(path: Path, max_seconds: float) -> Content:
    """Return what a picture file holds.

    Raises
    ------
    UnreadableError, TooLargeError
        If it cannot be read.
    """
    data = reading.read(path, max_seconds)
    kind = formats.sniff(data, path.suffix.lower())
    if kind is None:
        return Content()
    found = metadata.find(kind, data)
    return of_blocks((found.xmp, found.xmp_extended), iptc.keywords(found.iptc))
