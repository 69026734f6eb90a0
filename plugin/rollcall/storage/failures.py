"""The errors of database drivers as sentences with what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from rollcall.errors import StoreError
from rollcall.storage import postgresql


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Raise the driver's errors as `StoreError`."""
    try:
        yield
    except DBAPIError as error:
        sentence = None if isinstance(error.orig, sqlite3.Error) else postgresql.sentence(error)
        raise StoreError(url, sentence or _sentence(str(error.orig))) from error


#: What SQLite says, and what that means for a person.
_MESSAGES: Final = (
    ("malformed", "the database is damaged ({}); `rollcall restore` puts its newest backup in its place"),
    (
        "not a database",
        "refused, as the file is damaged or not a database ({}); `rollcall restore` puts its newest backup there",
    ),
    ("is full", "the disk is full ({}); make room, and run it again: nothing is lost"),
    ("readonly", "the database may not be written ({}); allow it, or choose another place with the option --database"),
    ("locking protocol", "the share that it lies on does not lock files ({}); put it on a local disk: --database FILE"),
    ("unable to open", "its file cannot be opened ({}); check that it, and files beside it, may be written"),
    ("is locked", "another program has kept the database locked for too long ({}); close it, and run it again"),
    ("disk I/O error", "the disk, or the share, that the database lies on does not work ({}); check it"),
)


def _sentence(message: str) -> str:
    """Return a database's message as a sentence with what to do."""
    for part, sentence in _MESSAGES:
        if part in message:
            return sentence.format(message)
    return f"the database refused ({message})"
