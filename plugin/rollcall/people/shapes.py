"""What questions need of groups and people as they are, kept for the next ones: an answer changes few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from rollcall.people.posterior import centres_of

#: More centres than this are not kept: about 50 MB.
MOST_CENTRES: Final = 100_000
_BLOCK: Final = 4096


class Parts(NamedTuple):
    """Groups of faces: the rows of all of them, where in these each begins, and the group of each face."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]  # (k,)
    group: NDArray[np.int64]  # (n,) of every face of the library; ascending in `rows`

    @property
    def ends(self) -> NDArray[np.int64]:
        """Return where in the rows each group ends, (k,)."""
        return np.append(self.starts[1:], len(self.rows))

    @property
    def keys(self) -> NDArray[np.int64]:
        """Return the groups, (k,), ascending."""
        return self.group[self.rows[self.starts]]


class _Centres(NamedTuple):
    vectors: ref[Any]
    group: NDArray[np.int64]
    keys: NDArray[np.int64]
    centres: NDArray[np.float32]


class Shape(NamedTuple):
    """How the faces of a person lie to each other."""

    similar: NDArray[np.float32]  # (n,) of each to the centre of the others
    lengths: NDArray[np.float32]  # (n,) of the mean of the others
    parts: list[NDArray[np.bool_]]  # (n,) each: who may be somebody else


class _KeptShape(NamedTuple):
    vectors: ref[Any]
    rows: NDArray[np.int64]
    free: NDArray[np.bool_]
    shape: Shape


class Shapes:
    """What is kept. May be used from any thread: what is there is replaced, never changed."""

    def __init__(self) -> None:
        self._centres: _Centres | None = None
        self._of_people = dict[int, _KeptShape]()
        self._codes: tuple[ref[Any], NDArray[np.int32], int] | None = None

    def photo_codes(self, photos: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
        """Return numbers from 0 of the photos of faces, (n,), and how many photos there are."""
        kept = self._codes
        if kept is None or kept[0]() is not photos:
            found, codes = np.unique(photos, return_inverse=True)
            kept = self._codes = ref(photos), codes.astype(np.int32), len(found)
        return kept[1], kept[2]

    def forget(self, people: NDArray[np.int64]) -> None:
        """Forget everybody but some people, unless few others are kept."""
        if len(self._of_people) > 2 * len(people):
            kept = set(people.tolist())
            self._of_people = {one: shape for one, shape in list(self._of_people.items()) if one in kept}

    def centres(self, vectors: NDArray[np.floating], parts: Parts) -> NDArray[np.float32]:
        """Return the means of groups, of unit length, (k, d)."""
        before, keys = self._centres, parts.keys
        stale = np.ones(len(keys), np.bool_)
        result = np.empty((len(keys), vectors.shape[1]), np.float32)
        if before is not None and before.vectors() is vectors and len(before.keys):
            changed = np.flatnonzero(parts.group != before.group)
            other = np.unique(np.concatenate([parts.group[changed], before.group[changed]]))
            places = np.minimum(np.searchsorted(before.keys, keys), len(before.keys) - 1)
            stale = (before.keys[places] != keys) | np.isin(keys, other)
            result[~stale] = before.centres[places[~stale]]
        for some in np.array_split(np.flatnonzero(stale), -(-int(stale.sum()) // _BLOCK) or 1):
            if len(some):
                result[some] = _means(vectors, parts, some)
        if len(keys) <= MOST_CENTRES:
            self._centres = _Centres(ref(vectors), parts.group, keys, result)
        return result

    def of_person(
        self,
        person: int,
        vectors: NDArray[np.floating],
        rows: NDArray[np.int64],
        free: NDArray[np.bool_],
        make: Callable[[], Shape],
    ) -> Shape:
        """Return how the faces of a person lie, of which `rows` are all and `free` (n,) may be somebody else."""
        kept = self._of_people.get(person)
        same = kept is not None and kept.vectors() is vectors and np.array_equal(kept.rows, rows)
        if kept is None or not same or not np.array_equal(kept.free, free):
            kept = self._of_people[person] = _KeptShape(ref(vectors), rows, free, make())
        return kept.shape


def _means(vectors: NDArray[np.floating], parts: Parts, some: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the means of some of the groups."""
    starts, sizes = parts.starts[some], parts.ends[some] - parts.starts[some]
    first = np.cumsum(sizes) - sizes
    places = np.repeat(starts - first, sizes) + np.arange(int(sizes.sum()))
    return centres_of(vectors, parts.rows[places], first)
