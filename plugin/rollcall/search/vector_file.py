"""The file of the embedding matrix: a header in JSON, then face numbers, photo numbers, vectors and model versions.

The columns are mapped into memory as they lie in the file, so that processes share them and nothing is read twice.
Many embeddings lie in the order of the cells of an inverted file, so that the most similar ones are soon found.
"""

from __future__ import annotations

import glob
import json
import logging
import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import simsimd
from numpy.typing import NDArray

log = logging.getLogger(__name__)

SUFFIX: Final = ".vectors"
_FORMAT: Final = 2
#: Bytes of the header, filled up with blanks.
_HEADER: Final = 4096
#: Cells that one embedding is compared with.
_PROBES: Final = 12
#: Fewer embeddings are compared by one thread: they are done before a second one has begun.
_SHARED: Final = 100_000

# These add up in 16 bits, which is 0.1 % off.
for _capability in ("sapphire", "sve_f16"):
    simsimd.disable_capability(_capability)


class State(NamedTuple):
    """The last event that embeddings take account of: its number and time (a restored database has others)."""

    event_id: int
    happened_at: str


class Embeddings(NamedTuple):
    """The embeddings of n visible faces."""

    face_ids: NDArray[np.int64]  # (n,)
    photo_ids: NDArray[np.int64]  # (n,); -1: the row no longer counts
    versions: NDArray[np.uint8]  # (n,), index into `names`
    vectors: NDArray[np.float16]  # (n, dimension), unit length
    names: tuple[str, ...]  # model versions
    state: State
    # The inverted file; without cells all embeddings are compared.
    centroids: NDArray[np.float32] | None = None  # (c, dimension)
    starts: NDArray[np.int64] | None = None  # (c + 1,), where the embeddings of each cell begin

    def cosines(self, wanted: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return the cosine similarity, (n,), of every embedding and one of unit length, (dimension,)."""
        result = np.empty((1, len(self.face_ids)), np.float32)
        if len(self.face_ids):
            threads = (os.cpu_count() or 1) if len(self.face_ids) >= _SHARED else 1
            simsimd.cdist(wanted[None], self.vectors, metric="inner", out=result, threads=threads)
        return np.asarray(result[0])

    def nearest(self, wanted: NDArray[np.float16], count: int, without: Container[int] = ()) -> list[tuple[float, int]]:
        """Return cosine similarity and number of about the `count` most similar faces, in no order.

        Those of photos `without` are left out. Where there are cells a few of the most similar ones may lie in others
        than are looked at.
        """
        rows, cosines = self._around(wanted)
        some = min(count, len(rows))
        if not some:
            return []
        best = np.argpartition(-cosines, some - 1)[:some]
        photo_ids = self.photo_ids[rows[best]].tolist()
        found = zip(cosines[best].tolist(), self.face_ids[rows[best]].tolist(), photo_ids, strict=True)
        return [(cosine, face_id) for cosine, face_id, photo_id in found if photo_id not in without]

    def _around(self, wanted: NDArray[np.float16]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows that an embedding is compared with, and their cosine similarities."""
        if self.centroids is None or self.starts is None or len(self.centroids) <= _PROBES:
            return np.arange(len(self.face_ids)), self.cosines(wanted)
        likely = self.centroids @ wanted.astype(np.float32)
        rows, cosines = [], []
        for cell in np.argpartition(-likely, _PROBES)[:_PROBES].tolist():
            first, last = int(self.starts[cell]), int(self.starts[cell + 1])
            if first < last:
                of_cell = np.empty((1, last - first), np.float32)
                # One thread: a cell is done before a second one has begun.
                simsimd.cdist(wanted[None], self.vectors[first:last], metric="inner", out=of_cell, threads=1)
                rows.append(np.arange(first, last))
                cosines.append(of_cell[0])
        return np.concatenate(rows), np.concatenate(cosines)


class VectorFile:
    """The file beside a database's file."""

    def __init__(self, database_file: Path) -> None:
        self.path = database_file.with_name(database_file.name + SUFFIX)
        self._database_file = database_file
        self._inode = 0  # of the file that was mapped last

    def was_replaced(self) -> bool:
        """Return whether the file is gone, or another process has written a new one since it was mapped."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    def paths(self) -> list[Path]:
        """Return the file, and what is left of files whose writer was killed."""
        parts = self.path.parent.glob(f"{glob.escape(self.path.name)}.*.part")
        return [file for file in (self.path, *sorted(parts)) if file.exists()]

    def load(self, dimension: int) -> Embeddings | None:
        """Map the file; None if there is none of this format and dimension, or it is damaged."""
        try:
            with self.path.open("rb") as stream:
                self._inode = os.fstat(stream.fileno()).st_ino
                header = json.loads(stream.read(_HEADER))
            rows = int(header["rows"])
            if header["format"] != _FORMAT or header["dimension"] != dimension or not rows:
                return None
            cells = int(header["cells"])
            if self.path.stat().st_size != _HEADER + rows * (17 + 2 * dimension) + _size_of_cells(cells, dimension):
                return None
            return self._map(rows, dimension, cells, tuple(header["versions"]), State(*header["state"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, embeddings: Embeddings) -> Embeddings:
        """Write the file, whole or not at all, and map it; return the arrays as they are if it cannot be written."""
        rows, dimension = embeddings.vectors.shape
        if not rows:
            return embeddings
        content: dict[str, Any] = {
            "format": _FORMAT,
            "dimension": dimension,
            "rows": rows,
            "cells": 0 if embeddings.centroids is None else len(embeddings.centroids),
            "versions": embeddings.names,
            "state": embeddings.state,
        }
        header = json.dumps(content).encode()
        if len(header) > _HEADER:
            return embeddings
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            # Readable by the same people as the database.
            mode = self._database_file.stat().st_mode & 0o777
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:  # noqa: PTH123
                stream.write(header.ljust(_HEADER))
                for column in (embeddings.face_ids, embeddings.photo_ids, embeddings.vectors, embeddings.versions):
                    stream.write(np.ascontiguousarray(column).data)
                if embeddings.centroids is not None and embeddings.starts is not None:
                    stream.write(embeddings.centroids.astype("<f4").data)
                    stream.write(embeddings.starts.astype("<i8").data)
            temporary.replace(self.path)
            self._inode = self.path.stat().st_ino
            return self._map(rows, dimension, content["cells"], embeddings.names, embeddings.state)
        except OSError as error:
            log.info("%s: the matrix of embeddings is not stored (%s)", self.path, error)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return embeddings

    def _map(self, rows: int, dimension: int, cells: int, names: tuple[str, ...], state: State) -> Embeddings:
        offset = _HEADER
        columns = []
        for dtype, shape in (("<i8", (rows,)), ("<i8", (rows,)), ("<f2", (rows, dimension)), ("u1", (rows,))):
            # As a plain array: taking parts of one of NumPy's own kind for files takes several times as long.
            columns.append(np.asarray(np.memmap(self.path, dtype, "r", offset, shape)))
            offset += columns[-1].nbytes
        found = Embeddings(columns[0], columns[1], columns[3], columns[2], names, state)
        if not cells:
            return found
        with self.path.open("rb") as stream:
            stream.seek(offset)
            centroids = np.frombuffer(stream.read(4 * cells * dimension), "<f4").reshape(cells, dimension)
            starts = np.frombuffer(stream.read(8 * (cells + 1)), "<i8")
        return found._replace(centroids=centroids, starts=starts)


def _size_of_cells(cells: int, dimension: int) -> int:
    """Return how many bytes an inverted file takes."""
    return 4 * cells * dimension + 8 * (cells + 1) if cells else 0
