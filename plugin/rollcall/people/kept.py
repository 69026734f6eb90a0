"""The faces of a library in memory, for questions that are asked one after another.

What is kept of a face changes with its photo, and the change feed tells which photos changed; who it is changes with
answers, and `people_changes` tells of which faces, whoever wrote them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, bindparam, case, func, select
from sqlalchemy.orm import Session

from rollcall.model_version import weights_of
from rollcall.people import reading
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import FaceColumns, LibraryFaces
from rollcall.people.shapes import Shapes
from rollcall.search.vector_file import State
from rollcall.search.vectors import changed_photos, state_of
from rollcall.storage import people_changes
from rollcall.storage.database import Database
from rollcall.storage.library import CHUNK, chunks
from rollcall.storage.tables import FacePersonRow, FaceRow

#: With more changed photos than this all faces are read again.
_MOST_CHANGED: Final = 5_000
#: More faces than this are not kept: about 150 MB.
MOST_KEPT: Final = 500_000

#: The columns that tell who faces are.
_OF_PEOPLE: Final = ("people", "stated", "confirmed", "probability", "seen")

_OF_DATABASES: Final[WeakKeyDictionary[Database, KeptFaces]] = WeakKeyDictionary()


def kept_faces_of(database: Database) -> KeptFaces:
    """Return what is kept of the faces of a database."""
    return _OF_DATABASES.setdefault(database, KeptFaces())


class KeptFaces:
    """The faces of one library. May be used from any thread."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._columns: FaceColumns | None = None
        self._vectors: NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._weights = ""
        self._rejected: list[frozenset[int]] = []
        self._answered: NDArray[np.bool_] | None = None  # of which faces anything is in there; None if not known
        self._people = 0  # the newest change of who faces are that is in the columns
        self.shapes = Shapes()
        self._lock = threading.Lock()

    def read(self, session: Session) -> LibraryFaces:
        """Return all faces of a library as `reading.read_faces` does, but for ages and birth dates that are derived.

        Nobody may change the arrays.
        """
        with self._lock:
            now = state_of(session)
            if not self._update(session, now):
                return self._read_all(session, now)
            self._update_people(session)
            assert self._columns is not None
            columns, vectors, rejected, answered = self._columns, self._vectors, self._rejected, self._answered
        library = reading.built(session, [columns], vectors, rejected=rejected)
        if answered is None:
            answered = library.faces.answered
            with self._lock:
                if self._rejected is rejected:
                    self._answered = answered
        library.faces.answered = answered
        return library

    def _read_all(self, session: Session, now: State) -> LibraryFaces:
        self._state, self._columns, self._vectors = None, None, np.zeros((0, 0), np.float16)
        parts, vectors, weights = reading.read_all(session)
        if 0 < len(vectors) <= MOST_KEPT:
            parts = [FaceColumns(*map(np.concatenate, zip(*parts, strict=True)))]
            self._state, self._columns, self._vectors, self._weights = now, parts[0], vectors, weights
            self._rejected, self._answered = reading.rejections(session, parts[0].face_ids), None
            self._people = people_changes.newest(session)
            return reading.built(session, parts, vectors, rejected=self._rejected)
        return reading.built(session, parts, vectors)

    def _update(self, session: Session, now: State) -> bool:
        """Read the photos that changed; return whether what is kept is that of the session now."""
        if self._state is None or self._columns is None or self._state.event_id > now.event_id:
            return False
        changed = changed_photos(session, self._state, now, _MOST_CHANGED)
        if changed is None:
            return False
        if changed:
            rows: list[Any] = [
                row
                for part in chunks(changed)
                for row in session.connection().execute(_of_photos(), {"photos": part}).all()
            ]
            if {weights_of(row[2]) for row in rows} - {self._weights}:
                return False  # which network most of the faces are of may be another one
            rows.sort(key=lambda row: row[0])
            before = self._columns.face_ids
            self._columns, self._vectors = _replaced(self._columns, self._vectors, changed, rows)
            if not np.array_equal(before, self._columns.face_ids):
                self._rejected, self._answered = reading.rejections(session, self._columns.face_ids), None
        self._state = now
        return True

    def _update_people(self, session: Session) -> None:
        """Read who those faces are, and are not, of which that was written."""
        assert self._columns is not None
        newest = people_changes.newest(session)
        changed = people_changes.since(session, self._people, _MOST_CHANGED)
        if changed is None:
            self._columns = _with_people(session, self._columns)
            self._rejected, self._answered = reading.rejections(session, self._columns.face_ids), None
        elif changed:
            ids = self._columns.face_ids
            numbers = np.sort(np.array(changed, np.int64))
            places = np.minimum(np.searchsorted(ids, numbers), len(ids) - 1)
            there = ids[places] == numbers
            numbers, places = numbers[there], places[there]
            # Others may read these arrays.
            some: list[Any] = [one[places] for one in self._columns]
            now = _with_people(session, FaceColumns(*some), numbers.tolist())
            self._columns = self._columns._replace(
                **{name: _with_some(getattr(self._columns, name), places, getattr(now, name)) for name in _OF_PEOPLE}
            )
            self._rejected = self._rejected.copy()
            self._answered = None if self._answered is None else self._answered.copy()
            for start in range(0, len(numbers), CHUNK):
                rejected = reading.rejections(session, numbers[start : start + CHUNK])
                for place, people in zip(places[start : start + CHUNK].tolist(), rejected, strict=True):
                    self._rejected[place] = people
                    if self._answered is not None:
                        self._answered[place] = bool(people)
        self._people = newest


def _with_some(column: NDArray[Any], places: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    column = column.copy()
    column[places] = values
    return column


def _replaced(
    columns: FaceColumns, vectors: NDArray[np.float16], photo_ids: Sequence[int], rows: Sequence[Any]
) -> tuple[FaceColumns, NDArray[np.float16]]:
    """Return columns and embeddings with the rows of some photos, in the order of their faces, instead of what was."""
    old = np.isin(reading.photo_ids(columns.photos), photo_ids)
    new, fresh = reading.columns_of(rows), reading.vectors_in(rows)
    pairs: Iterable[tuple[Any, Any]] = zip(columns, new, strict=True)
    if not np.array_equal(columns.face_ids[old], new.face_ids):
        order = np.argsort(np.concatenate([columns.face_ids[~old], new.face_ids]), kind="stable")
        columns = FaceColumns(*(np.concatenate([one[~old], more])[order] for one, more in pairs))
        return columns, np.concatenate([vectors[~old], *([fresh] if rows else [])])[order]
    if not np.array_equal(vectors[old], fresh):
        # Others may read these arrays.
        vectors = vectors.copy()
        vectors[old] = fresh
    # Who a face is has changed most often: what is computed of the other columns stays true of the same arrays.
    places = np.flatnonzero(old)
    return FaceColumns(
        *(one if _same(one[places], more) else _with_some(one, places, more) for one, more in pairs)
    ), vectors


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


# Statements are made once: to put them together takes longer than to run them.
@cache
def _of_photos() -> Select[Any]:
    return reading.comparable().where(FaceRow.photo_id.in_(bindparam("photos", expanding=True)))


@cache
def _people_of_faces(some: bool) -> Select[Any]:
    """Return a statement for whom `some` faces are, or all."""
    # Numbers alone: they become arrays several times as fast as texts do.
    columns: tuple[Any, ...] = (
        FacePersonRow.face_id,
        func.coalesce(FacePersonRow.person_id, UNKNOWN),
        case((FacePersonRow.source != "auto", 1), else_=0),
        case((FacePersonRow.state == "confirmed", 1), else_=0),
        FacePersonRow.probability,
    )
    statement = select(*columns).order_by(FacePersonRow.face_id)
    return statement.where(FacePersonRow.face_id.in_(bindparam("ids", expanding=True))) if some else statement


def _with_people(session: Session, columns: FaceColumns, face_ids: Sequence[int] | None = None) -> FaceColumns:
    """Return columns with whom the faces are at present; these are `face_ids`, or else most of the library."""
    rows: list[Any] = []
    for part in [None] if face_ids is None else chunks(face_ids):
        found = session.connection().execute(_people_of_faces(part is not None), {} if part is None else {"ids": part})
        # The driver's own tuples: to make rows of them takes longer than to read them.
        assert found.cursor is not None
        rows += found.cursor.fetchall()
        found.close()
    rows = rows or [(-1, UNKNOWN, 0, 0, 0.0)]
    numbers, person, stated, confirmed, probability = np.array(rows, np.float64).T
    places = np.minimum(np.searchsorted(numbers, columns.face_ids), len(numbers) - 1)
    seen = numbers[places] == columns.face_ids
    return columns._replace(
        people=np.where(seen, person[places], UNKNOWN).astype(np.int64),
        stated=seen & (stated[places] > 0),
        confirmed=seen & (confirmed[places] > 0),
        probability=np.where(seen, probability[places], 0.0),
        seen=seen,
    )
