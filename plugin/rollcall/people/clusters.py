"""Group faces by arrays alone: from embeddings, photos, ages and dates to a group for each face.

Confident faces are smoothed with their likely neighbours, then linked by average linkage; weak ones are attached last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.people.evidence import Births, Evidence, combined, evidence, misfit
from rollcall.people.linkage import UNKNOWN, Groups, link, numbered
from rollcall.people.neighbours import Chosen, neighbours
from rollcall.search import nuisance
from rollcall.search.cells import Matrix

#: Neighbours of each face: smoothing uses them all, and groups are compared along them.
NEIGHBOURS: Final = 10
#: Neighbours that groups of a large library are compared along at first.
_NEAREST: Final = 2
#: The least similarity of faces between which groups are compared.
_EDGE: Final = 0.2
_BLOCK: Final = 4096
#: Similarities that are held at a time.
_SIMILARITIES: Final = 1 << 22
#: Faces that are smoothed at a time: each takes the embeddings of its neighbours.
_SMOOTHED: Final = 1024
#: Smoothed embeddings of more faces than this are kept in 16 bits.
_PRECISE: Final = 100_000
#: The cosine from which a rejected face speaks for another one, too, and by how much it has to exceed that with every
#: confirmed one.
_SPEAKS: Final = 0.45
_NEARER: Final = 0.1
#: Faces of a group that its age and birth date are computed from.
_DATED: Final = 200


@dataclass
class Faces:
    """What grouping needs of n faces; unknown ages and dates are NaN."""

    vectors: NDArray[np.floating]  # (n, d), unit length
    photos: NDArray[np.int64]  # (n,)
    ages: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))  # (n,) estimated years
    births: Births | None = None  # of each face
    weak: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))  # (n,)
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,) people whom faces are
    rejected: Sequence[frozenset[int]] = ()  # (n,) people whom faces are not
    known_births: dict[int, Births] = field(default_factory=dict)  # by label, of people with a date
    # `rejected`, and (n,) of which faces there is anything in it, where that is known
    _answered: tuple[Sequence[frozenset[int]], NDArray[np.bool_]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        n = len(self.vectors)
        if not len(self.ages):
            self.ages = np.full(n, np.nan, np.float32)
        if not len(self.weak):
            self.weak = np.zeros(n, np.bool_)
        if not len(self.labels):
            self.labels = np.full(n, UNKNOWN, np.int64)
        if self.births is None:
            self.births = Births(np.zeros(n), np.full(n, np.inf))
        self.rejected = self.rejected or [frozenset()] * n

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Return whether anybody said of faces whom they are not, (n,)."""
        if self._answered is not None and self._answered[0] is self.rejected:
            return self._answered[1]
        found = np.zeros(len(self.rejected), np.bool_)
        found[np.fromiter(compress(range(len(self.rejected)), self.rejected), np.int64)] = True
        return found

    @answered.setter
    def answered(self, known: NDArray[np.bool_]) -> None:
        self._answered = self.rejected, known


@dataclass
class Clustered:
    """The groups of n faces."""

    group: NDArray[np.int64]  # (n,), -1: in no group; a face that is alone is in none
    probability: NDArray[np.float64]  # (n,) that a face belongs to its group; 1 of confirmed faces


def cluster(faces: Faces, constants: Evidence | None = None, people: int | None = None) -> Clustered:
    """Return the groups of faces, each of at least two, or of one that is confirmed.

    `people` is about how many people the library shows; without it they are counted among these faces.
    """
    constants = constants or evidence()
    answered = faces.answered
    faces = replace(faces, rejected=implied(faces))
    strong = np.flatnonzero(~faces.weak | (faces.labels != UNKNOWN))
    part = _Part(faces, strong)
    smooth, edges = _neighbourhood(part, constants)
    # Whom a face is not, its group is not: among the first, it would keep all that it is like from that person.
    late = answered[strong] & (part.labels == UNKNOWN)
    groups = Groups(smooth, part.photos, part.labels, part.rejected)
    penalty = _Penalty(groups, part, constants)
    if len(strong) > _PRECISE:
        # Most of what is very similar is linked along few edges, so that there are never many pairs of groups.
        link(groups, _without(edges[:, :_NEAREST], late), constants.most, penalty, constants.small)
    link(groups, _without(edges, late), constants.most, penalty, constants.small)
    threshold = constants.threshold(people or groups.count())
    link(groups, _without(edges, late), threshold, penalty, constants.small)
    if late.any():
        link(groups, edges, threshold, penalty, constants.small)
    del edges
    found = Clustered(np.full(len(faces.vectors), -1, np.int64), np.zeros(len(faces.vectors)))
    number = np.full(len(strong) + 1, -1, np.int64)
    number[_worth(groups)] = np.arange(len(_worth(groups)))
    for label in np.unique(part.labels[part.labels != UNKNOWN]):
        # What was linked apart is one person all the same.
        same = np.unique(groups.group[part.labels == label])
        number[same] = number[same[0]]
    found.group[strong] = number[groups.group]
    _rate(found, groups, strong, constants)
    evicted = sorted(groups.evicted)
    # What is left of the linkage is large.
    del groups, penalty, part, smooth
    # Linkage has looked at the others, and found no group for them.
    tried = np.ones(len(faces.vectors), np.bool_)
    tried[faces.weak] = False
    tried[strong[evicted]] = False
    left = np.flatnonzero((found.group < 0) & ~tried)
    if len(left) and found.group.max(initial=-1) >= 0:
        _attach(faces, found, left, constants)
    return found


def implied(faces: Faces) -> Sequence[frozenset[int]]:
    """Return the people whom faces are not, (n,): with those whose rejected faces they are much nearer to.

    Nobody looked at these faces, but at some like them. A face is compared with the rejected and the confirmed faces of
    each person; a confirmed one is whom a person said.
    """
    answered: dict[int, list[int]] = {}
    for row, some in enumerate(faces.rejected):
        for label in some:
            answered.setdefault(label, []).append(row)
    if not answered:
        return faces.rejected
    rejected = list(faces.rejected)
    for label, rows in answered.items():
        ours = np.flatnonzero(faces.labels == label)
        if not len(ours):
            continue
        no, yes = np.asarray(faces.vectors[rows], np.float32), np.asarray(faces.vectors[ours], np.float32)
        for start in range(0, len(faces.vectors), _BLOCK):
            vectors = np.asarray(faces.vectors[start : start + _BLOCK], np.float32)
            against = (vectors @ no.T).max(axis=1)
            near = (against >= _SPEAKS) & (against >= (vectors @ yes.T).max(axis=1) + _NEARER)
            near &= faces.labels[start : start + _BLOCK] == UNKNOWN
            for row in (start + np.flatnonzero(near)).tolist():
                rejected[row] = rejected[row] | {label}
    return rejected


def _without(edges: NDArray[np.int32], late: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return edges (n, k) without those of some of the faces, which are -1."""
    if not late.any():
        return edges
    return np.where(late[:, None] | late[np.maximum(edges, 0)], np.int32(-1), edges)


class _Part:
    """The columns of some of the faces."""

    def __init__(self, faces: Faces, rows: NDArray[np.int64]) -> None:
        assert faces.births is not None
        self.vectors = faces.vectors if len(rows) == len(faces.vectors) else Chosen(faces.vectors, rows)
        self.photos = numbered(_taken(faces.photos, rows))
        self.ages, self.labels = _taken(faces.ages, rows), _taken(faces.labels, rows)
        self.dimension = faces.vectors.shape[1]
        self.births = Births(*(_taken(column, rows) for column in faces.births))
        self.rejected = {i: some for i, row in enumerate(rows) if (some := faces.rejected[row])}
        if faces.known_births:
            self.births = Births(*(column.copy() for column in self.births))
        for label, birth in faces.known_births.items():
            # What a person stated of a birth date is known of each face of theirs.
            self.births.mean[self.labels == label] = birth.mean
            self.births.deviation[self.labels == label] = birth.deviation


def _taken(column: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return some rows of a column, ascending; the column itself, not to be written to, if these are all."""
    return column if len(rows) == len(column) else column[rows]


class _Penalty:
    """What the ages and birth dates of two groups take from their similarity."""

    def __init__(self, groups: Groups, part: _Part, constants: Evidence) -> None:
        self.groups, self.constants, self._faces = groups, constants, part
        # Of a group of one face they are those of the face, so only the others have a row: size, age, birth, deviation.
        # One for each number, as a group that fell apart keeps its own: zeros take no memory before they are written.
        self._row = np.full(len(part.ages), -1, np.int32)
        self._rows, self._used = np.zeros((len(part.ages), 4)), 0

    def __call__(self, a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.float64]:
        both = np.concatenate([a, b])
        found = self._of(both)
        grown = np.unique(both[found[0] != self.groups.sizes[both]])
        if len(grown):
            for group in grown.tolist():
                self._refresh(group)
            found = self._of(both)
        of_a, of_b = found[:, : len(a)], found[:, len(a) :]
        adult = self.constants.impostor_mean[-1]
        # Smoothing brings faces nearer, so what age takes from a cosine counts as much here.
        ages = adult - self.constants.adult_equivalent(np.full(len(a), adult), of_a[1], of_b[1])
        few = self.constants.small / np.sqrt(of_a[0] * of_b[0])
        return np.asarray(ages + few + misfit(*of_a[2:], *of_b[2:]))

    def _of(self, groups: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return size, age, birth date and its deviation of m groups as they were last computed, (4, m)."""
        rows, births = self._row[groups], self._faces.births
        found = np.empty((4, len(groups)))
        found[0], found[1] = 1.0, self._faces.ages[groups]
        found[2], found[3] = births.mean[groups], births.deviation[groups]
        several = np.flatnonzero(rows >= 0)
        found[:, several] = self._rows[rows[several]].T
        return found

    def _refresh(self, group: int) -> None:
        """Compute age and birth date again of a group that has grown."""
        births, faces = self._faces.births, self.groups.faces(group)[:_DATED]
        if self._row[group] < 0:
            self._row[group] = self._used
            self._rows[self._used, 2:] = births.mean[group], births.deviation[group]
            self._used += 1
        row = self._rows[self._row[group]]
        ages = self._faces.ages[faces]
        known = ages[~np.isnan(ages)]
        row[:2] = self.groups.sizes[group], known.mean() if len(known) else np.nan
        birth = combined(births.mean[faces], births.deviation[faces])
        if birth is not None:
            row[2:] = birth


def _neighbourhood(part: _Part, constants: Evidence) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    """Return the smoothed embeddings of n faces, (n, d), and the neighbours that are likely enough, (n, k), else -1."""
    near = neighbours(part.vectors, NEIGHBOURS)
    n = len(part.vectors)
    result = np.empty((n, part.dimension), np.float32 if n <= _PRECISE else np.float16)
    for start in range(0, n, _SMOOTHED):
        rows = slice(start, min(start + _SMOOTHED, n))
        faces, cosine = near.faces[rows], near.cosine[rows]
        likely = constants.adult_equivalent(cosine, part.ages[rows, None], part.ages[faces])
        weights = np.where(faces >= 0, constants.probability(likely), 0.0)
        result[rows] = smoothed(part.vectors, rows, faces, weights)
        faces[likely < _EDGE] = -1
    return result, near.faces


def smoothed(
    vectors: Matrix, rows: slice, near: NDArray[np.integer], weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return some embeddings (m, d) with those of their neighbours (m, k) added by weight (m, k), of unit length."""
    others = np.asarray(vectors[near.reshape(-1)], np.float32).reshape(*near.shape, -1)
    own = np.asarray(vectors[rows], np.float32)
    result = own + np.einsum("nk,nkd->nd", weights.astype(np.float32), others)
    result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-9)
    return np.asarray(result)


def _worth(groups: Groups) -> list[int]:
    """Return the groups of at least two faces, and those with a confirmed one, in the order of their first faces."""
    several = {group for group, faces in groups.members.items() if len(faces) > 1}
    alone = {int(groups.group[face]) for face in np.flatnonzero(groups.labels != UNKNOWN)}
    return sorted(several | alone)


def _rate(found: Clustered, groups: Groups, rows: NDArray[np.int64], constants: Evidence) -> None:
    """Compute the probability of each member from its mean similarity to the others of its group."""
    inside = np.flatnonzero(found.group[rows] >= 0)
    for start in range(0, len(inside), _BLOCK):
        some = inside[start : start + _BLOCK]
        group = groups.group[some]
        own = np.asarray(groups.vectors[some], np.float32)
        size = groups.sizes[group]
        rest = np.einsum("nd,nd->n", own, groups.sums(group)) - 1.0
        mean = np.where(size > 1, rest / np.maximum(size - 1, 1), 0.0)
        found.probability[rows[some]] = constants.member_probability(mean)
    found.probability[rows[groups.labels != UNKNOWN]] = 1.0


def _attach(faces: Faces, found: Clustered, left: NDArray[np.int64], constants: Evidence) -> None:
    """Attach faces that are in no group yet to the group of their neighbours, if they are likely to belong there."""
    assert faces.births is not None
    anchors = np.flatnonzero(found.group >= 0)
    count = int(found.group.max()) + 1
    sums = np.zeros((count, faces.vectors.shape[1]), np.float32)
    for start in range(0, len(anchors), _BLOCK):
        some = anchors[start : start + _BLOCK]
        np.add.at(sums, found.group[some], np.asarray(faces.vectors[some], np.float32))
    centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    members: dict[int, list[int]] = {}
    for face in anchors.tolist():
        members.setdefault(int(found.group[face]), []).append(face)
    for start in range(0, len(left), _BLOCK):
        rows = left[start : start + _BLOCK]
        best, value = _nearest(faces.vectors[rows], centres)
        for face, group, near in sorted(
            zip(rows.tolist(), best.tolist(), value.tolist(), strict=True), key=lambda one: (-one[2], one[0])
        ):
            if near < constants.attach:
                break
            penalty = attach_penalty(faces, face, members[group], constants)
            if near - penalty >= constants.attach:
                found.group[face] = group
                found.probability[face] = float(constants.member_probability(np.array(near - penalty)))
                members[group].append(face)


def _nearest(
    vectors: NDArray[np.floating], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which centre is nearest to each embedding, and its similarity: of few at a time where centres are many."""
    portion = max(_SIMILARITIES // max(len(centres), 1), 1)
    best, value = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, len(vectors), portion):
        similarity = np.asarray(vectors[start : start + portion], np.float32) @ centres.T
        best.append(similarity.argmax(axis=1))
        value.append(similarity[np.arange(len(similarity)), best[-1]])
    return np.concatenate(best), np.concatenate(value)


def attach_penalty(faces: Faces, face: int, members: Sequence[int], constants: Evidence) -> float:
    """Return what stands against a face in a group; infinity if a photo or a person forbids it."""
    assert faces.births is not None
    rows = np.array(members)
    if (faces.photos[rows] == faces.photos[face]).any():
        return float("inf")
    if set(np.unique(faces.labels[rows]).tolist()) & faces.rejected[face]:
        return float("inf")
    adult = np.array(constants.impostor_mean[-1])
    mean_age = float(np.nanmean(faces.ages[rows])) if not np.isnan(faces.ages[rows]).all() else np.nan
    age = adult - constants.adult_equivalent(adult, faces.ages[[face]], np.array([mean_age]))[0]
    known = [faces.known_births[label] for label in faces.labels[rows].tolist() if label in faces.known_births]
    birth = (
        (float(known[0].mean), float(known[0].deviation))
        if known
        else combined(faces.births.mean[rows], faces.births.deviation[rows])
    )
    if birth is None:
        return float(age)
    mine = faces.births
    return float(age + misfit(mine.mean[[face]], mine.deviation[[face]], np.array([birth[0]]), np.array([birth[1]]))[0])


def grouped(
    vectors: NDArray[np.floating], ages: NDArray[np.floating], **constants: Any
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return a label for each of n embeddings, (n,), and the probability of its group, (n,), for evaluations.

    Every embedding is taken to be of another photo, without a date; one that is in no group has a label of its own.
    `constants` replace fields of `Evidence`.
    """
    n = len(vectors)
    vectors = nuisance.without(vectors, nuisance.directions(evidence().weights))
    faces = Faces(vectors, np.arange(n), np.asarray(ages, np.float32))
    found = cluster(faces, evidence()._replace(**constants))
    labels = np.where(found.group < 0, n + np.arange(n), found.group)
    return labels, np.where(found.group < 0, 1.0, found.probability)
