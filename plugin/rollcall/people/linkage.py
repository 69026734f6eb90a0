"""Average linkage under constraints: groups grow by merging pairs that are each other's most similar.

Merging reciprocal nearest neighbours gives the same tree as merging the most similar pair first (Murtagh 1983), in a
few rounds of array operations. Only pairs with an edge between them are looked at. The mean similarity of two groups is
the product of their sums over the number of pairs, so no pair has to be stored.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: The label of a face that nobody has confirmed.
UNKNOWN: Final = -1
#: The photo of a face that is the only one of it.
OWN_PHOTO: Final = -1
#: Of two groups that share photos, the faces that stand in the way are taken out of them if they are at most this share
#: of the smaller group.
EVICTED_SHARE: Final = 0.05
#: One face may always be taken out of a group of at least so many.
ONE_EVICTED: Final = 5
#: The mean similarity from which confirmed faces of one person are one group from the beginning.
SIMILAR: Final = 0.3
#: Rows of arrays that are looked at a time; each pair takes two embeddings.
_PORTION: Final = 1 << 14
#: Groups whose pairs are listed at a time.
_RANGE: Final = 1 << 17
#: Of so many faces the photos are looked up each time: to keep them for each pair takes more memory than time.
_FEW: Final = 32
#: How many times as many faces a group has that a small one joins at once.
_MUCH_LARGER: Final = 8

#: Returns what is taken from the mean similarity of pairs of groups, given by two arrays of their numbers.
Penalty = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float64]]


@dataclass
class Groups:
    """Groups of n faces while they grow; a group is named by one of its faces."""

    vectors: NDArray[np.floating]  # (n, d), unit length
    photos: NDArray[np.int32]  # (n,) as of `numbered`
    labels: NDArray[np.int64]  # (n,) of confirmed faces, by person; else UNKNOWN
    rejected: Mapping[int, frozenset[int]]  # by face: labels that it is not
    group: NDArray[np.int32] = field(init=False)  # (n,) the group of each face
    sizes: NDArray[np.int32] = field(init=False)  # (n,)
    members: dict[int, array[int]] = field(init=False)  # of groups of more than one face
    by_photo: dict[int, dict[int, int]] = field(init=False)  # of large groups, the face in each photo of several
    evicted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        n = len(self.vectors)
        self.group = np.arange(n, dtype=np.int32)
        # Of a group of one face it is that of its embedding, so only the others have a row.
        self._row_of_sum = np.full(n, -1, np.int32)
        # Never more than half as many: zeros take no memory before they are written, and what grows is copied.
        self._sums = np.zeros((n // 2 + 1, self.vectors.shape[1] if n else 0), np.float32)
        self._used, self._free = 0, list[int]()
        self.sizes = np.ones(n, np.int32)
        self.members, self.by_photo = {}, {}
        self._labels = dict[int, int]()  # of groups that have one
        self._rejected = dict(self.rejected)
        for label in np.unique(self.labels[self.labels != UNKNOWN]):
            self._start(np.flatnonzero(self.labels == label).tolist(), int(label))

    def _start(self, faces: Sequence[int], label: int) -> None:
        """Make groups of confirmed faces of one person that are similar: a child and an adult stay two groups.

        The mean of both would be like neither, and no other face of theirs would be similar to it.
        """
        groups: list[int] = []
        for face in faces:
            self._labels[face] = label
            if groups:
                means = np.stack([self._sum(group) / self.sizes[group] for group in groups])
                similar = means @ np.asarray(self.vectors[face], np.float32)
                best = int(similar.argmax())
                if similar[best] >= SIMILAR:
                    groups[best] = self._join(groups[best], face)
                    continue
            groups.append(face)

    def sums(self, groups: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the sums of the embeddings of m groups, (m, d)."""
        rows = self._row_of_sum[groups]
        found = np.asarray(self.vectors[groups], np.float32)
        several = rows >= 0
        found[several] = self._sums[rows[several]]
        return found

    def _sum(self, group: int) -> NDArray[np.float32]:
        row = self._row_of_sum[group]
        return np.asarray(self.vectors[group], np.float32) if row < 0 else self._sums[row]

    def _set_sum(self, group: int, value: NDArray[np.float32]) -> None:
        row = int(self._row_of_sum[group])
        if row < 0:
            if not self._free:
                self._free.append(self._used)
                self._used += 1
            row = self._row_of_sum[group] = self._free.pop()
        self._sums[row] = value

    def faces(self, group: int) -> Sequence[int]:
        """Return the faces of a group."""
        return self.members.get(group, [group])

    def comparisons(self, a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return how many pairs of faces there are between m pairs of groups, (m,)."""
        return np.asarray(self.sizes[a].astype(np.int64) * self.sizes[b])

    def count(self) -> int:
        """Return how many groups there are, faces that are alone included."""
        return len(self.vectors) - sum(len(faces) - 1 for faces in self.members.values()) - len(self.evicted)

    def merge(self, a: int, b: int) -> bool:
        """Make one group of two, unless something that a person stated, or a photo of both, forbids it."""
        label, other = self._labels.get(a, UNKNOWN), self._labels.get(b, UNKNOWN)
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
        if (label := self._labels.pop(b, UNKNOWN)) != UNKNOWN:
            self._labels.setdefault(a, label)
        rejected = self._rejected.get(a, frozenset()) | self._rejected.pop(b, frozenset())
        if rejected:
            self._rejected[a] = rejected
        self.members.setdefault(a, array("i", [a])).extend(faces)
        self.members.pop(b, None)
        for photo, face in self._in_photos(faces):
            photos.setdefault(photo, face)
        if len(self.members[a]) > _FEW:
            self.by_photo[a] = photos
        self.by_photo.pop(b, None)
        self.group[faces] = a
        self._set_sum(a, self._sum(a) + self._sum(b))
        if self._row_of_sum[b] >= 0:
            self._free.append(int(self._row_of_sum[b]))
            self._row_of_sum[b] = -1
        self.sizes[a] += self.sizes[b]
        return a

    def _photos(self, group: int) -> dict[int, int]:
        found = self.by_photo.get(group)
        return dict(self._in_photos(self.faces(group))) if found is None else found

    def _in_photos(self, faces: Sequence[int]) -> list[tuple[int, int]]:
        """Return photo and face of those faces that are not the only one of their photo."""
        return [(photo, face) for face in faces if (photo := int(self.photos[face])) != OWN_PHOTO]

    def _make_way(self, a: int, b: int) -> bool:
        """Take out faces of photos that both groups show; return False if they are too many or confirmed."""
        if self.sizes[a] < self.sizes[b]:
            a, b = b, a
        theirs, by_photo = self.faces(b), self._photos(a)
        shared = [(by_photo[photo], face) for photo, face in self._in_photos(theirs) if photo in by_photo]
        if not shared:
            return True
        most = max(EVICTED_SHARE * len(theirs), 1.0 if len(theirs) >= ONE_EVICTED else 0.0)
        if len(shared) > most:
            return False
        mean = self._sum(a) + self._sum(b)
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
        faces = array("i", [one for one in self.faces(group) if one != face])
        self.evicted.add(face)
        if group in self.by_photo:
            # Only confirmed faces share a photo, and these are not evicted.
            del self.by_photo[group][int(self.photos[face])]
        self._set_sum(group, self._sum(group) - np.asarray(self.vectors[face], np.float32))
        self.sizes[group] -= 1
        self.members[group] = faces
        self.group[face] = -1


def numbered(photos: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return a number from 0 for the photo of each of n faces, (n,); `OWN_PHOTO` where it shows none of the others."""
    _, number, faces = np.unique(photos, return_inverse=True, return_counts=True)
    return np.where(faces[number] > 1, number, OWN_PHOTO).astype(np.int32)


def link(groups: Groups, edges: NDArray[np.integer], threshold: float, penalty: Penalty, slack: float = 0.0) -> None:
    """Merge groups as long as the mean similarity of two, less a penalty, reaches a threshold.

    Groups are compared that hold a face and one of its `edges`, (n, k), of which -1 is none; `slack` is by how much a
    penalty may shrink while groups grow.
    """
    pairs, values = _first_pairs(groups, edges, threshold - slack, penalty)
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
    pairs: NDArray[np.int32],
    values: NDArray[np.float64],
    blocked: NDArray[np.bool_],
    changed: NDArray[np.int32],
    penalty: Penalty,
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the edges between the groups as they are now, each once, with similarities, and which are blocked."""
    now = np.sort(groups.group[pairs], axis=1)
    # A group is named by one of its faces, which may have been taken out of it.
    keep = (now[:, 0] != now[:, 1]) & (now[:, 0] >= 0)
    now, values, blocked = now[keep], values[keep], blocked[keep]
    _, first = np.unique(now[:, 0].astype(np.int64) * len(groups.vectors) + now[:, 1], return_index=True)
    now, values, blocked = now[first], values[first], blocked[first]
    # One place more, for the -1 of a face that was taken out.
    is_changed = np.zeros(len(groups.vectors) + 1, np.bool_)
    is_changed[changed] = True
    stale = is_changed[now].any(axis=1)
    values[stale] = _similarities(groups, now[stale], penalty)
    return now, values, blocked & ~stale


def _first_pairs(
    groups: Groups, edges: NDArray[np.integer], least: float, penalty: Penalty
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the pairs of groups between which there are edges, with their similarities of at least `least`."""
    n = len(groups.vectors)
    pairs, values = [np.zeros((0, 2), np.int32)], [np.zeros(0)]
    for keys in _keys(groups, edges):
        for start in range(0, len(keys), _PORTION):
            some = keys[start : start + _PORTION]
            ends = np.stack([some // n, some % n], axis=1).astype(np.int32)
            found = _similarities(groups, ends, penalty)
            keep = found >= least
            pairs.append(ends[keep])
            values.append(found[keep])
    return np.concatenate(pairs), np.concatenate(values)


def _keys(groups: Groups, edges: NDArray[np.integer]) -> Iterator[NDArray[np.int64]]:
    """Yield a number for each pair of groups with an edge between them, ascending: one times n, and the other.

    All edges are looked through for each of a few ranges of groups: the numbers of all pairs take much memory.
    """
    n = len(groups.vectors)
    for low in range(0, n, _RANGE):
        parts = [np.zeros(0, np.int64)]
        for start in range(0, n, _PORTION):
            some = edges[start : start + _PORTION]
            ours, theirs = groups.group[start : start + _PORTION, None], groups.group[np.maximum(some, 0)]
            first = np.minimum(ours, theirs)
            between = (some >= 0) & (ours != theirs) & (first >= low) & (first < low + _RANGE)
            parts.append(first[between].astype(np.int64) * n + np.maximum(ours, theirs)[between])
        keys = np.concatenate(parts)
        del parts
        keys.sort()
        yield keys if not len(keys) else keys[np.concatenate([[True], keys[1:] != keys[:-1]])]


def _similarities(groups: Groups, pairs: NDArray[np.int32], penalty: Penalty) -> NDArray[np.float64]:
    """Return the mean similarity of pairs of groups, less the penalty."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), _PORTION):
        a, b = pairs[start : start + _PORTION].T
        product = np.einsum("ij,ij->i", groups.sums(a), groups.sums(b))
        found[start : start + _PORTION] = product / groups.comparisons(a, b) - penalty(a, b)
    return found


def _chosen(pairs: NDArray[np.int32], values: NDArray[np.float64], sizes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the edges that are the best of both their groups, the most similar first; ties go to lower numbers.

    A group that is much smaller than its best one does not wait for its turn: it would hardly change that one.
    """
    n = len(sizes)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -values))
    rank = np.empty(len(pairs), np.int32)
    rank[order] = np.arange(len(pairs), dtype=np.int32)
    best = np.full(n, len(pairs), np.int32)
    np.minimum.at(best, pairs[:, 0], rank)
    np.minimum.at(best, pairs[:, 1], rank)
    first, second = pairs[order].T
    best_of_first, best_of_second = best[first] == rank[order], best[second] == rank[order]
    small_first = best_of_first & (sizes[first] * _MUCH_LARGER <= sizes[second])
    small_second = best_of_second & (sizes[second] * _MUCH_LARGER <= sizes[first])
    chosen = order[(best_of_first & best_of_second) | small_first | small_second]
    return np.asarray(chosen)
