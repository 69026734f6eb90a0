"""Whether the file of an SQLite database can be opened where it lies, and how."""

from __future__ import annotations

import glob
import os
from functools import partial
from pathlib import Path
from typing import Any

from rollcall.errors import StoreError, not_written
from rollcall.storage import backups, mounts, sqlite
from rollcall.storage.failures import is_full
from rollcall.storage.private import private_file, private_folder


def refuse_emptied(file: Path, shown: str) -> None:
    """Refuse a file without a byte that has backups: a library was there, and SQLite would begin a new one.

    Raises
    ------
    StoreError
        If it is one.
    """
    if file.exists() and not file.stat().st_size and backups.newest_first(file):
        raise StoreError(
            shown,
            "its file is empty, though backups lie beside it; `rollcall restore` puts the newest in its place, and to"
            " begin anew remove the file",
        )


def options(file: Path, shown: str, read_only: bool) -> dict[str, Any]:
    """Return the engine's options for an SQLite file.

    Raises
    ------
    StoreError
        If the file does not exist and is to be read, or it or its folder cannot be written.
    """
    if read_only:
        if not file.exists():
            raise StoreError(shown, "there is no database yet; index a folder first with `rollcall index FOLDER`")
        # Where nothing can be written beside it, it can still be read; there, nothing can change it either.
        if sqlite.is_at_rest(file) and (not _may_write(file.parent) or is_full(file.parent)):
            return {"creator": partial(sqlite.connect_at_rest, file)}
        return {}
    try:
        private_folder(file.parent)
    except OSError as error:
        raise StoreError(
            shown, f"its folder {not_written(error, 'choose another with the option --database')}"
        ) from error
    for path in (file.parent, file):
        if path.exists() and not _may_write(path):
            raise StoreError(
                shown, f"{path} may not be written; allow it, or choose another place with the option --database"
            )
    if mounts.is_remote(file.parent.resolve()) and not mounts.can_lock(file.parent):
        raise StoreError(
            shown,
            "the share that it lies on does not lock files, so two programs would damage it; choose a place on a local"
            " disk with the option --database (the photos may stay on the share)",
        )
    private_file(file)
    for path in sorted(file.parent.glob(f"{glob.escape(file.name)}[-.]*")):
        private_file(path)
    return {}


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
