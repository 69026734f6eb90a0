"""All identity embeddings of a database as one matrix, for searches that compare with every one.

The matrix is made from the database and stored in a file beside it, which may be deleted at any time. Changes since it
was made are read from the change feed, so a search sees everything that was committed before it; after many changes
the matrix is made again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from rollcall.search.cells import divide
from rollcall.search.vector_file import Embeddings, State, VectorFile
from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import EmbeddingRow, EventRow, FaceRow, VerdictRow

#: With more changed photos than this, or than this share of all rows, the matrix is made again.
_MOST_CHANGED: Final = 5_000
_MOST_CHANGED_SHARE: Final = 1 / 50
#: Rows that are read from the database at a time.
_ROWS: Final = 20_000
#: Model versions that a column of bytes can number; embeddings of any others are compared with none.
_MOST_VERSIONS: Final = 255
#: From so many embeddings on they lie in cells, of this number.
_DIVIDED: Final = 50_000
_CELLS: Final = 512
#: Neighbours that are looked for beyond those that are wanted: some may be of photos that changed since.
_SPARE: Final = 32
#: Events that change the faces of one photo.
_EVENTS: Final = ("photo_indexed", "corrected", "photo_forgotten", "face_forgotten")

_OF_DATABASES: Final[WeakKeyDictionary[Database, EmbeddingMatrix]] = WeakKeyDictionary()


def vectors_of(database: Database) -> EmbeddingMatrix:
    """Return the matrix of a database's embeddings; its file lies beside the database."""
    found = _OF_DATABASES.get(database)
    if found is None:
        found = _OF_DATABASES.setdefault(database, EmbeddingMatrix(database.beside))
    return found


class EmbeddingMatrix:
    """The embeddings of one dimension of a database.

    Parameters
    ----------
    file
        The database's file; None for one in memory or on a server, whose matrix stays in this process's memory.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = None if file is None else VectorFile(file)
        self._base: Embeddings | None = None
        self._mapped = False
        # What photos have that changed since, and these photos.
        self._delta: Embeddings | None = None
        self._changed: frozenset[int] = frozenset()
        # The base without them, once somebody asked for it.
        self._rest: Embeddings | None = None
        self._lock = threading.Lock()

    @property
    def file(self) -> Path | None:
        """The matrix's file; None for a database without a file."""
        return None if self._file is None else self._file.path

    def parts(self, session: Session, dimension: int) -> list[Embeddings]:
        """Return all embeddings of a dimension, as the session sees them.

        Rows whose photo is -1 no longer count.
        """
        with self._lock:
            base = self._read(session, dimension)
            if self._delta is None:
                return [base]
            if self._rest is None:
                changed = np.isin(base.photo_ids, list(self._changed))
                self._rest = base._replace(photo_ids=np.where(changed, -1, base.photo_ids))
            return [self._rest, self._delta]

    def nearest(self, session: Session, wanted: NDArray[np.float16], count: int) -> list[tuple[float, int]]:
        """Return cosine similarity and number of about the `count` faces most similar to an embedding, in order.

        In a large library a few of them may be missed; `parts` leaves out none.
        """
        with self._lock:
            base, delta, changed = self._read(session, len(wanted)), self._delta, self._changed
        found = base.nearest(wanted, count + _SPARE, changed)
        if delta is not None:
            found += delta.nearest(wanted, count)
        return sorted(found, key=lambda one: (-one[0], one[1]))[:count]

    def _read(self, session: Session, dimension: int) -> Embeddings:
        """Return the matrix, which holds what it takes account of, and read what changed since."""
        now = state_of(session)
        if self._base is None or self._base.vectors.shape[1] != dimension or self._is_outdated():
            self._set(None if self._file is None else self._file.load(dimension), self._file is not None)
        if self._delta is not None and self._delta.state.event_id > now.event_id:
            # This session sees an older state than another one did.
            self._set(self._base, self._mapped)
        base = self._base
        changed = None if base is None else self._changed_since(session, base, now)
        if base is None or changed is None:
            made = _divided(_all(session, dimension, now))
            stored = made if self._file is None else self._file.store(made)
            self._set(stored, stored is not made)
            return stored
        if changed:
            self._update(session, changed, now, dimension)
        return base

    def delete(self) -> None:
        """Remove the file; the next search makes it again from what the database then holds."""
        self._set(None, False)
        for file in self.files():
            file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the file, and what is left of files whose writer was killed."""
        return [] if self._file is None else self._file.paths()

    def _set(self, base: Embeddings | None, mapped: bool) -> None:
        self._base, self._mapped = base, mapped and base is not None
        self._delta, self._changed, self._rest = None, frozenset(), None

    def _is_outdated(self) -> bool:
        """Return whether the matrix is mapped from a file that is not there any more."""
        return self._file is not None and self._mapped and self._file.was_replaced()

    def _changed_since(self, session: Session, base: Embeddings, now: State) -> list[int] | None:
        """Return the photos that changed since these embeddings were read; None if the matrix has to be made again."""
        then = base.state if self._delta is None else self._delta.state
        most = max(_MOST_CHANGED, int(len(base.face_ids) * _MOST_CHANGED_SHARE))
        changed = changed_photos(session, then, now, most)
        return None if changed is None or len(self._changed.union(changed)) > most else changed

    def _update(self, session: Session, changed: Sequence[int], now: State, dimension: int) -> None:
        """Put what photos have now in the place of what they had."""
        new, delta = _of_photos(session, dimension, changed, now), self._delta
        self._delta = new if delta is None else _joined(delta, ~np.isin(delta.photo_ids, changed), new)
        self._changed, self._rest = self._changed.union(changed), None


def state_of(session: Session) -> State:
    """Return the newest event that a session sees."""
    row = session.connection().execute(_newest()).first()
    return State(0, "") if row is None else State(*row)


_AT: Final = select(EventRow.happened_at).where(EventRow.id == bindparam("then"))


@cache
def _newest() -> Select[int, str]:
    return select(EventRow.id, EventRow.happened_at).order_by(EventRow.id.desc()).limit(1)


def changed_photos(session: Session, then: State, now: State, most: int) -> list[int] | None:
    """Return the photos whose faces may have changed; None if that is not known, or they are more than `most`."""
    if then == now:
        return []
    if then.event_id:
        at = session.connection().execute(_AT, {"then": then.event_id}).scalar()
        if at != then.happened_at:
            return None
    elif (session.scalar(select(func.min(EventRow.id))) or 0) > 1:
        return None
    found = session.connection().execute(_since(), {"then": then.event_id, "most": most + 1})
    changed = list(found.scalars())
    # None stands for all photos.
    return None if len(changed) > most or None in changed else changed


@cache
def _since() -> Select[Any]:
    """Return a statement for the photos that changed after an event, with None where all may have."""
    everywhere = EventRow.photo_id.is_(None)
    return (
        select(EventRow.photo_id)
        .where(
            EventRow.id > bindparam("then"),
            or_(
                and_(everywhere, EventRow.kind.in_(("photo_forgotten", "embeddings_forgotten"))),
                and_(~everywhere, EventRow.kind.in_(_EVENTS)),
            ),
        )
        .distinct()
        .limit(bindparam("most"))
    )


def _all(session: Session, dimension: int, state: State) -> Embeddings:
    rows = session.connection().execute(_visible(dimension))
    return _collected(rows, dimension, state)


def _divided(embeddings: Embeddings) -> Embeddings:
    """Return many embeddings in the order of cells around centroids."""
    if len(embeddings.face_ids) < _DIVIDED:
        return embeddings
    cells = divide(embeddings.vectors, _CELLS)
    return embeddings._replace(
        face_ids=embeddings.face_ids[cells.order],
        photo_ids=embeddings.photo_ids[cells.order],
        versions=embeddings.versions[cells.order],
        vectors=embeddings.vectors[cells.order],
        centroids=cells.centroids,
        starts=cells.starts,
    )


def _joined(some: Embeddings, keep: NDArray[np.bool_], others: Embeddings) -> Embeddings:
    """Return those of some embeddings that are to be kept, (n,), and others, as of the state of these."""
    names = tuple(dict.fromkeys((*some.names, *others.names)))[:_MOST_VERSIONS]
    number = np.full(_MOST_VERSIONS + 1, _MOST_VERSIONS, np.uint8)
    for old, name in enumerate(others.names):
        number[old] = names.index(name) if name in names else _MOST_VERSIONS
    return Embeddings(
        np.concatenate([some.face_ids[keep], others.face_ids]),
        np.concatenate([some.photo_ids[keep], others.photo_ids]),
        np.concatenate([some.versions[keep], number[others.versions]]),
        np.concatenate([some.vectors[keep], others.vectors]),
        names,
        others.state,
    )


def _of_photos(session: Session, dimension: int, photo_ids: Sequence[int], state: State) -> Embeddings:
    connection = session.connection()
    values = [{"dimension": dimension, "photos": part} for part in chunks(photo_ids)]
    rows = [row for one in values for row in connection.execute(_of_some_photos(), one).all()]
    return _collected(rows, dimension, state)


@cache
def _of_some_photos() -> Select[int, int, str, bytes]:
    return _visible(bindparam("dimension")).where(FaceRow.photo_id.in_(bindparam("photos", expanding=True)))


def _visible(dimension: int | BindParameter[int]) -> Select[int, int, str, bytes]:
    return (
        select(EmbeddingRow.face_id, FaceRow.photo_id, EmbeddingRow.model_version, EmbeddingRow.vector)
        .join(FaceRow, FaceRow.id == EmbeddingRow.face_id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(EmbeddingRow.dimension == dimension, FaceRow.present, ~EmbeddingRow.stale)
        .where(or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
    )


def _collected(rows: Any, dimension: int, state: State) -> Embeddings:
    names: dict[str, int] = {}
    faces: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    versions: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    vectors: list[NDArray[np.float16]] = [np.zeros((0, dimension), "<f2")]
    parts = rows.partitions(_ROWS) if hasattr(rows, "partitions") else chunks(rows, _ROWS)
    for part in parts:
        faces.append(np.array([(row[0], row[1]) for row in part], np.int64))
        numbers = [min(names.setdefault(row[2], len(names)), _MOST_VERSIONS) for row in part]
        versions.append(np.array(numbers, np.uint8))
        vectors.append(np.frombuffer(b"".join(row[3] for row in part), "<f2").reshape(len(part), dimension))
    both = np.concatenate(faces)
    return Embeddings(
        np.ascontiguousarray(both[:, 0]),
        np.ascontiguousarray(both[:, 1]),
        np.concatenate(versions),
        np.concatenate(vectors),
        tuple(names)[:_MOST_VERSIONS],
        state,
    )
