"""The photos of tags, kept in memory from one search to the next.

A tag may be on a quarter of all photos, and a commit changes those of few. Which these are the change feed tells, as
each transaction that changes tags records it for their photos.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, bindparam, select, text
from sqlalchemy.orm import Session

from rollcall.search.columns.library import is_of
from rollcall.search.vector_file import State
from rollcall.search.vectors import state_of
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import EventRow

#: Numbers of photos that are kept, of 8 bytes.
_MOST: Final = 2_000_000
#: After more changes than this all photos of a tag are read again.
_MOST_CHANGES: Final = 2_000
_APPLIED: Final = "SELECT photo_id FROM tags WHERE state = 'applied'"


class _Kept(NamedTuple):
    """The photos that have one of some tags, as of a state of the library."""

    state: State
    photo_ids: NDArray[np.int64]  # ascending


class TaggedPhotos:
    """The photos of the tags that were asked for last, of one database. May be used from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...] | None, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, names: Sequence[str] | None) -> NDArray[np.int64]:
        """Return the numbers, ascending, of the photos that have one of some tags as the session sees them.

        `names` are whole names, as they are stored; None: any tag. Nobody may change the array.
        """
        if names is not None and not names:
            return np.zeros(0, np.int64)
        key = None if names is None else tuple(names)
        now = state_of(session)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept.state == now:
            return kept.photo_ids
        photo_ids = None if kept is None else _up_to_date(session, key, kept, now)
        if photo_ids is None:
            photo_ids = np.unique(_read(session, key, None))
        if kept is None or kept.state.event_id <= now.event_id or not is_of(session, kept.state):
            self._keep(key, _Kept(now, photo_ids))
        return photo_ids

    def _keep(self, key: tuple[str, ...] | None, found: _Kept) -> None:
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(len(one.photo_ids) for one in self._kept.values()) > _MOST:
                self._kept.popitem(last=False)


_OF_DATABASES: Final[WeakKeyDictionary[Database, TaggedPhotos]] = WeakKeyDictionary()


def tagged_photos(database: Database) -> TaggedPhotos:
    """Return the photos of tags of a database."""
    found = _OF_DATABASES.get(database)
    return _OF_DATABASES.setdefault(database, TaggedPhotos()) if found is None else found


def _up_to_date(session: Session, names: tuple[str, ...] | None, kept: _Kept, now: State) -> NDArray[np.int64] | None:
    """Return photos as they are now; None if all have to be read again."""
    if now.event_id < kept.state.event_id or not kept.state.event_id or not is_of(session, kept.state):
        return None
    since = select(EventRow.photo_id, EventRow.kind).where(EventRow.id > kept.state.event_id)
    changes = session.execute(since.limit(_MOST_CHANGES + 1)).all()
    if len(changes) > _MOST_CHANGES or (None, ChangeKind.PHOTO_ERASED) in map(tuple, changes):
        return None
    # What else concerns no photo alone is of people and albums.
    photo_ids = [one for one in dict.fromkeys(row[0] for row in changes) if one is not None]
    found = [np.setdiff1d(kept.photo_ids, photo_ids, assume_unique=True)]
    found += [_read(session, names, part) for part in chunks(photo_ids)]
    return np.unique(np.concatenate(found))


def _read(session: Session, names: tuple[str, ...] | None, photo_ids: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the photos that have one of some tags, each perhaps several times; only those of some photos if given."""
    statement = _APPLIED
    values: list[BindParameter[Any]] = []
    if names is not None:
        statement += " AND name IN :names"
        values.append(bindparam("names", list(names), expanding=True))
    if photo_ids is not None:
        statement += " AND photo_id IN :photo_ids"
        values.append(bindparam("photo_ids", list(photo_ids), expanding=True))
    rows = session.execute(text(statement).bindparams(*values)).all()
    return np.array([row[0] for row in rows], np.int64)
