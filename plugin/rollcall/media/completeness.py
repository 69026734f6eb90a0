"""Tell from its first and last bytes whether a file is all there: one that is being written often is not.

A guess for those who can wait: a complete file may be taken for one that ends early (after a JPEG's end may come more),
and a picture whose end is there may lack something before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

_HEAD, _TAIL = 64, 4096
_MOST_BOXES: Final = 64
#: What stands at the end of files that begin so.
_ENDS: Final = (
    (b"\xff\xd8", b"\xff\xd9"),
    (b"\x89PNG", b"IEND"),
    (b"\xff\x4f\xff\x51", b"\xff\xd9"),
)


def ends_early(path: Path) -> bool:
    """Return whether a file seems to be cut off; False for one that cannot be read, or whose format does not tell."""
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(_HEAD) or b""
            file.seek(max(size - _TAIL, 0))
            tail = file.read(_TAIL) or b""
            # Programs that know how long a file becomes make room for it first.
            if not tail.strip(b"\0"):
                return True
            return _lacks_end(head, tail) or _is_shorter(file, head, size)
    except (OSError, ValueError):
        return False


def _lacks_end(head: bytes, tail: bytes) -> bool:
    if head.startswith(b"GIF8"):
        return not tail.rstrip(b"\0").endswith(b";")
    return any(head.startswith(begin) and end not in tail for begin, end in _ENDS)


def _is_shorter(file: IO[bytes], head: bytes, size: int) -> bool:
    """Return whether the file has fewer bytes than its header says."""
    if head[:4] == b"RIFF":
        return size < int.from_bytes(head[4:8], "little") + 8
    if head[:2] == b"BM":
        return size < int.from_bytes(head[2:6], "little")
    if head[:4] in (b"II*\0", b"MM\0*"):
        return size <= int.from_bytes(head[4:8], "little" if head[:1] == b"I" else "big")
    return (head[4:8] in (b"ftyp", b"JXL ", b"jP  ")) and _end_of_boxes(file, size) > size


def _end_of_boxes(file: IO[bytes], size: int) -> int:
    """Return where the last box ends, in bytes from the beginning."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position >= size:
            break
        file.seek(position)
        header = file.read(16) or b""
        length = int.from_bytes(header[:4], "big")
        if length == 0:  # up to the end, wherever that is
            return size
        position += max(int.from_bytes(header[8:16], "big") if length == 1 else length, 8)
    return position
