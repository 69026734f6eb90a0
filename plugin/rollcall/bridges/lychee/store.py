"""The service's own file: embeddings by Lychee's numbers of faces, and the jobs that wait."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.errors import BridgeError
from rollcall.search import nuisance
from rollcall.storage.failures import of_other
from rollcall.storage.private import private_file, private_folder

Vectors = NDArray[np.float32]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS faces (
    id TEXT PRIMARY KEY, photo TEXT NOT NULL, vector BLOB NOT NULL, sharpness REAL NOT NULL, model TEXT NOT NULL,
    present INTEGER NOT NULL DEFAULT 1);
CREATE INDEX IF NOT EXISTS faces_photo ON faces (photo);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, photo TEXT NOT NULL, path TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_photo ON jobs (photo);
PRAGMA user_version = 1;
"""


class StoredFace(NamedTuple):
    """A face that Lychee knows."""

    id: str  # Lychee's
    photo: str  # Lychee's
    vector: Vectors  # (d,), unit length
    sharpness: float


class Job(NamedTuple):
    """A photo to be analysed (detect), or all faces to be grouped (cluster)."""

    id: int
    kind: str
    photo: str
    path: str


class LycheeStore:
    """Embeddings and jobs in an SQLite file; may be used from any thread.

    Parameters
    ----------
    file
        Is made if it is not there.
    model
        The model version of embeddings: those of another one are never compared.

    Raises
    ------
    BridgeError
        If the file cannot be opened.
    """

    def __init__(self, file: Path, model: str) -> None:
        self.file, self.model = file, model
        self._lock = threading.RLock()
        self._vectors: tuple[list[str], Vectors] | None = None
        try:
            private_folder(file.parent)
            private_file(file)
            self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise BridgeError(
                file,
                f"the face service's file cannot be opened: {of_other(error)}; allow it, or delete the file and scan"
                " the photos in Lychee again",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # ---- Embeddings

    def count(self) -> int:
        """Return how many faces are stored."""
        return int(self._one("SELECT COUNT(*) FROM faces"))

    def replace_photo(self, photo: str, faces: Iterable[StoredFace]) -> None:
        """Store the faces of a photo in the place of those that it had: Lychee has made new ones of them."""
        rows = [(face.id, photo, face.vector.astype("<f2").tobytes(), face.sharpness, self.model) for face in faces]
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM faces WHERE photo = ?", (photo,))
            self._connection.executemany(
                "INSERT OR REPLACE INTO faces (id, photo, vector, sharpness, model) VALUES (?, ?, ?, ?, ?)", rows
            )
            self._connection.execute("COMMIT")
            self._vectors = None

    def delete(self, ids: Sequence[str]) -> int:
        """Delete faces; return how many of them were there."""
        with self._lock:
            before = self._connection.total_changes
            self._connection.executemany("DELETE FROM faces WHERE id = ?", ((one,) for one in ids))
            self._vectors = None
            return self._connection.total_changes - before

    def mark_present(self, ids: Sequence[str], batch: int) -> int:
        """Mark faces as still there, at batch 0 all others as absent; return how many of them were there."""
        with self._lock:
            if batch == 0:
                self._connection.execute("UPDATE faces SET present = 0")
            before = self._connection.total_changes
            self._connection.executemany("UPDATE faces SET present = 1 WHERE id = ?", ((one,) for one in ids))
            return self._connection.total_changes - before

    def purge_absent(self) -> int:
        """Delete the faces that are marked as absent; return how many."""
        with self._lock:
            self._vectors = None
            return self._connection.execute("DELETE FROM faces WHERE present = 0").rowcount

    def export(self) -> list[tuple[str, str, float]]:
        """Return the numbers of all faces and their photos, and how sharp they are."""
        with self._lock:
            return self._connection.execute("SELECT id, photo, sharpness FROM faces ORDER BY id").fetchall()

    def vectors(self) -> tuple[list[str], Vectors]:
        """Return the faces of the present model with embeddings (n, d) as they are compared, in order of number."""
        with self._lock:
            if self._vectors is None:
                rows = self._connection.execute(
                    "SELECT id, vector FROM faces WHERE model = ? ORDER BY id", (self.model,)
                ).fetchall()
                found = [np.frombuffer(blob, "<f2") for _, blob in rows]
                matrix = np.stack(found) if found else np.zeros((0, 1), np.float16)
                self._vectors = [one for one, _ in rows], nuisance.compared(matrix, self.model).astype(np.float32)
            return self._vectors

    def similar(self, vector: Vectors, least: float, limit: int = 10, but: str = "") -> list[tuple[str, float]]:
        """Return the faces whose cosine similarity to a unit vector is at least `least`, the most similar first.

        Faces of the photo `but` are left out.
        """
        ids, matrix = self.vectors()
        if not ids or matrix.shape[1] != len(vector):
            return []
        similarities = matrix @ nuisance.compared(vector[None], self.model)[0]
        own = set(self._photo_faces(but)) if but else set()
        order = np.argsort(-similarities, kind="stable")
        found = [
            (ids[row], float(min(similarities[row], 1.0)))
            for row in order[: limit + len(own)]
            if similarities[row] >= least and ids[row] not in own
        ]
        return found[:limit]

    def _photo_faces(self, photo: str) -> list[str]:
        with self._lock:
            return [one for (one,) in self._connection.execute("SELECT id FROM faces WHERE photo = ?", (photo,))]

    # ---- Jobs

    def add_job(self, kind: str, photo: str = "", path: str = "", most: int = 100_000) -> bool:
        """Add a job; return False if `most` wait already. A photo that waits is not added twice."""
        with self._lock:
            if self._one("SELECT COUNT(*) FROM jobs") >= most:
                return False
            self._connection.execute("DELETE FROM jobs WHERE kind = ? AND photo = ?", (kind, photo))
            self._connection.execute("INSERT INTO jobs (kind, photo, path) VALUES (?, ?, ?)", (kind, photo, path))
            return True

    def add_job_if_idle(self, kind: str) -> bool:
        """Add a job if no other waits or is in work; return whether it was added."""
        with self._lock:
            if self._one("SELECT COUNT(*) FROM jobs"):
                return False
            return self.add_job(kind)

    def next_job(self) -> Job | None:
        """Return the job that waits longest; it stays until `end_job`, so that a kill loses nothing."""
        with self._lock:
            row = self._connection.execute("SELECT id, kind, photo, path FROM jobs ORDER BY id LIMIT 1").fetchone()
            return None if row is None else Job(*row)

    def end_job(self, job: Job) -> None:
        """Remove a job that is done."""
        with self._lock:
            self._connection.execute("DELETE FROM jobs WHERE id = ?", (job.id,))

    def jobs(self) -> list[tuple[int, str]]:
        """Return the numbers of the jobs that wait and their photos, in their order."""
        with self._lock:
            return self._connection.execute("SELECT id, photo FROM jobs ORDER BY id").fetchall()

    def purge_jobs(self, but: int = 0) -> None:
        """Remove all jobs but the one of a number."""
        with self._lock:
            self._connection.execute("DELETE FROM jobs WHERE id <> ?", (but,))

    def _one(self, sql: str) -> int:
        with self._lock:
            return int(self._connection.execute(sql).fetchone()[0])


def store_file(database: Path) -> Path:
    """Return the file of the service beside a database."""
    return database.with_name(f"{database.name}.lychee")
