"""Who of the people with a name some faces are, or none of them: a conditional logit model over all of them.

Each person has a score, nobody of them has zero, and the probabilities are in proportion to the scores' exponentials
(McFadden 1974). So a face between two people is less likely either, and a person who was answered with no leaves
their share to the others. The weights are fitted by `benchmarks/fit_questions.py` on one half of the training people,
with and without strangers of LFW among them, after names were typed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.people.evidence import stored_constants

#: Faces and groups of nobody up to which the number of strangers counts nothing.
FEW: Final = 50
#: The most similar faces of a person whose mean similarity counts.
_NEAREST: Final = 3
_TINY: Final = 1e-9
#: Of the direction in which faces spread the most: squarings of their covariance, products with it at most, and by how
#: much less than one the cosine of two of these is at the end.
_SQUARINGS: Final = 4
_POWERS: Final = 60
_STILL: Final = 1e-7


class Weights(NamedTuple):
    """What each thing that is known of faces and a person adds to the person's score."""

    cosine: float  # with the centre of the person's faces
    length: float  # of the mean of these: faces that are unlike each other are a centre further away from everyone
    nearest: float  # the mean cosine with the most similar of them
    size: float  # the natural logarithm of how many they are: among more there is always one that is similar
    strangers: float  # of each natural logarithm of more faces and groups of nobody than `FEW`
    group: float  # of each natural logarithm of how many faces are asked about: linkage had more to go by
    constant: float
    own: float  # for the person whose they are now


#: Of faces and groups of nobody.
JOIN: Final = Weights(**stored_constants()["join"])
#: Of faces that are taken for somebody.
CHECK: Final = Weights(**stored_constants()["check"])


class Person(NamedTuple):
    """The faces of one person."""

    rows: NDArray[np.int64]  # (n,)
    mean: NDArray[np.float32]  # (d,) of their embeddings
    exact: NDArray[np.float32] | None  # (n, d) these, if they are kept so


class People:
    """The people with a name, as arrays; a person is named by the place in `numbers`."""

    def __init__(self, vectors: NDArray[np.floating], members: dict[int, Person]) -> None:
        self.vectors = vectors
        self.numbers = np.array(list(members), np.int64)
        self.members = list(members.values())
        self.rows = [one.rows for one in self.members]
        self.sizes = np.array([len(rows) for rows in self.rows], np.int64)
        means = np.stack([one.mean for one in self.members])
        self.lengths = np.linalg.norm(means, axis=1)
        self.centres = means / np.maximum(self.lengths[:, None], _TINY)

    def exact(self, person: int) -> NDArray[np.float32]:
        """Return the embeddings of a person's faces, (n, d)."""
        kept = self.members[person].exact
        return np.asarray(self.vectors[self.rows[person]], np.float32) if kept is None else kept

    def nearest(self, person: int, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean similarity of m centres, (m, d), to the faces of a person that are most similar to each."""
        similar = centres @ self.exact(person).T
        count = min(_NEAREST, similar.shape[1])
        return np.asarray(np.partition(similar, -count, axis=1)[:, -count:].mean(axis=1))

    def scores(self, weights: Weights, similar: NDArray[np.float32], strangers: float) -> NDArray[np.float32]:
        """Return the scores of all p people, (m, p), by their cosines (m, p), without the most similar faces."""
        of_each = weights.length * self.lengths + weights.size * np.log(self.sizes) + weights.constant
        found = np.float32(weights.cosine) * np.asarray(similar, np.float32)
        return np.asarray(found + (of_each + weights.strangers * strangers).astype(np.float32))


def strangers(parts: int) -> float:
    """Return what a number of faces and groups of nobody counts in the models."""
    return float(np.log(max(parts / FEW, 1.0)))


def probabilities(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of each person from their scores, (..., p); what they lack of one is nobody's."""
    most = np.maximum(scores.max(axis=-1, keepdims=True), np.float32(0.0))
    shares = np.exp(scores - most)
    return np.asarray(shares / (shares.sum(axis=-1, keepdims=True) + np.exp(-most)))


def centres_of(
    vectors: NDArray[np.floating], order: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the means, of unit length, (k, d), of k parts: the faces of `order` from each of the places `starts`."""
    sums = np.add.reduceat(np.asarray(vectors[order], np.float32), starts, axis=0)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _TINY))


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector in unit length."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), _TINY))


def widest(spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the direction, (d,), in which points around their mean, (n, d), spread the most.

    By power iteration, which the first squarings shorten; the direction begins as the point furthest from the mean.
    """
    matrix = spread.T @ spread
    for _ in range(_SQUARINGS):
        matrix = matrix / max(float(np.abs(matrix).max()), _TINY)
        matrix = matrix @ matrix
    direction = unit(spread[np.einsum("nd,nd->n", spread, spread).argmax()])
    for _ in range(_POWERS):
        before, direction = direction, unit(np.asarray(matrix @ direction, np.float32))
        if float(before @ direction) > 1.0 - _STILL:
            break
    return direction
