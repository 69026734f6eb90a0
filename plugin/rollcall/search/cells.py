"""An inverted file of embeddings: cells around centroids, so that one is compared with those of the nearest cells only.

Products of matrices, which need no package beside NumPy, and give the same result on every machine and in every run.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

#: Rows of one product.
_BLOCK: Final = 2048
_ROUNDS: Final = 4
#: Embeddings that each centroid is computed from.
_SAMPLES: Final = 48


class Matrix(Protocol):
    """Rows of numbers that are taken by slices and arrays of their numbers: an array, or some rows of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...


class Cells(NamedTuple):
    """An inverted file: centroids, and the embeddings of each in one piece."""

    centroids: NDArray[np.float32]  # (c, d)
    order: NDArray[np.int64]  # (n,), the embeddings by cell
    starts: NDArray[np.int64]  # (c + 1,)

    def members(self, cell: int) -> NDArray[np.int64]:
        """Return the embeddings of a cell."""
        return self.order[self.starts[cell] : self.starts[cell + 1]]


def divide(vectors: Matrix, count: int) -> Cells:
    """Return an inverted file of n embeddings of unit length, (n, d): spherical k-means with `count` cells."""
    n = len(vectors)
    random = np.random.default_rng(0)
    centroids = np.asarray(vectors[np.sort(random.choice(n, count, replace=False))], np.float32)
    sample = np.asarray(vectors[np.sort(random.choice(n, min(n, count * _SAMPLES), replace=False))], np.float32)
    for _ in range(_ROUNDS):
        nearest = nearest_centroids(sample, centroids)
        sums = np.zeros_like(centroids)
        by_cell = np.argsort(nearest, kind="stable")
        filled, first = np.unique(nearest[by_cell], return_index=True)
        sums[filled] = np.add.reduceat(sample[by_cell], first, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centroids)
    home = nearest_centroids(vectors, centroids)
    order = np.argsort(home, kind="stable")
    return Cells(centroids, order, np.searchsorted(home[order], np.arange(count + 1)))


def nearest_centroids(vectors: Matrix, centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each of n embeddings the number of the centroid that is most similar, (n,)."""
    found = [
        (np.asarray(vectors[start : start + _BLOCK], np.float32) @ centroids.T).argmax(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
