"""Cosines of faces and groups with people, of which only those are computed anew that an answer changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.people.posterior import People

#: More cosines than this are not kept: 32 MB.
MOST_COSINES: Final = 1 << 23
#: Groups are named by numbers below this, in either direction, and people, too.
_NUMBERS: Final = 1 << 31
_BLOCK: Final = 4096


class Columns(NamedTuple):
    """The people who are compared with, as they are: whose faces are others has other arrays of rows."""

    numbers: NDArray[np.int64]  # (p,)
    rows: list[NDArray[np.int64]]
    centres: NDArray[np.float32]  # (p, d)

    @classmethod
    def of(cls, people: People) -> Columns:
        """Return people as columns."""
        return cls(people.numbers, people.rows, people.centres)

    def changed_since(self, before: Columns) -> NDArray[np.bool_]:
        """Return which people's faces are others than before, (p,)."""
        then = dict(zip(before.numbers.tolist(), before.rows, strict=True))
        pairs = zip(self.numbers.tolist(), self.rows, strict=True)
        return np.array([then.get(number) is not rows for number, rows in pairs], np.bool_)


class Grid(NamedTuple):
    """The cosines of k embeddings with p people."""

    columns: Columns
    cosines: NDArray[np.float32]  # (k, p)

    @classmethod
    def updated(
        cls,
        before: Grid | None,
        places: NDArray[np.int64],
        columns: Columns,
        embeddings: Callable[[NDArray[np.int64]], NDArray[np.float32]],
        count: int,
    ) -> Grid | None:
        """Return all cosines, of which most are those of `before`; None if they are too many to be kept.

        Parameters
        ----------
        before
            What was kept, or None.
        places
            (k,) where in it the row of each embedding is; -1 if it is not there.
        columns
            The people.
        embeddings
            Returns the embeddings, (m, d), of some of the rows, ascending.
        count
            How many rows there are, k.
        """
        if count * len(columns.numbers) > MOST_COSINES:
            return None
        result = np.empty((count, len(columns.numbers)), np.float32)
        if before is None or not np.array_equal(before.columns.numbers, columns.numbers):
            places = np.full(count, -1, np.int64)
        kept, fresh = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
        for some in _blocks(fresh):
            result[some] = embeddings(some) @ columns.centres.T
        if before is not None and len(kept):
            result[kept] = before.cosines[places[kept]]
            changed = np.flatnonzero(columns.changed_since(before.columns))
            for some in _blocks(kept) if len(changed) else ():
                result[some[:, None], changed] = embeddings(some) @ columns.centres[changed].T
        return cls(columns, result)


class Nearest(NamedTuple):
    """The similarities of groups to the most similar faces of people, of some pairs of both."""

    columns: Columns | None
    pairs: NDArray[np.int64]  # (m,) ascending
    values: NDArray[np.float32]  # (m,)

    @classmethod
    def nothing(cls) -> Nearest:
        """Return that of no pair."""
        return cls(None, np.zeros(0, np.int64), np.zeros(0, np.float32))

    def only(self, groups: NDArray[np.int64], columns: Columns) -> Nearest:
        """Return those of some groups, ascending, and of the people who are as they were."""
        if self.columns is None or not len(self.pairs):
            return self.nothing()
        same = columns.numbers[~columns.changed_since(self.columns)]
        keep = (places_in(groups, self.pairs // _NUMBERS) >= 0) & np.isin(self.pairs % _NUMBERS, same)
        return Nearest(columns, self.pairs[keep], self.values[keep])


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def places_in(ascending: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where numbers stand among ascending ones; -1 where they are not there."""
    if not len(ascending):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[places] == wanted, places, -1)


@dataclass
class Compared:
    """The centres of k groups of faces, compared with p people."""

    centres: NDArray[np.float32]  # (k, d)
    columns: Columns
    grid: Grid | None
    known: Nearest
    keys: NDArray[np.int64]  # (k,) the groups
    _found: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = field(default_factory=list)

    def cosines(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the cosines of some of the centres with people, (m, p)."""
        if self.grid is None:
            return np.asarray(self.centres[start:stop] @ self.columns.centres.T)
        return self.grid.cosines[start:stop]

    def nearest(self, people: People, part: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the mean similarity of m groups to the most similar faces of a person each, (m,)."""
        pairs = self.keys[part] * _NUMBERS + people.numbers[place]
        there = places_in(self.known.pairs, pairs)
        result = np.empty(len(pairs), np.float32)
        result[there >= 0] = self.known.values[there[there >= 0]]
        missing = np.flatnonzero(there < 0)
        missing = missing[np.argsort(place[missing], kind="stable")]
        numbers, first = np.unique(place[missing], return_index=True)
        for at, some in zip(numbers.tolist(), np.split(missing, first)[1:], strict=True):
            result[some] = people.nearest(at, self.centres[part[some]])
        self._found.append((pairs, result))
        return result

    def asked_for(self) -> Nearest:
        """Return the similarities to the most similar faces that were asked for."""
        pairs = np.concatenate([np.zeros(0, np.int64), *(pairs for pairs, _ in self._found)])
        values = np.concatenate([np.zeros(0, np.float32), *(values for _, values in self._found)])
        order = np.argsort(pairs)
        return Nearest(self.columns, pairs[order], values[order])
