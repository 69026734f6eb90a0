"""All photos of a database in columns, as a session sees them.

Photos lie in segments by their numbers. What changed since a segment was made is read from the database and put in its
place: in a small segment of the newest changes, which is put aside when it has grown. After many changes the segments
are made again, of their own arrays and of what changed, by `tidy`: that takes longer than a search may.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall.search.columns.files import ColumnFiles, Stored
from rollcall.search.columns.reading import read_photos, read_range
from rollcall.search.columns.segment import EMPTY, Rows, Segment, arranged, as_rows, joined
from rollcall.search.vector_file import State
from rollcall.storage import revisions
from rollcall.storage.database import Database
from rollcall.storage.tables import EventRow, PhotoRow

log = logging.getLogger(__name__)

#: How many numbers of photos lie in one segment.
SPAN: Final = 65_536
#: With more changed photos than this, the segments that they are in are made again when nobody waits.
MOST_CHANGED: Final = 2_000
#: With more than this, at once: searches would take longer in so many small segments.
MOST_PUT_ASIDE: Final = 20_000
#: So many of the newest changes are put aside: to put more of them in order takes too long after each commit.
NEWEST: Final = 500

#: Segments of fewer photos have no file: they are read from the database as quickly.
SMALLEST: Final = 2_000

#: Called before segments are made: with how many have to be, and how many there are.
Progress = Callable[[int, int], None]

_OF_DATABASES: Final[WeakKeyDictionary[Database, LibraryColumns]] = WeakKeyDictionary()


def columns_of(database: Database) -> LibraryColumns:
    """Return the columns of a database; their files lie beside it."""
    found = _OF_DATABASES.get(database)
    if found is None:
        found = _OF_DATABASES.setdefault(database, LibraryColumns(database.beside))
    return found


class Part(NamedTuple):
    """A segment, and which of its photos no longer count, as rows."""

    segment: Segment
    outdated: NDArray[np.int64]


class _Changes(NamedTuple):
    """What changed since the segments were made, as of a revision."""

    revision: int
    segment: Segment  # the newest changes
    aside: tuple[Segment, ...] = ()  # those before them, oldest first
    aside_at: tuple[int, State] = (0, State(0, ""))  # as of when these are


class LibraryColumns:
    """The segments of one database.

    Parameters
    ----------
    file
        The database's file; None for one in memory, whose columns stay in this process's memory.
    """

    def __init__(self, file: Path | None) -> None:
        self._files = None if file is None else ColumnFiles(file)
        self._segments: dict[int, Stored] = {}
        self._identities: dict[int, tuple[int, int] | None] = {}
        self._changes: _Changes | None = None
        self._parts: list[Part] | None = None
        self._lock = threading.Lock()
        self._tidying = threading.Lock()
        self._made_now: set[int] = set()  # segments whose files are being replaced by this object
        #: Is told when so much has to be made that a search takes seconds.
        self.progress: Progress | None = None

    def files(self) -> list[Path]:
        """Return the files beside the database."""
        return [] if self._files is None else self._files.paths()

    def delete(self) -> None:
        """Remove the files; the next search makes them again from what the database then holds."""
        with self._lock:
            self._forget()
            if self._files is not None:
                self._files.delete()

    def parts(self, session: Session) -> list[Part] | None:
        """Return the segments as the session sees the database; the last one holds what changed since.

        None if the session sees an older state than the segments: another process made them just now.
        """
        with self._lock:
            return self._now(session)

    def tidy(self, session: Session) -> None:
        """Make segments again of which much changed, so that no search has to; searches go on meanwhile."""
        with self._tidying:
            with self._lock:
                changes = self._changes if self._now(session) is not None else None
                if changes is None or sum(len(one.photo_ids) for one in changes.aside) <= MOST_CHANGED:
                    return
                rows = _newest_of(changes.aside)
                old = {number: self._segments[number] for number in np.unique(rows.photo_ids // SPAN).tolist()}
                self._made_now = set(old)
            try:
                made = {number: self._again(number, stored, rows, *changes.aside_at) for number, stored in old.items()}
            finally:
                with self._lock:
                    self._made_now = set()
            with self._lock:
                now = self._changes
                if now is None or list(map(id, now.aside[: len(changes.aside)])) != list(map(id, changes.aside)):
                    return  # another state was loaded meanwhile
                if any(self._segments.get(number) is not stored for number, stored in old.items()):
                    return
                for number, stored in made.items():
                    self._put(number, stored)
                self._changes = now._replace(aside=now.aside[len(changes.aside) :])
                self._parts = self._arrange(self._changes)

    def _now(self, session: Session) -> list[Part] | None:
        now = revisions.newest(session)
        self._load(session)
        if any(stored.revision > now for stored in self._segments.values()):
            return None
        if self._changes is None or self._changes.revision != now or self._parts is None:
            self._update(session, now)
        return self._parts

    def wrong(self, session: Session) -> tuple[int, int]:
        """Return how many segments differ from the database, and how many there are."""
        numbers, parts = _numbers(session), self.parts(session)
        if parts is None:
            return 0, len(numbers)
        there = np.array(session.scalars(select(PhotoRow.id)).all(), np.int64)
        wrong = 0
        for number in numbers:
            rows = []
            for segment, outdated in parts:
                keep = np.isin(segment.photo_ids, there) & (segment.photo_ids // SPAN == number)
                keep[outdated] = False
                rows.append(as_rows(segment, keep))
            kept, now = arranged(joined(rows)), arranged(read_range(session, number * SPAN, (number + 1) * SPAN - 1))
            # NaN is what stands for an unknown gender, and is not equal to itself.
            wrong += any(np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in zip(kept, now, strict=True))
        return wrong, len(numbers)

    # ---- Segments

    def _load(self, session: Session) -> None:
        """Map the segments that are there, and make the others."""
        numbers = _numbers(session)
        for number in set(self._segments) - set(numbers):
            self._drop(number)
        missing = []
        for number in numbers:
            if number in self._segments and (number in self._made_now or not self._was_replaced(number)):
                continue
            stored = None if self._files is None else self._files.load(number)
            if stored is None or not is_of(session, stored.state):
                missing.append(number)
            else:
                self._put(number, stored)
        if len(missing) > 1 and self.progress is not None:
            self.progress(len(missing), len(numbers))
        for number in missing:
            rows = read_range(session, number * SPAN, (number + 1) * SPAN - 1)
            stored = Stored(arranged(rows), revisions.newest(session), _state(session))
            self._put(number, self._store(number, stored))

    def _was_replaced(self, number: int) -> bool:
        return self._files is not None and self._files.identity(number) != self._identities[number]

    def _store(self, number: int, stored: Stored) -> Stored:
        small = len(stored.segment.faces) < SMALLEST
        return stored if self._files is None or small else self._files.store(number, stored)

    def _put(self, number: int, stored: Stored) -> None:
        self._segments[number] = stored
        self._identities[number] = None if self._files is None else self._files.identity(number)
        self._changes = self._parts = None

    def _drop(self, number: int) -> None:
        del self._segments[number], self._identities[number]
        self._changes = self._parts = None

    def _forget(self) -> None:
        self._segments, self._identities = {}, {}
        self._changes = self._parts = None

    # ---- What changed since

    def _update(self, session: Session, now: int) -> None:
        """Read what changed, and put it in the place of what it was."""
        known = self._changes if self._changes is not None and self._changes.revision <= now else None
        oldest = min((stored.revision for stored in self._segments.values()), default=now)
        since = oldest if known is None else known.revision
        changed = {
            int(photo_id)
            for photo_id, revision in session.execute(
                select(PhotoRow.id, PhotoRow.revision).where(PhotoRow.revision > since)
            ).all()
            if revision > self._segments[photo_id // SPAN].revision
        }
        rows = read_photos(session, sorted(changed))
        aside: tuple[Segment, ...] = ()
        aside_at = (0, State(0, ""))
        if known is not None:
            rows = joined([as_rows(known.segment, ~np.isin(known.segment.photo_ids, list(changed))), rows])
            aside, aside_at = known.aside, known.aside_at
        newest = arranged(rows)
        if len(rows.photo_ids) > NEWEST:
            aside, aside_at, newest = (*aside, newest), (now, _state(session)), EMPTY
        if sum(len(one.photo_ids) for one in aside) > (MOST_CHANGED if known is None else MOST_PUT_ASIDE):
            changed_rows = _newest_of(aside)
            for number in np.unique(changed_rows.photo_ids // SPAN).tolist():
                self._put(number, self._again(number, self._segments[number], changed_rows, *aside_at))
            aside = ()
        self._changes = _Changes(now, newest, aside, aside_at)
        self._parts = self._arrange(self._changes)

    def _arrange(self, changes: _Changes) -> list[Part]:
        """Return all segments, each with the photos that a later one has."""
        layers = [stored.segment for stored in self._segments.values()]
        later = [*changes.aside, changes.segment]
        changed = np.concatenate([one.photo_ids for one in later])
        found = [Part(one, np.flatnonzero(np.isin(one.photo_ids, changed))) for one in layers]
        for number, one in enumerate(later, 1):
            after = np.concatenate([np.zeros(0, np.int64), *(two.photo_ids for two in later[number:])])
            found.append(Part(one, np.flatnonzero(np.isin(one.photo_ids, after))))
        return found

    def _again(self, number: int, old: Stored, changed: Rows, revision: int, state: State) -> Stored:
        """Make a segment again of what it has and of what changed, as of a revision."""
        segment = arranged(changed)
        unchanged = as_rows(old.segment, ~np.isin(old.segment.photo_ids, changed.photo_ids))
        new = as_rows(segment, segment.photo_ids // SPAN == number)
        return self._store(number, Stored(arranged(joined([unchanged, new])), revision, state))


def _newest_of(segments: Sequence[Segment]) -> Rows:
    """Return the photos of several segments, of those in more than one as the last has them."""
    rows: list[Rows] = []
    later = np.zeros(0, np.int64)
    for one in reversed(segments):
        rows.append(as_rows(one, ~np.isin(one.photo_ids, later)))
        later = np.union1d(later, one.photo_ids)
    return joined(rows)


def _numbers(session: Session) -> list[int]:
    """Return the segments that photos lie in."""
    # One question each: asked for both at once, SQLite reads all rows.
    first, last = session.scalar(select(func.min(PhotoRow.id))), session.scalar(select(func.max(PhotoRow.id)))
    return [] if first is None or last is None else list(range(first // SPAN, last // SPAN + 1))


def _state(session: Session) -> State:
    row = session.execute(select(EventRow.id, EventRow.happened_at).order_by(EventRow.id.desc()).limit(1)).first()
    return State(0, "") if row is None else State(*row)


def is_of(session: Session, state: State) -> bool:
    """Return whether a state is one that the database went through: a backup that was restored went another way."""
    if not state.event_id:
        return (session.scalar(select(func.min(EventRow.id))) or 1) == 1
    return session.scalar(select(EventRow.happened_at).where(EventRow.id == state.event_id)) == state.happened_at
