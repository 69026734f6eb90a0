"""What terms of a query evaluate: photos of one segment, face by face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollcall.ages import AGES, OLDEST
from rollcall.search.columns.segment import GROUP_NAMES, UNIT, Segment
from rollcall.search.person_filter import PersonFilter

_Floats = NDArray[np.float64]


class Columns:
    """Some photos of a segment, in its order.

    Parameters
    ----------
    rows
        Which photos, ascending; None: all.
    """

    def __init__(self, segment: Segment, rows: NDArray[np.int64] | None = None) -> None:
        self.segment = segment
        self._rows = rows
        self.faces: NDArray[np.int32] = segment.faces if rows is None else segment.faces[rows]
        by_place = segment.by_place if rows is None else np.searchsorted(rows, segment.by_place)
        #: How many of the photos have more than 0, 1, 2, ... faces: the first ones.
        self.by_place: list[int] = [count for count in by_place.tolist() if count]
        self._starts: list[int] = [0, *np.cumsum(segment.by_place).tolist()]

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def photo_ids(self) -> NDArray[np.int64]:
        """The numbers of the photos, (n,)."""
        return self._of_photos(self.segment.photo_ids)

    @property
    def days(self) -> NDArray[np.int32]:
        """When the photos were taken, (n,), as numbers YYYYMMDD; 0 where that is unknown."""
        return self._of_photos(self.segment.days)

    def at(self, rows: NDArray[np.int64]) -> Columns:
        """Return some of these photos, by their rows, ascending."""
        return Columns(self.segment, rows if self._rows is None else self._rows[rows])

    def places(self) -> Iterator[FaceColumns]:
        """Yield the first faces of the photos, their second ones, and so on; each time those of the first photos."""
        for place, count in enumerate(self.by_place):
            start = self._starts[place]
            where: slice | NDArray[np.int64]
            where = slice(start, start + count) if self._rows is None else start + self._rows[:count]
            yield FaceColumns(self.segment, count, where)

    def _of_photos(self, column: NDArray[Any]) -> NDArray[Any]:
        return column if self._rows is None else column[self._rows]


class FaceColumns:
    """One face of each of `count` photos."""

    def __init__(self, segment: Segment, count: int, where: slice | NDArray[np.int64]) -> None:
        self.segment, self.count, self.where = segment, count, where
        low = segment.age_low[where]
        self._given = np.flatnonzero(low >= 0)
        self._low = low[self._given].astype(np.int64)
        self._high = segment.age_high[where][self._given].astype(np.int64)

    def of(self, person: PersonFilter) -> _Floats:
        """Return the probability, (count,), of each face being of such a person; as `person_sql.face_sql` does."""
        factors = []
        if person.age_group is not None:
            factors.append(self.segment.groups[GROUP_NAMES.index(person.age_group)][self.where])
        elif not person.any_age:
            factors.append(self.age(person.low, person.high))
        if person.gender is not None:
            factors.append(self.gender(person.gender))
        if not factors:
            return np.ones(self.count)
        result: _Floats = factors[0] if len(factors) == 1 else factors[0] * factors[1]
        return result

    def share_of(self, person: PersonFilter) -> _Floats:
        """Return the same with predictions that add up to 1, as they do where people are counted together."""
        result = np.ones(self.count)
        if not person.any_age:
            total = self.predicted(0, OLDEST)
            result = np.divide(
                self.predicted(person.low, person.high), total, out=np.zeros(self.count), where=total > 0
            )
            if len(self._given):
                result[self._given] = self.shares(person.low, person.high)
        return result if person.gender is None else result * self.gender(person.gender)

    def gender(self, gender: str) -> _Floats:
        """Return the probability, (count,), of "female" or "male", 0 where it is unknown."""
        column = self.segment.female if gender == "female" else self.segment.male
        result: _Floats = column[self.where]
        return result

    def age(self, low: int, high: int) -> _Floats:
        """Return the probability, (count,), of an age from `low` to `high`, at most 1."""
        result = np.minimum(self.predicted(low, high), 1.0)
        if len(self._given):
            result[self._given] = self.shares(low, high)
        return result

    def ages(self, low: NDArray[np.int32], high: NDArray[np.int32]) -> _Floats:
        """Return the same where each face has bounds of its own, (count,), of which none is above the other."""
        faces = np.arange(self.where.start, self.where.stop) if isinstance(self.where, slice) else self.where
        inside = low <= OLDEST
        units = self.segment.cumulative[np.minimum(high, OLDEST), faces]
        units -= np.where(low > 0, self.segment.cumulative[np.clip(low - 1, 0, OLDEST), faces], 0).astype(np.uint32)
        result = np.where(inside, np.minimum(units * UNIT, 1.0), 0.0)
        if len(self._given):
            result[self._given] = self.shares(low[self._given], high[self._given])
        return result

    def predicted(self, low: int, high: int) -> _Floats:
        """Return the sum, (count,), of the predicted probabilities of ages from `low` to `high`, exactly."""
        low, high = max(low, 0), min(high, OLDEST)
        if low > high:
            return np.zeros(self.count)
        units = self.segment.cumulative[high][self.where]
        if low > 0:
            units = units - self.segment.cumulative[low - 1][self.where]
        result: _Floats = units * UNIT
        return result

    @property
    def given(self) -> NDArray[np.int64]:
        """Which faces have an age that a person gave, ascending."""
        return self._given

    def shares(self, low: int | NDArray[np.int32], high: int | NDArray[np.int32]) -> _Floats:
        """Return of these faces the share of their ages from `low` to `high`; see `ages.range_share`."""
        top = np.where(np.asarray(high) >= OLDEST, np.maximum(high, self._high), high)
        shared = np.maximum(np.minimum(self._high, top) - np.maximum(self._low, low) + 1, 0)
        result: _Floats = shared / (self._high - self._low + 1)
        return result

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether anything is known of the age of each face, (count,)."""
        known: NDArray[np.bool_] = self.segment.cumulative[AGES - 1][self.where] > 0
        known[self._given] = True
        return known


def at_least(columns: Columns, person: PersonFilter, count: int) -> _Floats:
    """Return the probability, (n,), that at least `count` faces are of such a person; as `ages.at_least` does."""
    return at_least_of(columns, [faces.of(person) for faces in columns.places()], count)


def at_least_of(columns: Columns, events: Sequence[_Floats], count: int) -> _Floats:
    """Return the probability, (n,), that at least `count` events happen, of which each face has one.

    Parameters
    ----------
    events
        The probabilities of the events of each of `columns.places()`.
    """
    if count > 1:
        return _several(columns, events, count)
    none = np.ones(len(columns))
    for event in events:
        none[: len(event)] *= 1.0 - np.clip(event, 0.0, 1.0)
    return 1.0 - none


def _several(columns: Columns, events: Sequence[_Floats], count: int) -> _Floats:
    result = np.zeros(len(columns))
    start = 0
    # Photos with as many faces as each other, so that their numbers are added up in the same order as one photo's.
    for faces in range(len(columns.by_place), count - 1, -1):
        end = columns.by_place[faces - 1]
        if end > start:
            result[start:end] = _of_as_many([np.clip(p[start:end], 0.0, 1.0) for p in events[:faces]], count)
        start = end
    return result


def _of_as_many(events: list[_Floats], count: int) -> _Floats:
    exactly = [np.ones_like(events[0])]
    for p in events:
        exactly.append(np.zeros_like(p))
        rest = 1.0 - p
        for k in range(len(exactly) - 1, 0, -1):
            exactly[k] = exactly[k] * rest + exactly[k - 1] * p
        exactly[0] = exactly[0] * rest
    total = np.zeros_like(events[0])
    for some in exactly[: count - 1 : -1]:
        total += some
    return np.clip(total, 0.0, 1.0)


def all_of(columns: Columns, person: PersonFilter) -> _Floats:
    """Return the probability, (n,), that all faces are of such a person; 0 without faces."""
    result = np.where(columns.faces > 0, 1.0, 0.0)
    for faces in columns.places():
        result[: faces.count] *= faces.of(person)
    return result
