"""The nearest neighbours of embeddings: exact in small libraries, by an inverted file in large ones.

An inverted file divides the embeddings into cells around centroids, and compares with the nearest cells only: products
of matrices, which need no package beside NumPy, and the same result on every machine and in every run.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.search.cells import Cells, Matrix, divide

#: Up to this many embeddings all are compared with all.
EXACT: Final = 4_000
#: Cells that each embedding is compared with.
PROBES: Final = 16
#: Rows of one product.
_BLOCK: Final = 2048
#: Embeddings whose cells are held at a time, so that memory does not grow with all of them.
_PORTION: Final = 1 << 17


class Chosen:
    """Some rows of a matrix, of which no copy is made."""

    def __init__(self, matrix: NDArray[np.floating], rows: NDArray[np.int64]) -> None:
        self.matrix, self.rows = matrix, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        return np.asarray(self.matrix[self.rows[rows]])


class Neighbours(NamedTuple):
    """For each of n embeddings its k nearest, the most similar first."""

    faces: NDArray[np.int32]  # (n, k); -1 where there are fewer
    cosine: NDArray[np.float32]  # (n, k); -1 there


def neighbours(vectors: Matrix, k: int) -> Neighbours:
    """Return the `k` nearest neighbours of each of n embeddings of unit length, (n, d), without itself."""
    n = len(vectors)
    found = Neighbours(np.full((n, k), -1, np.int32), np.full((n, k), -1, np.float32))
    if n <= EXACT:
        everything = np.arange(n)
        for start in range(0, n, _BLOCK):
            _merge(found, vectors, everything[start : start + _BLOCK], everything)
    else:
        cells = cells_of(vectors)
        for start in range(0, n, _PORTION):
            rows, starts = _probes(vectors, start, min(start + _PORTION, n), cells)
            for cell in range(len(cells.centroids)):
                wanted, members = rows[starts[cell] : starts[cell + 1]], cells.members(cell)
                for first in range(0, len(wanted), _BLOCK):
                    _merge(found, vectors, wanted[first : first + _BLOCK], members)
    for start in range(0, n, _PORTION):
        some = slice(start, start + _PORTION)
        order = np.argsort(-found.cosine[some], axis=1, kind="stable")
        found.faces[some] = np.take_along_axis(found.faces[some], order, 1)
        found.cosine[some] = np.take_along_axis(found.cosine[some], order, 1)
    return found


def cells_of(vectors: Matrix) -> Cells:
    """Return an inverted file of embeddings, (n, d), with about the square root of n cells."""
    return divide(vectors, max(2 ** int(np.ceil(np.log2(np.sqrt(len(vectors))))), 1))


def _probes(vectors: Matrix, start: int, stop: int, cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each cell which of some embeddings it is compared with: rows, and where those of each cell start."""
    count = len(cells.centroids)
    probes = min(PROBES, count)
    wanted = np.empty((stop - start, probes), np.int32)
    for first in range(start, stop, _BLOCK):
        rows = slice(first, min(first + _BLOCK, stop))
        part = np.asarray(vectors[rows], np.float32) @ cells.centroids.T
        wanted[first - start : rows.stop - start] = np.argpartition(-part, probes - 1, axis=1)[:, :probes]
    order = np.argsort(wanted, axis=None, kind="stable")
    starts = np.searchsorted(wanted.ravel()[order], np.arange(count + 1))
    return start + order // probes, starts


def _merge(found: Neighbours, vectors: Matrix, rows: NDArray[np.int64], others: NDArray[np.int64]) -> None:
    """Compare some embeddings with others, both ascending, and keep the nearest found so far."""
    k = found.faces.shape[1]
    if not len(rows) or not len(others):
        return
    cosines = np.asarray(vectors[rows], np.float32) @ np.asarray(vectors[others], np.float32).T
    place = np.minimum(np.searchsorted(others, rows), len(others) - 1)
    itself = np.flatnonzero(others[place] == rows)
    cosines[itself, place[itself]] = -1.0
    best = _best(cosines, k)
    index = np.concatenate([found.faces[rows], others[best].astype(np.int32)], axis=1)
    cosine = np.concatenate([found.cosine[rows], np.take_along_axis(cosines, best, 1)], axis=1)
    index[cosine <= -1.0] = -1
    keep = _best(cosine, k)
    found.faces[rows], found.cosine[rows] = np.take_along_axis(index, keep, 1), np.take_along_axis(cosine, keep, 1)


def _best(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the columns of the `k` highest values of each row, in any order."""
    columns = values.shape[1]
    if columns <= k:
        return np.broadcast_to(np.arange(columns), values.shape)
    return np.argpartition(-values, k - 1, axis=1)[:, :k]
