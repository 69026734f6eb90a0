"""Files and folders that are for their owner alone: on a shared computer others must not read whose photos they are."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock

_FILE: Final = 0o600
_FOLDER: Final = 0o700


def private_folder(folder: Path, *, below: Path | None = None) -> None:
    """Make a folder that its owner alone may enter, with its parents; one that exists stays as it is.

    With `below`, a folder of Rollcall's own, that folder and those between are closed too if they exist.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=_FOLDER)
    if below is None:
        return
    for one in (folder, *folder.parents):
        if one not in missing:
            _close(one, _FOLDER)
        if one == below:
            return


def private_file(file: Path) -> None:
    """Let the owner alone read and write a file that all users may read; it is made if it is not there.

    A file that only its group may read was opened to it on purpose, and stays so.
    """
    create(file, _FILE)
    _close(file, _FILE)


def create(file: Path, mode: int = _FILE) -> None:
    """Make an empty file with permissions, unless it is there."""
    # Whoever writes it next reports why it cannot be written.
    with suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def lock_beside(file: Path, name: str = "", *, timeout: float = -1) -> FileLock:
    """Return a lock whose file lies beside a database and is for whoever that is for; `name` tells several apart.

    `timeout` is how long to wait for it, in seconds; -1: until it is free.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode) & 0o660
    except OSError:
        mode = _FILE
    lock = file.with_name(f"{file.name}{name and '.'}{name}.lock")
    # Those of a Rollcall that left them to all users, too.
    _close(lock, mode)
    return FileLock(lock, timeout, mode)


def _close(path: Path, mode: int) -> None:
    # Another's file, or a file system without permissions: it stays as it is.
    with suppress(OSError):
        if stat.S_IMODE(path.stat().st_mode) & 0o007:
            path.chmod(mode)
