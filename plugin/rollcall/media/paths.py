"""Names of files as text that a database can hold, whatever bytes the file system holds; and whether there are such."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_SHIFT: Final = 0xF700 - 0xDC00


def to_text(path: str) -> str:
    """Return a path as text that a database can hold.

    A byte of a file name that is no valid UTF-8 becomes a character of the private use area
    (U+F780..U+F7FF), as other systems do it; `from_text` turns it back. A name that has such a character
    already is taken byte by byte, so that the two do not meet.
    """
    return path if path.isascii() else "".join(_escaped(c) for c in path)


def _escaped(c: str) -> str:
    if 0xDC80 <= ord(c) <= 0xDCFF:
        return chr(ord(c) + _SHIFT)
    if 0xF780 <= ord(c) <= 0xF7FF:
        return "".join(chr(0xF700 + byte) for byte in c.encode())
    return c


def from_text(text: str) -> str:
    """Return the path that `to_text` was given."""
    if text.isascii():
        return text
    bytewise = "".join(chr(ord(c) - _SHIFT) if 0xF780 <= ord(c) <= 0xF7FF else c for c in text)
    if bytewise == text:
        return text
    return bytewise.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def is_file(path: Path) -> bool:
    """Return whether there is an ordinary file; also of names that no file can have, and in folders that are closed.

    `Path.is_file` raises for these, among them a name that was made longer than file systems allow.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether there is a folder that can be asked for; where `Path.is_dir` raises, False."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_link(path: Path) -> bool:
    """Return whether there is a symbolic link that can be asked for; where `Path.is_symlink` raises, False."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_missing(path: Path) -> bool:
    """Return whether nothing is there, as far as can be told: what lies in a closed folder may be."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        pass
    return False
