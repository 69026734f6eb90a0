"""Names of files as text that a database can hold, and that people can read; and whether there are such files."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

_SHIFT: Final = 0xF700 - 0xDC00
#: Whether Python reads the bytes of names as UTF-8; by the language of the system it may read them otherwise.
_UTF8: Final = sys.getfilesystemencoding() == "utf-8"
#: Spaces that do not break a line, which French has before a colon, and what joins letters or keeps them apart in
#: Persian, Hindi and emoji: no effect but that.
_HARMLESS: Final = "\u00a0\u202f\u200c\u200d"
#: Characters that change the direction of the text around them.
_DIRECTIONS: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def readable(value: object) -> str:
    """Return a name with control and direction characters escaped: they have no effect on a page or a terminal."""
    text = str(value)
    if text.isprintable() and text.isascii():
        return text
    return "".join(
        c if (c.isprintable() and c not in _DIRECTIONS) or c in _HARMLESS else f"\\u{ord(c):04x}" for c in text
    )


def to_text(path: str) -> str:
    """Return a path as text that a database can hold.

    A byte of a file name that is no valid UTF-8 becomes a character of the private use area
    (U+F780..U+F7FF), as other systems do it; `from_text` turns it back. A name that has such a character
    already is taken byte by byte, so that the two do not meet. The
    language of the system changes nothing of the text.
    """
    if path.isascii():
        return path
    name = path if _UTF8 else os.fsencode(path).decode("utf-8", "surrogateescape")
    return "".join(_escaped(c) for c in name)


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
    name = _bytes_of_text(text)
    return name if _UTF8 else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def _bytes_of_text(text: str) -> str:
    """Return a text with the bytes that it stands for, read as UTF-8."""
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
