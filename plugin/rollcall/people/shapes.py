"""What questions need of groups and people as they are, kept for the next ones: an answer changes few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from rollcall.people.compared import Columns, Compared, Grid, Nearest, places_in
from rollcall.people.evidence import earliest_photo
from rollcall.people.posterior import People, Person, centres_of, unit

#: Of faces that are of somebody, or in no group that is asked about: less than any number of a group.
NO_GROUP: Final = np.iinfo(np.int64).min
#: More centres than this are not kept: about 50 MB.
MOST_CENTRES: Final = 100_000
#: The embeddings of people are kept as they are computed with up to so many numbers: 64 MB.
MOST_EXACT: Final = 1 << 24
#: Groups whose faces are kept in the order in which they are shown.
_MOST_SHOWN: Final = 4096
#: People of whom it is kept when photos of them can begin.
_MOST_BIRTHS: Final = 1024
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


class Photos(NamedTuple):
    """Which faces are on which photo."""

    codes: NDArray[np.int32]  # (n,) numbers from 0 of the photos of faces
    order: NDArray[np.int64]  # (n,) the faces, photo by photo
    starts: NDArray[np.int64]  # where in these each photo begins; at last, where they end

    def beside(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the faces on the photos of some faces, these included, and which of the places in `rows` it is by."""
        codes = self.codes[rows]
        first, sizes = self.starts[codes], self.starts[codes + 1] - self.starts[codes]
        places = np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
        return self.order[places], np.repeat(np.arange(len(rows)), sizes)


class _Ordered(NamedTuple):
    """The rows of faces in groups, by group, and in it by row."""

    group: NDArray[np.int64]  # (n,) of each face, or `NO_GROUP`
    keys: NDArray[np.int64]  # (m,) ascending: group and row as one number
    rows: NDArray[np.int64]  # (m,)

    @classmethod
    def of(cls, group: NDArray[np.int64], before: _Ordered | None) -> _Ordered:
        """Return those of faces, of which most are as they were before: to sort all takes longer than all else."""
        nothing = np.zeros(0, np.int64)
        if before is None or len(before.group) != len(group):
            before = cls(np.full(len(group), NO_GROUP), nothing, nothing)
        changed = np.flatnonzero(group != before.group)
        gone = np.searchsorted(before.keys, _keys(before.group, changed))
        new = np.sort(_keys(group, changed))
        rows = new % max(len(group), 1)
        if len(before.keys) == len(gone):
            return cls(group, new, rows)
        keys = np.delete(before.keys, gone)
        places = np.searchsorted(keys, new)
        return cls(group, np.insert(keys, places, new), np.insert(np.delete(before.rows, gone), places, rows))


def _keys(group: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each of those faces that are in groups, by group and row: numbers are sorted fast."""
    rows = rows[group[rows] != NO_GROUP]
    return (group[rows] + len(group) + 1) * len(group) + rows


class _Centres(NamedTuple):
    vectors: ref[Any]
    group: NDArray[np.int64]
    keys: NDArray[np.int64]
    centres: NDArray[np.float32]
    cosines: Grid | None
    nearest: Nearest


class Part(NamedTuple):
    """Faces of a person who may be somebody else together."""

    rows: NDArray[np.int64]  # the most typical first
    centre: NDArray[np.float32]  # (d,)
    similar: float  # of it to the centre of the others
    length: float  # of the mean of the others


class Shape(NamedTuple):
    """How the faces of a person lie to each other."""

    similar: NDArray[np.float32]  # (n,) of each to the centre of the others
    lengths: NDArray[np.float32]  # (n,) of the mean of the others
    parts: list[Part]


class _KeptShape(NamedTuple):
    rows: NDArray[np.int64]
    free: NDArray[np.bool_]
    shape: Shape


class _Shown(NamedTuple):
    rows: NDArray[np.int64]
    order: NDArray[np.int64]


class Shapes:
    """What is kept. May be used from any thread: what is there is replaced, never changed."""

    def __init__(self) -> None:
        self._ordered: _Ordered | None = None
        self._centres: _Centres | None = None
        self._vectors: ref[Any] | None = None
        self._people = dict[int, Person]()
        self._of_people = dict[int, _KeptShape]()
        self._cosines: Grid | None = None
        self._shown = dict[int, _Shown]()
        self._photos: tuple[ref[Any], Photos] | None = None
        self._begin = dict[tuple[bytes, bytes], float]()

    def earliest_photo(self, mean: NDArray[np.floating], deviation: NDArray[np.floating]) -> float:
        """Return what `evidence.earliest_photo` does."""
        key = mean.tobytes(), deviation.tobytes()
        found = self._begin.get(key)
        if found is None:
            if len(self._begin) >= _MOST_BIRTHS:
                self._begin = {}
            found = self._begin[key] = earliest_photo(mean, deviation)
        return found

    def ordered(self, group: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of faces in groups, by group and in it by row; `group` (n,) is kept, and not changed."""
        self._ordered = _Ordered.of(group, self._ordered)
        return self._ordered.rows

    def photos(self, photos: NDArray[np.int64]) -> Photos:
        """Return which faces are on which photo, by the photos of n faces, (n,)."""
        kept = self._photos
        if kept is None or kept[0]() is not photos:
            _, codes, counts = np.unique(photos, return_inverse=True, return_counts=True)
            order = np.argsort(codes, kind="stable")
            starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
            kept = self._photos = ref(photos), Photos(codes.astype(np.int32), order, starts)
        return kept[1]

    def people(self, vectors: NDArray[np.floating], members: dict[int, NDArray[np.int64]]) -> People:
        """Return people by the rows of their faces; of whom these are the same as the last time, by what is kept."""
        same = self._vectors is not None and self._vectors() is vectors
        before = self._people if same else {}
        if not same:
            self._cosines, self._of_people, self._shown = None, {}, {}
        found, left = dict[int, Person](), MOST_EXACT
        for number, rows in members.items():
            one = before.get(number)
            if one is None or not np.array_equal(one.rows, rows):
                exact = np.asarray(vectors[rows], np.float32)
                one = Person(rows, exact.mean(axis=0), exact)
            left -= len(rows) * vectors.shape[1]
            found[number] = one if left >= 0 else one._replace(exact=None)
        self._vectors, self._people = ref(vectors), found
        self._of_people = {one: shape for one, shape in list(self._of_people.items()) if one in found}
        return People(vectors, found)

    def compared(self, vectors: NDArray[np.floating], parts: Parts, people: People) -> Compared:
        """Return the means of groups, of unit length, compared with people."""
        before, keys, columns = self._centres, parts.keys, Columns.of(people)
        if before is None or before.vectors() is not vectors or not len(before.keys):
            stale = np.ones(len(keys), np.bool_)
            places = np.full(len(keys), -1, np.int64)
            cosines, nearest = None, Nearest.nothing()
            result = np.empty((len(keys), vectors.shape[1]), np.float32)
        else:
            changed = np.flatnonzero(parts.group != before.group)
            other = np.unique(np.concatenate([parts.group[changed], before.group[changed]]))
            places = places_in(before.keys, keys)
            places[np.isin(keys, other)] = -1
            stale = places < 0
            cosines, nearest = before.cosines, before.nearest
            result = before.centres[places]
        for some in np.array_split(np.flatnonzero(stale), -(-int(stale.sum()) // _BLOCK) or 1):
            if len(some):
                result[some] = _means(vectors, parts, some)
        grid = Grid.updated(cosines, places, columns, lambda rows: result[rows], len(keys))
        return Compared(result, columns, grid, nearest.only(keys[~stale], columns), keys)

    def keep(self, vectors: NDArray[np.floating], parts: Parts, compared: Compared) -> None:
        """Keep the means of groups, and all that they were compared with, unless they are very many."""
        if len(compared.keys) <= MOST_CENTRES:
            found = compared.centres, compared.grid, compared.asked_for()
            self._centres = _Centres(ref(vectors), parts.group, compared.keys, *found)

    def of_faces(self, people: People) -> Grid | None:
        """Return the cosines of all faces of people, one person after another, with all people; None if too many."""
        before, sizes = self._cosines, people.sizes
        ends = np.cumsum(sizes)
        firsts = ends - sizes
        places = np.full(int(sizes.sum()), -1, np.int64)
        if before is not None:
            sizes_then = [len(rows) for rows in before.columns.rows]
            ends_then = dict(zip(before.columns.numbers.tolist(), np.cumsum(sizes_then).tolist(), strict=True))
            same = np.flatnonzero(~Columns.of(people).changed_since(before.columns))
            for at, number in zip(same.tolist(), people.numbers[same].tolist(), strict=True):
                places[firsts[at] : ends[at]] = np.arange(ends_then[number] - sizes[at], ends_then[number])

        def exact(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            low, high = np.searchsorted(ends, rows[[0, -1]], side="right").tolist()
            begin = np.searchsorted(rows, firsts[low : high + 1]).tolist()
            parts = zip(range(low, high + 1), begin, [*begin[1:], len(rows)], strict=True)
            return np.concatenate([people.exact(at)[rows[start:stop] - firsts[at]] for at, start, stop in parts])

        self._cosines = Grid.updated(before, places, Columns.of(people), exact, len(places))
        return self._cosines

    def of_person(
        self, person: int, rows: NDArray[np.int64], free: NDArray[np.bool_], make: Callable[[], Shape]
    ) -> Shape:
        """Return how the faces of a person lie, of which `rows` are all and `free` (n,) may be somebody else."""
        kept = self._of_people.get(person)
        if kept is None or kept.rows is not rows or not np.array_equal(kept.free, free):
            kept = self._of_people[person] = _KeptShape(rows, free, make())
        return kept.shape

    def shown(self, vectors: NDArray[np.floating], group: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the faces of a group, of which `rows` are all, the most typical first."""
        if len(rows) == 1:
            return rows
        kept = self._shown.get(group)
        if kept is None or not np.array_equal(kept.rows, rows):
            if len(self._shown) >= _MOST_SHOWN:
                self._shown = {}
            kept = self._shown[group] = _Shown(rows, typical_first(np.asarray(vectors[rows], np.float32), rows))
        return kept.order


def typical_first(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return faces (n,) by their embeddings (n, d), those most similar to the mean first."""
    return rows[np.argsort(-(vectors @ unit(vectors.sum(axis=0))), kind="stable")]


def _means(vectors: NDArray[np.floating], parts: Parts, some: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the means of some of the groups."""
    starts, sizes = parts.starts[some], parts.ends[some] - parts.starts[some]
    first = np.cumsum(sizes) - sizes
    places = np.repeat(starts - first, sizes) + np.arange(int(sizes.sum()))
    return centres_of(vectors, parts.rows[places], first)
