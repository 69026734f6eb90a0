"""Scores of groupings of faces, and the common methods that they are compared with."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class GroupingScores(NamedTuple):
    """How well groups of faces agree with who the faces are; all but the counts are shares, 0..1."""

    faces: int
    people: int
    groups: int  # of at least two faces
    alone: int  # faces in no group
    precision: float  # B-cubed: of whom a face is grouped with, itself included, how many are the same person
    recall: float  # B-cubed: of a person's faces, how many a face is grouped with
    f: float  # B-cubed: the harmonic mean of the two
    pair_precision: float
    pair_recall: float
    purity: float  # faces that are who most of their group are
    groups_each: float  # groups that hold the faces of a person with at least two, on average


def grouping_scores(groups: Int[np.ndarray, " n"], people: Int[np.ndarray, " n"]) -> GroupingScores:
    """Return the scores of a grouping against the labels (Bagga and Baldwin 1998; Amigó et al. 2009 for B-cubed)."""
    _, group = np.unique(groups, return_inverse=True)
    _, person = np.unique(people, return_inverse=True)
    n = len(group)
    both = group.astype(np.int64) * (int(person.max(initial=0)) + 1) + person
    _, cell, together = np.unique(both, return_inverse=True, return_counts=True)
    of_group, of_person = np.bincount(group), np.bincount(person)
    shared = together[cell]
    precision, recall = float((shared / of_group[group]).mean()), float((shared / of_person[person]).mean())
    pairs = float((together * (together - 1) / 2).sum())
    grouped = float((of_group * (of_group - 1) / 2).sum())
    same = float((of_person * (of_person - 1) / 2).sum())
    largest = np.zeros(len(of_group), np.int64)
    np.maximum.at(largest, group, shared)
    several = of_person[person] > 1
    spread = Counter(int(one) for one, _ in {*zip(person[several].tolist(), group[several].tolist(), strict=True)})
    return GroupingScores(
        faces=n,
        people=len(of_person),
        groups=int((of_group > 1).sum()),
        alone=int((of_group == 1).sum()),
        precision=precision,
        recall=recall,
        f=2 * precision * recall / (precision + recall),
        pair_precision=pairs / grouped if grouped else 1.0,
        pair_recall=pairs / same if same else 1.0,
        purity=float(largest.sum() / n),
        groups_each=float(np.mean(list(spread.values()))) if spread else 0.0,
    )


def _near(vectors: Float[np.ndarray, "n d"], cosine: float) -> list[Int[np.ndarray, " k"]]:
    """Return for each embedding those that are at least as similar, itself left out."""
    found = []
    for row in range(len(vectors)):
        similar = vectors @ vectors[row] >= cosine
        similar[row] = False
        found.append(np.flatnonzero(similar))
    return found


def dbscan(vectors: Float[np.ndarray, "n d"], cosine: float, least: int = 3) -> Int[np.ndarray, " n"]:
    """Return the groups of DBSCAN (Ester et al. 1996) over cosine similarities; noise is alone.

    A face is dense with at least `least` faces, itself included, of a cosine similarity of at least `cosine`.
    """
    near = _near(vectors, cosine)
    dense: Bool[np.ndarray, " n"] = np.array([len(one) + 1 >= least for one in near])
    labels = np.full(len(vectors), -1, np.int64)
    for start in np.flatnonzero(dense).tolist():
        if labels[start] >= 0:
            continue
        waiting, labels[start] = [start], start
        while waiting:
            face = waiting.pop()
            for other in near[face].tolist() if dense[face] else ():
                if labels[other] < 0:
                    labels[other] = start
                    waiting.append(other)
    return np.where(labels < 0, len(vectors) + np.arange(len(vectors)), labels)


def chinese_whispers(vectors: Float[np.ndarray, "n d"], cosine: float, rounds: int = 20) -> Int[np.ndarray, " n"]:
    """Return the groups of chinese whispers (Biemann 2006): each face takes the heaviest label around it, in turn."""
    near = _near(vectors, cosine)
    labels = np.arange(len(vectors))
    random = np.random.default_rng(0)
    for _ in range(rounds):
        before = labels.copy()
        for face in random.permutation(len(vectors)).tolist():
            if len(near[face]):
                weights = vectors[near[face]] @ vectors[face]
                around, inverse = np.unique(labels[near[face]], return_inverse=True)
                labels[face] = around[np.bincount(inverse, weights).argmax()]
        if (labels == before).all():
            break
    return labels


def average_linkage(vectors: Float[np.ndarray, "n d"], cosine: float) -> Int[np.ndarray, " n"]:
    """Return the groups of average linkage: the most similar two are merged while their mean cosine is `cosine`."""
    n = len(vectors)
    similar = (vectors @ vectors.T).astype(np.float64)
    np.fill_diagonal(similar, -np.inf)
    sizes, labels = np.ones(n), np.arange(n)
    best = similar.argmax(axis=1)
    value = similar[np.arange(n), best]
    while n > 1:
        a = int(value.argmax())
        b = int(best[a])
        if value[a] < cosine:
            break
        merged = (sizes[a] * similar[a] + sizes[b] * similar[b]) / (sizes[a] + sizes[b])
        merged[[a, b]] = -np.inf
        similar[a], similar[:, a], similar[b], similar[:, b] = merged, merged, -np.inf, -np.inf
        sizes[a] += sizes[b]
        labels[labels == b] = a
        value[b] = -np.inf
        stale = np.flatnonzero((best == a) | (best == b) | (merged > value))
        for row in {a, *stale[value[stale] > -np.inf].tolist()}:
            best[row] = similar[row].argmax()
            value[row] = similar[row, best[row]]
    return labels
