"""Searches in the columns of the library: every photo is bounded at once, and the most promising ones are evaluated.

Photos come in the order of an upper bound, which most queries reach, until nothing that is still to come can be more
probable than what was found: the threshold algorithm of Fagin, Lotem and Naor, "Optimal aggregation algorithms for
middleware" (2003). What the columns do not have, such as tags, is looked up for those photos that would be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search import functions
from rollcall.search.column_conditions import photos_meeting
from rollcall.search.columns import Columns, columns_of
from rollcall.search.columns.library import Part, Progress
from rollcall.search.columns.segment import EMPTY
from rollcall.search.planning import SHOWN, conjuncts
from rollcall.search.ranking import Ranked
from rollcall.search.terms import And, Everything, SqlParameters, Term
from rollcall.storage.database import Database
from rollcall.storage.library import chunks

#: Photos that are evaluated at first; each time after that so many times as many.
_FIRST: Final = 512
_FACTOR: Final = 4
#: Photos whose conditions are looked up at a time.
_LOOKED_UP: Final = 128
#: After so many photos of which none meets the conditions, all that may meet them are looked for.
_MOST_IN_VAIN: Final = 1024
_NOTHING: Final = Columns(EMPTY)
_SHOWN_ROW: Final = SHOWN.replace("p.faces", "p.face_count")


class ColumnQuery(NamedTuple):
    """A query taken apart: what the columns have, and conditions that are looked up."""

    rest: Term
    conditions: tuple[Term, ...]


def taken_apart(term: Term) -> ColumnQuery | None:
    """Return a query taken apart; None if the columns are no help with it."""
    rest: list[Term] = []
    conditions: list[Term] = []
    for part in conjuncts(term):
        if part.bounds(_NOTHING) is not None:
            rest.append(part)
        elif part.condition(SqlParameters()) is not None:
            conditions.append(part)
        else:
            return None
    whole = Everything() if not rest else rest[0] if len(rest) == 1 else And(tuple(rest))
    return None if whole.bounds(_NOTHING) is None else ColumnQuery(whole, tuple(conditions))


class ColumnSearch:
    """One query as it runs in the columns.

    Parameters
    ----------
    min_probability
        Photos with a lower probability are left out; above 0.
    """

    def __init__(self, session: Session, query: ColumnQuery, parts: Sequence[Part], min_probability: float) -> None:
        self.session, self.query, self.min_probability = session, query, min_probability
        self.columns = [Columns(part.segment) for part in parts]
        self._starts = np.cumsum([0, *map(len, self.columns)])
        self._bound = np.concatenate([self._bounds(part, some) for part, some in zip(parts, self.columns, strict=True)])
        self._ids = np.concatenate([one.photo_ids for one in self.columns])
        parameters = SqlParameters()
        conditions = [SHOWN, *(f"COALESCE({one.condition(parameters)}, 0)" for one in query.conditions)]
        self._condition, self._values = " AND ".join(conditions), parameters.values
        # How many photos were looked up since one met the conditions; None when all that may meet them are known.
        self._in_vain: int | None = 0

    def _bounds(self, part: Part, columns: Columns) -> NDArray[np.float64]:
        found = self.query.rest.bounds(columns)
        assert found is not None
        result = np.where(found >= self.min_probability, found, -1.0)
        result[part.outdated] = -1.0
        return result

    def count(self) -> int | None:
        """Return how many photos are meant; None where conditions have to be looked up for each."""
        if self.query.conditions:
            return None
        rows = np.flatnonzero(self._bound >= 0)
        photo_ids = np.array([one.photo_id for one in self._evaluated(rows)], np.int64)
        hidden = self.session.execute(text(f"SELECT p.id FROM photos p WHERE NOT ({_SHOWN_ROW})"))
        return len(photo_ids) - int(np.isin(photo_ids, [row[0] for row in hidden]).sum())

    def most_probable(self, wanted: int) -> list[Ranked]:
        """Return the first `wanted` photos, the most probable first, by number where they are equally probable."""
        best: list[Ranked] = []
        left = np.flatnonzero(self._bound >= 0)
        size = max(_FIRST, 2 * wanted)
        while len(left):
            rows, left = self._first(left, size)
            for some in chunks(self._evaluated(rows), _LOOKED_UP):
                if len(best) == wanted and _order(some[0]) > _order(best[-1]):
                    break
                best = sorted([*best, *self._meeting(some)], key=_order)[:wanted]
            if len(best) == wanted:
                left = left[self._bound[left] >= best[-1].probability]
                if self.query.rest.quick:
                    # Those with this bound have this probability, and came in the order of their numbers.
                    left = left[(self._bound[left] > best[-1].probability) | (self._ids[left] < best[-1].photo_id)]
            elif self._in_vain is not None and self._in_vain > _MOST_IN_VAIN:
                left = self._those_that_may_meet(left)
            size *= _FACTOR
        return best

    def _first(self, rows: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows with the highest bounds, by number where they are equal, and the others."""
        if len(rows) <= count:
            return rows, rows[:0]
        bounds = self._bound[rows]
        edge = np.partition(bounds, len(rows) - count)[len(rows) - count]
        chosen = bounds > edge
        equal = np.flatnonzero(bounds == edge)
        missing = count - int(chosen.sum())
        chosen[equal[np.argpartition(self._ids[rows[equal]], missing - 1)[:missing]]] = True
        return rows[chosen], rows[~chosen]

    def _evaluated(self, rows: NDArray[np.int64]) -> list[Ranked]:
        """Return the photos of some rows, ascending, that are meant, the most probable first."""
        probabilities = self._bound[rows]
        if not self.query.rest.quick:
            for number, columns in enumerate(self.columns):
                first, last = np.searchsorted(rows, self._starts[number : number + 2])
                if first < last:
                    found = self.query.rest.probabilities(columns.at(rows[first:last] - self._starts[number]))
                    assert found is not None
                    probabilities[first:last] = found
        meant = probabilities >= self.min_probability
        photo_ids, probabilities = self._ids[rows[meant]], probabilities[meant]
        order = np.lexsort((photo_ids, -probabilities))
        return list(map(Ranked, photo_ids[order].tolist(), probabilities[order].tolist()))

    def _meeting(self, candidates: Sequence[Ranked]) -> list[Ranked]:
        """Return those of some photos that are shown and meet the conditions."""
        listed = ", ".join(str(one.photo_id) for one in candidates)
        statement = f"SELECT p.photo_id FROM v1_photos p WHERE p.photo_id IN ({listed}) AND {self._condition}"
        met = {int(row[0]) for row in self.session.execute(text(statement), self._values)}
        if self._in_vain is not None:
            self._in_vain = 0 if met else self._in_vain + len(candidates)
        return [one for one in candidates if one.photo_id in met]

    def _those_that_may_meet(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some rows whose photos may meet the conditions."""
        self._in_vain = None
        known = False
        for condition in self.query.conditions:
            found = photos_meeting(self.session, condition, self.columns)
            if found is not None:
                rows, known = rows[np.isin(self._ids[rows], found)], True
        if not known:
            statement = f"SELECT p.photo_id FROM v1_photos p WHERE {self._condition}"
            all_that_meet = [int(row[0]) for row in self.session.execute(text(statement), self._values)]
            rows = rows[np.isin(self._ids[rows], all_that_meet)]
        return rows


def _order(one: Ranked) -> tuple[float, int]:
    return -one.probability, one.photo_id


def search(
    database: Database, session: Session, term: Term, min_probability: float, progress: Progress | None = None
) -> ColumnSearch | None:
    """Return a query that is ready to run; None if the columns are no help with it.

    Parameters
    ----------
    progress
        Is called while columns are made that are not there yet.
    """
    if min_probability <= 0 or not functions.supported(session):
        return None
    query = taken_apart(term)
    if query is None:
        return None
    parts = columns_of(database).parts(session, progress)
    if parts is None:
        return None
    functions.register(session)
    return ColumnSearch(session, query, parts, min_probability)
