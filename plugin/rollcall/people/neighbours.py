"""The nearest neighbours of embeddings: exact in small libraries, by an inverted file in large ones.

An inverted file divides the embeddings into cells around centroids, and compares with the nearest cells only: products
of matrices, which need no package beside NumPy, and the same result on every machine and in every run.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Up to this many embeddings all are compared with all.
EXACT: Final = 4_000
#: Cells that each embedding is compared with.
PROBES: Final = 16
#: Rows of one product.
_BLOCK: Final = 2048
_ROUNDS: Final = 4
_SAMPLES: Final = 48


class Neighbours(NamedTuple):
    """For each of n embeddings its k nearest, the most similar first."""

    faces: NDArray[np.int32]  # (n, k); -1 where there are fewer
    cosine: NDArray[np.float32]  # (n, k); -1 there


class Cells(NamedTuple):
    """An inverted file: centroids, and the embeddings of each in one piece."""

    centroids: NDArray[np.float32]  # (c, d)
    order: NDArray[np.int64]  # (n,), the embeddings by cell
    starts: NDArray[np.int64]  # (c + 1,)

    def members(self, cell: int) -> NDArray[np.int64]:
        """Return the embeddings of a cell."""
        return self.order[self.starts[cell] : self.starts[cell + 1]]


def neighbours(vectors: NDArray[np.floating], k: int) -> Neighbours:
    """Return the `k` nearest neighbours of each of n embeddings of unit length, (n, d), without itself."""
    n = len(vectors)
    found = Neighbours(np.full((n, k), -1, np.int32), np.full((n, k), -1, np.float32))
    if n <= EXACT:
        everything = np.arange(n)
        for start in range(0, n, _BLOCK):
            _merge(found, vectors, everything[start : start + _BLOCK], everything)
    else:
        cells = divide(vectors)
        rows, starts = _probes(vectors, cells)
        for cell in range(len(cells.centroids)):
            wanted, members = rows[starts[cell] : starts[cell + 1]], cells.members(cell)
            for start in range(0, len(wanted), _BLOCK):
                _merge(found, vectors, wanted[start : start + _BLOCK], members)
    order = np.argsort(-found.cosine, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(found.faces, order, 1), np.take_along_axis(found.cosine, order, 1))


def divide(vectors: NDArray[np.floating]) -> Cells:
    """Return an inverted file of embeddings, (n, d): spherical k-means with about the square root of n cells."""
    n = len(vectors)
    count = max(2 ** int(np.ceil(np.log2(np.sqrt(n)))), 1)
    random = np.random.default_rng(0)
    centroids = np.asarray(vectors[np.sort(random.choice(n, count, replace=False))], np.float32)
    sample = np.asarray(vectors[np.sort(random.choice(n, min(n, count * _SAMPLES), replace=False))], np.float32)
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centroids)
        sums = np.zeros_like(centroids)
        by_cell = np.argsort(nearest, kind="stable")
        filled, first = np.unique(nearest[by_cell], return_index=True)
        sums[filled] = np.add.reduceat(sample[by_cell], first, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centroids)
    home = _nearest(vectors, centroids)
    order = np.argsort(home, kind="stable")
    return Cells(centroids, order, np.searchsorted(home[order], np.arange(count + 1)))


def _nearest(vectors: NDArray[np.floating], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    found = [
        (np.asarray(vectors[start : start + _BLOCK], np.float32) @ centroids.T).argmax(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _probes(vectors: NDArray[np.floating], cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each cell which embeddings it is compared with: rows, and where those of each cell start."""
    count = len(cells.centroids)
    probes = min(PROBES, count)
    wanted = np.empty((len(vectors), probes), np.int32)
    for start in range(0, len(vectors), _BLOCK):
        part = np.asarray(vectors[start : start + _BLOCK], np.float32) @ cells.centroids.T
        wanted[start : start + _BLOCK] = np.argpartition(-part, probes - 1, axis=1)[:, :probes]
    order = np.argsort(wanted, axis=None, kind="stable")
    starts = np.searchsorted(wanted.ravel()[order], np.arange(count + 1))
    return order // probes, starts


def _merge(
    found: Neighbours, vectors: NDArray[np.floating], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> None:
    """Compare some embeddings with others, and keep the nearest found so far."""
    k = found.faces.shape[1]
    if not len(rows) or not len(others):
        return
    cosines = np.asarray(vectors[rows], np.float32) @ np.asarray(vectors[others], np.float32).T
    cosines[rows[:, None] == others[None]] = -1.0
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
