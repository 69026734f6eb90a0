"""Read dates and keywords of IPTC-IIM records ("IPTC-NAA Information Interchange Model", 4.2), in any character set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: Date and time of creation, then of digitisation: (record 2, dataset).
_TIMES: Final = ((55, 60), (62, 63))
_LONGEST: Final = 1 << 20
_PHOTOSHOP_IPTC: Final = 0x0404
_KEYWORDS: Final = 25
#: How a record says that its texts are in UTF-8 (record 1, dataset 90; ISO 2022).
_UTF8: Final = b"\x1b%G"
#: Longer texts than this are none that are read here.
_LONGEST_TEXT: Final = 256


def times(block: bytes) -> list[str]:
    """Return the capture times as "CCYYMMDD HHMMSS+HHMM", the most telling first; the time may be missing."""
    # Dates are digits in every character set; UTF-16 has zero bytes between them.
    texts = [
        (dataset, value.replace(b"\0", b"").decode("ascii", "ignore").strip())
        for record, dataset, value in _datasets(block[:_LONGEST])
        if record == 2
    ]
    values = dict(reversed(texts))
    found = []
    for date, time in _TIMES:
        if values.get(date):
            found.append(f"{values[date]} {values.get(time, '')}".strip())
    return found


def keywords(block: bytes) -> list[str]:
    """Return the keywords, in their order.

    A record that names no character set is in UTF-8 if all of its keywords are, else in that of Windows.
    """
    found = list(_datasets(block[:_LONGEST]))
    raw = [value for record, dataset, value in found if (record, dataset) == (2, _KEYWORDS) and value]
    declared = any((record, dataset, value[:3]) == (1, 90, _UTF8) for record, dataset, value in found)
    texts = _decoded(raw, declared)
    return list(dict.fromkeys(text for one in texts if (text := " ".join(one.replace("\0", " ").split()))))


def _decoded(raw: list[bytes], utf8: bool) -> list[str]:
    try:
        return [one.decode("utf-8", "replace" if utf8 else "strict") for one in raw]
    except UnicodeDecodeError:
        return [one.decode("cp1252", "replace") for one in raw]


def from_photoshop(block: bytes) -> bytes:
    """Return the IPTC record among Photoshop's image resources (8BIM), or nothing."""
    position = 0
    while position + 12 <= len(block) and block[position : position + 4] == b"8BIM":
        kind = int.from_bytes(block[position + 4 : position + 6], "big")
        # A Pascal string, padded to an even number of bytes with its length.
        position += 6 + (block[position + 6] + 2 & ~1)
        length = int.from_bytes(block[position : position + 4], "big")
        content = block[position + 4 : position + 4 + length]
        if kind == _PHOTOSHOP_IPTC:
            return content
        position += 4 + (length + 1 & ~1)
    return b""


def _datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield record, number and value of the datasets."""
    position = 0
    while position + 5 <= len(block) and block[position] == 0x1C:
        record, dataset = block[position + 1], block[position + 2]
        length = int.from_bytes(block[position + 3 : position + 5], "big")
        position += 5
        if length & 0x8000:  # the length of the length
            width = length & 0x7FFF
            length = int.from_bytes(block[position : position + width], "big") if width <= 4 else len(block)
            position += width
        yield record, dataset, block[position : position + min(length, _LONGEST_TEXT)]
        position += length
