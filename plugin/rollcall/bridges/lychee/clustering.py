"""Groups of similar embeddings: average linkage, among faces that a chain of similar ones connects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

#: Rows that are compared with all others at once.
_BLOCK: Final = 1024
#: Average linkage compares all pairs of a connected set; a larger set is taken apart first.
_LARGEST: Final = 3000
_STEP: Final = 0.05


def cluster(vectors: Vectors, similarity: float, smallest: int = 1) -> list[int]:
    """Return a label for each vector: 0 and up in the order of appearance, -1 in a group of less than `smallest`.

    Two groups are merged while their faces' mean cosine similarity is at least `similarity`, the most similar first.
    Such groups are always connected by single pairs that are at least as similar, so only those sets are looked into.

    Parameters
    ----------
    vectors
        (n, d), of any length.
    similarity
        Cosine similarity, below 1.
    smallest
        How many faces a group has at least.
    """
    count = len(vectors)
    if not count:
        return []
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    labels = np.full(count, -1)
    groups = [
        group for part in _connected(unit, np.arange(count), similarity) for group in _linked(unit, part, similarity)
    ]
    kept = sorted((group for group in groups if len(group) >= smallest), key=lambda group: int(group.min()))
    for label, group in enumerate(kept):
        labels[group] = label
    return [int(label) for label in labels]


def _connected(unit: Vectors, rows: NDArray[np.intp], similarity: float) -> Iterator[NDArray[np.intp]]:
    """Yield the sets of rows that chains of similar pairs connect, each of at most `_LARGEST`."""
    parent = np.arange(len(rows))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = int(parent[one])
        return one

    for start in range(0, len(rows), _BLOCK):
        block = unit[rows[start : start + _BLOCK]] @ unit[rows].T
        for here, there in zip(*np.nonzero(block >= similarity), strict=True):
            a, b = root(start + int(here)), root(int(there))
            if a != b:
                parent[max(a, b)] = min(a, b)
    roots = np.array([root(one) for one in range(len(rows))])
    for value in np.unique(roots):
        part = rows[roots == value]
        if len(part) <= _LARGEST or similarity + _STEP >= 1:
            yield part
        else:
            yield from _connected(unit, part, similarity + _STEP)


def _linked(unit: Vectors, rows: NDArray[np.intp], similarity: float) -> list[NDArray[np.intp]]:
    """Return a connected set in groups, by average linkage."""
    if len(rows) == 1:
        return [rows]
    means = (unit[rows] @ unit[rows].T).astype(np.float64)
    np.fill_diagonal(means, -np.inf)
    sizes = np.ones(len(rows))
    members = [[int(row)] for row in rows]
    best = means.argmax(axis=1)
    while True:
        values = means[np.arange(len(rows)), best]
        one = int(values.argmax())
        if values[one] < similarity:
            return [np.array(group) for group in members if group]
        other = int(best[one])
        merged = (means[one] * sizes[one] + means[other] * sizes[other]) / (sizes[one] + sizes[other])
        means[one], means[:, one] = merged, merged
        means[other], means[:, other] = -np.inf, -np.inf
        means[one, one] = -np.inf
        sizes[one] += sizes[other]
        members[one] += members[other]
        members[other] = []
        # Only rows whose most similar group was one of the two may have another one now.
        changed = np.flatnonzero((best == one) | (best == other))
        best[changed] = means[changed].argmax(axis=1)
        best[one] = means[one].argmax()
        nearer = means[:, one] > means[np.arange(len(rows)), best]
        best[nearer] = one
