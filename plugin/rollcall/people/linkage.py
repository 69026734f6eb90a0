"""Average linkage under constraints: groups grow by merging pairs that are each other's most similar.

Merging reciprocal nearest neighbours gives the same tree as merging the most similar pair first (Murtagh 1983), in a
few rounds of array operations. Only pairs with an edge between them are looked at. The mean similarity of two groups is
the product of their sums over the number of pairs, so no pair has to be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: The label of a face that nobody has confirmed.
UNKNOWN: Final = -1
#: Of two groups that share photos, the faces that stand in the way are taken out of them if they are at most this share
#: of the smaller group.
EVICTED_SHARE: Final = 0.05
#: One face may always be taken out of a group of at least so many.
ONE_EVICTED: Final = 5
_PORTION: Final = 1 << 18
#: How many times as many faces a group has that a small one joins at once.
_MUCH_LARGER: Final = 8

#: Returns what is taken from the mean similarity of pairs of groups, given by two arrays of their numbers.
Penalty = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


@dataclass
class Groups:
    """Groups of n faces while they grow; a group is named by one of its faces."""

    vectors: NDArray[np.floating]  # (n, d), unit length
    photos: NDArray[np.int64]  # (n,)
    labels: NDArray[np.int64]  # (n,) of confirmed faces, by person; else UNKNOWN
    rejected: Sequence[frozenset[int]]  # (n,) labels that a face is not
    group: NDArray[np.int64] = field(init=False)  # (n,) the group of each face
    sums: NDArray[np.float32] = field(init=False)  # (n, d)
    sizes: NDArray[np.int64] = field(init=False)  # (n,)
    members: dict[int, list[int]] = field(init=False)  # of groups of more than one face
    by_photo: dict[int, dict[int, int]] = field(init=False)  # of the same groups, the face in each photo
    evicted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        n = len(self.vectors)
        self.group = np.arange(n)
        self.sums = np.array(self.vectors, np.float32)
        self.sizes = np.ones(n, np.int64)
        self.members, self.by_photo = {}, {}
        self._labels = self.labels.copy()
        self._rejected: dict[int, frozenset[int]] = {i: one for i, one in enumerate(self.rejected) if one}
        for label in np.unique(self.labels[self.labels != UNKNOWN]):
            first, *others = np.flatnonzero(self.labels == label).tolist()
            for other in others:
                first = self._join(first, other)

    def faces(self, group: int) -> list[int]:
        """Return the faces of a group."""
        return self.members.get(group, [group])

    def count(self) -> int:
        """Return how many groups there are, faces that are alone included."""
        return len(self.vectors) - sum(len(faces) - 1 for faces in self.members.values()) - len(self.evicted)

    def merge(self, a: int, b: int) -> bool:
        """Make one group of two, unless something that a person stated, or a photo of both, forbids it."""
        label, other = int(self._labels[a]), int(self._labels[b])
        if label not in (UNKNOWN, other) and other != UNKNOWN:
            return False
        if other in self._rejected.get(a, ()) or label in self._rejected.get(b, ()):
            return False
        if not self._make_way(a, b):
            return False
        self._join(a, b)
        return True

    def _join(self, a: int, b: int) -> int:
        """Make one group of two, which has the name of the larger one."""
        if (self.sizes[a], -a) < (self.sizes[b], -b):
            a, b = b, a
        faces, photos = self.faces(b), self._photos(a)
        if self._labels[a] == UNKNOWN:
            self._labels[a] = self._labels[b]
        rejected = self._rejected.get(a, frozenset()) | self._rejected.pop(b, frozenset())
        if rejected:
            self._rejected[a] = rejected
        self.members.setdefault(a, [a]).extend(faces)
        self.members.pop(b, None)
        for face in faces:
            photos.setdefault(int(self.photos[face]), face)
        self.by_photo[a] = photos
        self.by_photo.pop(b, None)
        self.group[faces] = a
        self.sums[a] += self.sums[b]
        self.sizes[a] += self.sizes[b]
        return a

    def _photos(self, group: int) -> dict[int, int]:
        found = self.by_photo.get(group)
        return {int(self.photos[face]): face for face in self.faces(group)} if found is None else found

    def _make_way(self, a: int, b: int) -> bool:
        """Take out faces of photos that both groups show; return False if they are too many or confirmed."""
        if self.sizes[a] < self.sizes[b]:
            a, b = b, a
        theirs, by_photo = self.faces(b), self._photos(a)
        shared = [(by_photo[photo], face) for face in theirs if (photo := int(self.photos[face])) in by_photo]
        if not shared:
            return True
        most = max(EVICTED_SHARE * len(theirs), 1.0 if len(theirs) >= ONE_EVICTED else 0.0)
        if len(shared) > most:
            return False
        mean = self.sums[a] + self.sums[b]
        out = []
        for pair in shared:
            free = [face for face in pair if self.labels[face] == UNKNOWN]
            if not free:
                return False
            out.append(min(free, key=lambda face: (float(self.vectors[face] @ mean), face)))
        for face in out:
            self._evict(face)
        return True

    def _evict(self, face: int) -> None:
        group = int(self.group[face])
        faces = [one for one in self.faces(group) if one != face]
        self.evicted.add(face)
        if group in self.by_photo:
            # Only confirmed faces share a photo, and these are not evicted.
            del self.by_photo[group][int(self.photos[face])]
        self.sums[group] -= self.vectors[face]
        self.sizes[group] -= 1
        self.members[group] = faces
        self.group[face] = -1


def link(groups: Groups, edges: NDArray[np.integer], threshold: float, penalty: Penalty, slack: float = 0.0) -> None:
    """Merge groups as long as the mean similarity of two, less a penalty, reaches a threshold.

    `edges` (e, 2) are pairs of faces between which groups are compared; `slack` is by how much a penalty may shrink
    while groups grow.
    """
    pairs = _unique(groups, np.asarray(edges, np.int64))
    values = _similarities(groups, pairs, penalty)
    # Pairs that may not be merged as they are now.
    blocked = np.zeros(len(pairs), np.bool_)
    while True:
        # Evidence that two small groups lack, they may have when they have grown.
        keep = values >= threshold - slack
        pairs, values, blocked = pairs[keep], values[keep], blocked[keep]
        enough = np.flatnonzero((values >= threshold) & ~blocked)
        if not len(enough):
            return
        chosen = enough[_chosen(pairs[enough], values[enough], groups.sizes)]
        merged = [_merge(groups, int(a), int(b)) for a, b in pairs[chosen]]
        blocked[chosen] = True
        changed = np.unique(groups.group[pairs[chosen][merged]])
        pairs, values, blocked = _renamed(groups, pairs, values, blocked, changed, penalty)


def _merge(groups: Groups, a: int, b: int) -> bool:
    """Merge the groups that two faces are in by now."""
    a, b = int(groups.group[a]), int(groups.group[b])
    return a >= 0 and b >= 0 and a != b and groups.merge(a, b)


def _renamed(
    groups: Groups,
    pairs: NDArray[np.int64],
    values: NDArray[np.float64],
    blocked: NDArray[np.bool_],
    changed: NDArray[np.int64],
    penalty: Penalty,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the edges between the groups as they are now, each once, with similarities, and which are blocked."""
    now = np.sort(groups.group[pairs], axis=1)
    # A group is named by one of its faces, which may have been taken out of it.
    keep = (now[:, 0] != now[:, 1]) & (now[:, 0] >= 0)
    now, values, blocked = now[keep], values[keep], blocked[keep]
    _, first = np.unique(now[:, 0] * len(groups.vectors) + now[:, 1], return_index=True)
    now, values, blocked = now[first], values[first], blocked[first]
    stale = np.isin(now, changed).any(axis=1)
    values[stale] = _similarities(groups, now[stale], penalty)
    return now, values, blocked & ~stale


def _unique(groups: Groups, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(edges):
        return np.zeros((0, 2), np.int64)
    pairs = np.sort(groups.group[edges], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    n = len(groups.vectors)
    keys = np.unique(pairs[:, 0] * n + pairs[:, 1])
    return np.stack([keys // n, keys % n], axis=1)


def _similarities(groups: Groups, pairs: NDArray[np.int64], penalty: Penalty) -> NDArray[np.float64]:
    """Return the mean similarity of pairs of groups, less the penalty."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), _PORTION):
        a, b = pairs[start : start + _PORTION].T
        product = np.einsum("ij,ij->i", groups.sums[a], groups.sums[b])
        found[start : start + _PORTION] = product / (groups.sizes[a] * groups.sizes[b]) - penalty(a, b)
    return found


def _chosen(pairs: NDArray[np.int64], values: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edges that are the best of both their groups, the most similar first; ties go to lower numbers.

    A group that is much smaller than its best one does not wait for its turn: it would hardly change that one.
    """
    n = len(sizes)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -values))
    rank = np.empty(len(pairs), np.int64)
    rank[order] = np.arange(len(pairs))
    best = np.full(n, len(pairs), np.int64)
    np.minimum.at(best, pairs[:, 0], rank)
    np.minimum.at(best, pairs[:, 1], rank)
    first, second = pairs[order].T
    best_of_first, best_of_second = best[first] == rank[order], best[second] == rank[order]
    small_first = best_of_first & (sizes[first] * _MUCH_LARGER <= sizes[second])
    small_second = best_of_second & (sizes[second] * _MUCH_LARGER <= sizes[first])
    chosen = order[(best_of_first & best_of_second) | small_first | small_second]
    return np.asarray(chosen)
