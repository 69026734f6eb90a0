"""All identity embeddings as one matrix in a file beside the database, for searches that look at every one.

The file is made from the database and may be deleted at any time. What changed since it was made is read off the
events, so a search sees what was committed before it; when much changed, the file is made anew.
"""

from __future__ import annotations

import glob
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import simsimd
from numpy.typing import NDArray
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import EmbeddingRow, EventRow, FaceRow, VerdictRow

log = logging.getLogger(__name__)

SUFFIX: Final = ".vectors"
_FORMAT: Final = 1
_HEADER: Final = 4096
#: With more changed photos than this, or than this share of all rows, the file is made anew.
_CHANGED: Final = 5_000
_ROWS: Final = 20_000
_KINDS: Final = ("photo_indexed", "corrected", "photo_forgotten", "face_forgotten")

# These add up in 16 bits, which is 0.1 % off.
for _capability in ("sapphire", "sve_f16"):
    simsimd.disable_capability(_capability)


class State(NamedTuple):
    """Up to which event something holds: the event's number and time (a database put back has others)."""

    event_id: int
    happened_at: str


class Embeddings(NamedTuple):
    """The embeddings of the faces that are shown."""

    face_ids: NDArray[np.int64]
    photo_ids: NDArray[np.int64]
    versions: NDArray[np.uint8]  # index into `names`
    vectors: NDArray[np.float16]  # unit length
    names: tuple[str, ...]  # model versions
    state: State

    def cosines(self, wanted: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return the cosine of every embedding with one of unit length."""
        result = np.empty((1, len(self.face_ids)), np.float32)
        if len(self.face_ids):
            simsimd.cdist(wanted[None], self.vectors, metric="inner", out=result, threads=os.cpu_count() or 1)
        return np.asarray(result[0])


_OF_DATABASES: Final[WeakKeyDictionary[Database, EmbeddingMatrix]] = WeakKeyDictionary()


def vectors_of(database: Database) -> EmbeddingMatrix:
    """Return the matrix of a database's embeddings; its file lies beside the database."""
    found = _OF_DATABASES.get(database)
    if found is None:
        found = _OF_DATABASES.setdefault(database, EmbeddingMatrix(database.file))
    return found


class EmbeddingMatrix:
    """The embeddings of one dimension of a database, kept in step with it.

    Parameters
    ----------
    file
        The database's file; None for one in memory or on a server, whose matrix is kept in this process alone.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = None if file is None else file.with_name(file.name + SUFFIX)
        self._base: Embeddings | None = None
        # What the file has without the photos that changed, and these photos.
        self._delta: tuple[Embeddings, Embeddings] | None = None
        self._inode = 0

    def parts(self, session: Session, dimension: int) -> list[Embeddings]:
        """Return all embeddings of a dimension, as the session sees them.

        Rows whose photo is -1 no longer count.
        """
        now = _state(session)
        if self._base is None or self._base.vectors.shape[1] != dimension or self._newer():
            self._base, self._delta = self._load(dimension), None
        base = self._base
        changed = None if base is None else _changed(session, base.state, now, len(base.face_ids))
        if base is None or changed is None:
            self._base = base = self._store(_all(session, dimension, now), dimension)
            changed = []
        if not changed:
            return [base]
        if self._delta is None or self._delta[1].state != now:
            photo_ids = np.where(np.isin(base.photo_ids, changed), -1, base.photo_ids)
            self._delta = base._replace(photo_ids=photo_ids), _of_photos(session, dimension, changed, now)
        return list(self._delta)

    def delete(self) -> None:
        """Remove the file; the next search makes it anew from what the database then holds."""
        self._base = self._delta = None
        for file in self.files():
            file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the file, and parts of such that a process was killed over."""
        if self.file is None:
            return []
        parts = self.file.parent.glob(f"{glob.escape(self.file.name)}.*.part")
        return [file for file in (self.file, *sorted(parts)) if file.exists()]

    def _newer(self) -> bool:
        """Say whether the file went, or another process has replaced it."""
        if self.file is None or not isinstance(self._base and self._base.vectors, np.memmap):
            return False
        try:
            return self.file.stat().st_ino != self._inode
        except OSError:
            return True

    def _load(self, dimension: int) -> Embeddings | None:
        """Map the file; None if there is none that fits."""
        if self.file is None:
            return None
        try:
            with self.file.open("rb") as stream:
                self._inode = os.fstat(stream.fileno()).st_ino
                facts = json.loads(stream.read(_HEADER))
            rows = int(facts["rows"])
            if facts["format"] != _FORMAT or facts["dimension"] != dimension or not rows:
                return None
            if self.file.stat().st_size != _HEADER + rows * (17 + 2 * dimension):
                return None
            return self._mapped(rows, dimension, tuple(facts["versions"]), State(*facts["state"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _mapped(self, rows: int, dimension: int, names: tuple[str, ...], state: State) -> Embeddings:
        assert self.file is not None
        at = _HEADER
        columns = []
        for kind, shape in (("<i8", (rows,)), ("<i8", (rows,)), ("<f2", (rows, dimension)), ("u1", (rows,))):
            columns.append(np.memmap(self.file, kind, "r", at, shape))
            at += columns[-1].nbytes
        return Embeddings(columns[0], columns[1], columns[3], columns[2], names, state)

    def _store(self, whole: Embeddings, dimension: int) -> Embeddings:
        """Write the file, whole or not at all, and map it; where it cannot be written, keep the arrays."""
        if self.file is None or not len(whole.face_ids):
            return whole
        facts: dict[str, Any] = {
            "format": _FORMAT,
            "dimension": dimension,
            "rows": len(whole.face_ids),
            "versions": whole.names,
            "state": whole.state,
        }
        header = json.dumps(facts).encode()
        temporary = self.file.with_name(f"{self.file.name}.{os.getpid()}.part")
        try:
            if len(header) > _HEADER:
                return whole
            # PersonFilter may not read the database may not read this either.
            mode = self.file.with_name(self.file.name.removesuffix(SUFFIX)).stat().st_mode & 0o777
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:  # noqa: PTH123
                stream.write(header.ljust(_HEADER))
                for column in (whole.face_ids, whole.photo_ids, whole.vectors, whole.versions):
                    stream.write(np.ascontiguousarray(column).data)
            temporary.replace(self.file)
            self._inode = self.file.stat().st_ino
            return self._mapped(len(whole.face_ids), dimension, whole.names, whole.state)
        except OSError as error:
            log.info("%s: the embeddings' matrix is not kept (%s)", self.file, error)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return whole


def _state(session: Session) -> State:
    row = session.execute(select(EventRow.id, EventRow.happened_at).order_by(EventRow.id.desc()).limit(1)).first()
    return State(0, "") if row is None else State(*row)


def _changed(session: Session, then: State, now: State, rows: int) -> list[int] | None:
    """Return the photos whose faces may have changed; None if that cannot be told, or they are too many."""
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
    most = max(_CHANGED, rows // 50)
    found = session.scalars(
        select(EventRow.photo_id)
        .where(EventRow.id > then.event_id, EventRow.kind.in_(_KINDS), EventRow.photo_id.is_not(None))
        .distinct()
        .limit(most + 1)
    )
    changed = [photo_id for photo_id in found if photo_id is not None]
    return changed if len(changed) <= most else None


def _all(session: Session, dimension: int, state: State) -> Embeddings:
    rows = session.connection().execute(_shown(dimension))
    return _gathered(rows, dimension, state)


def _of_photos(session: Session, dimension: int, photo_ids: Sequence[int], state: State) -> Embeddings:
    rows = [
        row
        for part in chunks(photo_ids)
        for row in session.execute(_shown(dimension).where(FaceRow.photo_id.in_(part))).all()
    ]
    return _gathered(rows, dimension, state)


def _shown(dimension: int) -> Select[int, int, str, bytes]:
    return (
        select(EmbeddingRow.face_id, FaceRow.photo_id, EmbeddingRow.model_version, EmbeddingRow.vector)
        .join(FaceRow, FaceRow.id == EmbeddingRow.face_id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(EmbeddingRow.dimension == dimension, FaceRow.present, ~EmbeddingRow.stale)
        .where(or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
    )


def _gathered(rows: Any, dimension: int, state: State) -> Embeddings:
    names: dict[str, int] = {}
    faces: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    versions: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    vectors: list[NDArray[np.float16]] = [np.zeros((0, dimension), "<f2")]
    parts = rows.partitions(_ROWS) if hasattr(rows, "partitions") else chunks(rows, _ROWS)
    for part in parts:
        faces.append(np.array([(row[0], row[1]) for row in part], np.int64))
        # More than 255 models in one database: the last name stands for the rest, which are then never alike.
        versions.append(np.array([min(names.setdefault(row[2], len(names)), 255) for row in part], np.uint8))
        vectors.append(np.frombuffer(b"".join(row[3] for row in part), "<f2").reshape(len(part), dimension))
    both = np.concatenate(faces)
    return Embeddings(
        np.ascontiguousarray(both[:, 0]),
        np.ascontiguousarray(both[:, 1]),
        np.concatenate(versions),
        np.concatenate(vectors),
        tuple(names),
        state,
    )
