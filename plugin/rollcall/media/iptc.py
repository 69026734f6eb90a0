"""Read the dates of IPTC-IIM records ("IPTC-NAA Information Interchange Model", version 4.2), in any character set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: Date and time of creation, then of digitisation: (record 2, dataset).
_TIMES: Final = ((55, 60), (62, 63))
_LONGEST: Final = 1 << 20
_PHOTOSHOP_IPTC: Final = 0x0404


def times(block: bytes) -> list[str]:
    """Return the capture times as "CCYYMMDD HHMMSS+HHMM", the most telling first; the time may be missing."""
    values = dict(reversed(list(_datasets(block[:_LONGEST]))))
    found = []
    for date, time in _TIMES:
        if values.get(date):
            found.append(f"{values[date]} {values.get(time, '')}".strip())
    return found


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


def _datasets(block: bytes) -> Iterator[tuple[int, str]]:
    """Yield number and text of the datasets of the application record."""
    position = 0
    while position + 5 <= len(block) and block[position] == 0x1C:
        record, dataset = block[position + 1], block[position + 2]
        length = int.from_bytes(block[position + 3 : position + 5], "big")
        position += 5
        if length & 0x8000:  # the length of the length
            width = length & 0x7FFF
            length = int.from_bytes(block[position : position + width], "big") if width <= 4 else len(block)
            position += width
        if record == 2:
            # Dates are digits in every character set; UTF-16 has zero bytes between them.
            text = block[position : position + min(length, 64)].replace(b"\0", b"")
            yield dataset, text.decode("ascii", "ignore").strip()
        position += length
