"""Tell files that are only in the cloud: placeholders, whose content a sync client downloads when they are read.

OneDrive, Dropbox and others mark them by attributes on Windows and by a flag on macOS (File Provider); Nextcloud and
ownCloud give them another name or, on Linux, an extended attribute; iCloud once gave them another name, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: OFFLINE, RECALL_ON_OPEN and RECALL_ON_DATA_ACCESS of Windows.
_ATTRIBUTES: Final = 0x1000 | 0x40000 | 0x400000
#: SF_DATALESS of macOS.
_DATALESS: Final = 0x40000000
_EXTENDED_ATTRIBUTE: Final = "user.nextcloud.hydrate_exec"
#: A placeholder that is marked by an extended attribute has no more bytes.
_MARKED_BYTES: Final = 16
_SUFFIXES: Final = (".nextcloud", ".owncloud")
_ICLOUD: Final = ".icloud"
#: Smaller files may lie in the directory itself, so that they take no blocks.
_BLOCK_BYTES: Final = 4096


def is_marked(path: Path, info: os.stat_result) -> bool:
    """Return whether a file, with its `os.stat` result, is marked as one that is downloaded when it is read."""
    if getattr(info, "st_file_attributes", 0) & _ATTRIBUTES or getattr(info, "st_flags", 0) & _DATALESS:
        return True
    if info.st_size > _MARKED_BYTES or not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(path, _EXTENDED_ATTRIBUTE))
    except OSError:
        return False


def is_without_blocks(info: os.stat_result) -> bool:
    """Return whether a file has a size and nothing of it is on the disk, on file systems that count their blocks."""
    return info.st_size >= _BLOCK_BYTES and getattr(info, "st_blocks", 1) == 0


def downloaded_name(name: str) -> str | None:
    """Return the name that a placeholder has once it is downloaded; None for other names."""
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or None
    if name.startswith(".") and name.lower().endswith(_ICLOUD):
        return name[1 : -len(_ICLOUD)] or None
    return None


def placeholder_names(name: str) -> tuple[str, ...]:
    """Return the names that a placeholder of a file can have."""
    return (*(name + suffix for suffix in _SUFFIXES), f".{name}{_ICLOUD}")
