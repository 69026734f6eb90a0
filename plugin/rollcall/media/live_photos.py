"""Live photos: a still and a short video of one name in one folder. The still stands for both.

Only the header of the video is read: nothing is decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollcall.media import boxes, paths
from rollcall.media.formats import RAW_SUFFIXES, SUFFIXES

#: The suffixes of moving parts.
MOVING_SUFFIXES: Final = frozenset({".mov", ".mp4"})
#: Raw files come with whole videos of their name on some cameras.
STILL_SUFFIXES: Final = SUFFIXES - RAW_SUFFIXES
#: A moving part is no larger, in bytes, ...
_LARGEST: Final = 64 << 20
#: ... and, unless Apple's identifier stands in it, no longer, in seconds.
_LONGEST: Final = 6.0
_LARGEST_HEADER: Final = 4 << 20
_MOST_BOXES: Final = 64
_IDENTIFIER: Final = b"com.apple.quicktime.content.identifier"


def is_moving_part(video: Path, size: int, has_still: Callable[[str], bool]) -> bool:
    """Return whether a video of `size` bytes is the moving part of a live photo.

    `has_still` is asked whether a picture of this stem is in the folder.
    """
    if video.suffix.lower() not in MOVING_SUFFIXES or not 0 < size <= _LARGEST or not has_still(video.stem):
        return False
    header = _header(video)
    return header is not None and (_IDENTIFIER in header or 0 < _seconds(header) <= _LONGEST)


def still_beside(video: Path) -> bool:
    """Return whether a picture of the stem of a video is in its folder."""
    return any(paths.is_file(one) for suffix in STILL_SUFFIXES for one in _spelled(video, suffix))


def moving_parts_beside(still: Path) -> list[Path]:
    """Return the files that may be the moving part of a picture."""
    if still.suffix.lower() not in STILL_SUFFIXES:
        return []
    return [one for suffix in sorted(MOVING_SUFFIXES) for one in _spelled(still, suffix) if paths.is_file(one)]


def _spelled(path: Path, suffix: str) -> list[Path]:
    """Return the file of another suffix beside one, as programs that copy photos spell it."""
    stems = dict.fromkeys((path.stem, path.stem.lower(), path.stem.upper()))
    return [path.with_name(stem + end) for stem in stems for end in (suffix, suffix.upper(), suffix.title())]


def _header(video: Path) -> bytes | None:
    """Return the content of the box `moov`; None if the file has none, or cannot be read."""
    try:
        with open(video, "rb", buffering=0) as file:  # noqa: PTH123 (a name with bytes that are no UTF-8)
            end = os.fstat(file.fileno()).st_size
            place = 0
            for _ in range(_MOST_BOXES):
                file.seek(place)
                head = file.read(16)
                if len(head) < 8:
                    return None
                length = int.from_bytes(head[:4], "big")
                start = 8
                if length == 1:
                    length, start = int.from_bytes(head[8:16], "big"), 16
                length = length or end - place
                if length < start:
                    return None
                if head[4:8] == b"moov":
                    file.seek(place + start)
                    return file.read(min(length - start, _LARGEST_HEADER))
                place += length
    except OSError:
        pass
    return None


def _seconds(header: bytes) -> float:
    """Return the length that `mvhd` gives (ISO/IEC 14496-12, 8.2.2); 0 where it gives none."""
    box = boxes.first(header, b"mvhd")
    if box is None:
        return 0.0
    data = header[box.start : box.end]
    wide = data[:1] == b"\1"
    scale = int.from_bytes(data[20:24] if wide else data[12:16], "big")
    length = int.from_bytes(data[24:32] if wide else data[16:20], "big")
    return length / scale if scale else 0.0
