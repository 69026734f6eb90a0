"""The errors of database drivers as sentences with what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from rollcall.errors import StoreError, reason_of
from rollcall.storage import postgresql


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Raise the driver's errors as `StoreError`."""
    try:
        yield
    except DBAPIError as error:
        sentence = None if isinstance(error.orig, sqlite3.Error) else postgresql.sentence(error)
        raise StoreError(url, sentence or reason(str(error.orig), _file_of(url))) from error
    except sqlite3.Error as error:  # of what is done without SQLAlchemy: copies
        raise StoreError(url, reason(str(error), _file_of(url))) from error


#: A disk with fewer free bytes is full.
_NO_ROOM: Final = 1 << 20
_FULL: Final = "the disk is full ({}); make room, and run it again: nothing is lost"
#: What SQLite says, and what that means for a person.
_MESSAGES: Final = (
    ("malformed", "the database is damaged ({}); `rollcall restore` puts its newest backup in its place"),
    (
        "not a database",
        "refused, as the file is damaged or not a database ({}); `rollcall restore` puts its newest backup there",
    ),
    ("is full", _FULL),
    ("readonly", "the database may not be written ({}); allow it, or choose another place with the option --database"),
    ("locking protocol", "the share that it lies on does not lock files ({}); put it on a local disk: --database FILE"),
    ("unable to open", "its file cannot be opened ({}); check that it, and files beside it, may be written"),
    ("is locked", "another program has kept the database locked for too long ({}); close it, and run it again"),
    ("disk I/O error", "the disk, or the share, that the database lies on does not work ({}); check it"),
)


#: The same of databases that are not the library: of other programs, or of a service.
_OTHERS: Final = (
    ("no such table", "it is the database of another program, or of a version that is not known"),
    ("no such column", "it is the database of another program, or of a version that is not known"),
    ("not a database", "it is no SQLite database, or a damaged one"),
    ("malformed", "it is damaged"),
    ("is locked", "another program keeps it locked"),
    ("unable to open", "it, or its folder, may not be opened"),
    ("readonly", "it may not be written"),
    ("is full", "the disk is full"),
    ("disk I/O error", "the disk, or the share, that it lies on does not work"),
)


def of_other(error: sqlite3.Error | OSError) -> str:
    """Return why a database that is not the library cannot be used, in plain words."""
    message = str(error)
    return next((words for part, words in _OTHERS if part in message), reason_of(error))


def _file_of(url: str) -> Path | None:
    found = make_url(url)
    return Path(found.database) if found.get_backend_name() == "sqlite" and found.database else None


def is_full(folder: Path) -> bool:
    """Return whether a disk has next to no room."""
    try:
        return shutil.disk_usage(folder).free < _NO_ROOM
    except OSError:
        return False


def reason(message: str, file: Path | None = None) -> str:
    """Return a database's message as a sentence with what to do; `file` is the database."""
    # Where there is no room for the index of its log, SQLite says nothing but that.
    if "disk I/O error" in message and file is not None and is_full(file.parent):
        return _FULL.format(message)
    for part, sentence in _MESSAGES:
        if part in message:
            return sentence.format(message)
    return f"the database refused ({message})"
