"""All identity embeddings of a database as one matrix, for searches that compare with every one.

The matrix is made from the database and stored in a file beside it, which may be deleted at any time. Changes since it
was made are read from the change feed, so a search sees everything that was committed before it; after many changes
the matrix is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

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
        # The base without the photos that changed since, and these photos.
        self._delta: tuple[Embeddings, Embeddings] | None = None

    @property
    def file(self) -> Path | None:
        """The matrix's file; None for a database without a file."""
        return None if self._file is None else self._file.path

    def parts(self, session: Session, dimension: int) -> list[Embeddings]:
        """Return all embeddings of a dimension, as the session sees them.

        Rows whose photo is -1 no longer count.
        """
        now = _state(session)
        if self._base is None or self._base.vectors.shape[1] != dimension or self._is_outdated():
            self._base = None if self._file is None else self._file.load(dimension)
            self._delta = None
        base = self._base
        changed = None if base is None else _changed(session, base.state, now, len(base.face_ids))
        if base is None or changed is None:
            base = _all(session, dimension, now)
            self._base = base = base if self._file is None else self._file.store(base)
            changed = []
        if not changed:
            return [base]
        if self._delta is None or self._delta[1].state != now:
            photo_ids = np.where(np.isin(base.photo_ids, changed), -1, base.photo_ids)
            self._delta = base._replace(photo_ids=photo_ids), _of_photos(session, dimension, changed, now)
        return list(self._delta)

    def delete(self) -> None:
        """Remove the file; the next search makes it again from what the database then holds."""
        self._base = self._delta = None
        for file in self.files():
            file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the file, and what is left of files whose writer was killed."""
        return [] if self._file is None else self._file.paths()

    def _is_outdated(self) -> bool:
        """Return whether the matrix is mapped from a file that is not there any more."""
        if self._file is None or self._base is None or not isinstance(self._base.vectors, np.memmap):
            return False
        return self._file.was_replaced()


def _state(session: Session) -> State:
    row = session.execute(select(EventRow.id, EventRow.happened_at).order_by(EventRow.id.desc()).limit(1)).first()
    return State(0, "") if row is None else State(*row)


def _changed(session: Session, then: State, now: State, rows: int) -> list[int] | None:
    """Return the photos whose faces may have changed; None if that is not known, or they are too many."""
    if then == now:
        return []
    oldest = session.scalar(select(func.min(EventRow.id))) or 0
    if then.event_id:
        at = session.scalar(select(EventRow.happened_at).where(EventRow.id == then.event_id))
        if at != then.happened_at:
            return None
    elif oldest > 1:
        return None
    everywhere = select(EventRow.id).where(
        EventRow.id > then.event_id,
        EventRow.photo_id.is_(None),
        EventRow.kind.in_(("photo_forgotten", "embeddings_forgotten")),
    )
    if session.scalar(everywhere.limit(1)) is not None:
        return None
    most = max(_MOST_CHANGED, int(rows * _MOST_CHANGED_SHARE))
    found = session.scalars(
        select(EventRow.photo_id)
        .where(EventRow.id > then.event_id, EventRow.kind.in_(_EVENTS), EventRow.photo_id.is_not(None))
        .distinct()
        .limit(most + 1)
    )
    changed = [photo_id for photo_id in found if photo_id is not None]
    return changed if len(changed) <= most else None


def _all(session: Session, dimension: int, state: State) -> Embeddings:
    rows = session.connection().execute(_visible(dimension))
    return _collected(rows, dimension, state)


def _of_photos(session: Session, dimension: int, photo_ids: Sequence[int], state: State) -> Embeddings:
    rows = [
        row
        for part in chunks(photo_ids)
        for row in session.execute(_visible(dimension).where(FaceRow.photo_id.in_(part))).all()
    ]
    return _collected(rows, dimension, state)


def _visible(dimension: int) -> Select[int, int, str, bytes]:
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
