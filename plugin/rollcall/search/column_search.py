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
from rollcall.search.column_conditions import photos_meeting, photos_with_tag
from rollcall.search.columns import Columns, columns_of
from rollcall.search.columns.kept import KEPT
from rollcall.search.columns.library import Part
from rollcall.search.columns.reading import day_of
from rollcall.search.columns.segment import EMPTY
from rollcall.search.planning import HIDDEN, SHOWN, conjuncts
from rollcall.search.ranking import Ranked
from rollcall.search.terms import And, Everything, SqlParameters, Term
from rollcall.storage.database import Database
from rollcall.storage.library import CHUNK, chunks

#: Photos that are evaluated at first; each time after that so many times as many.
_FIRST: Final = 512
_FACTOR: Final = 4
#: Photos whose conditions are looked up at a time.
_LOOKED_UP: Final = 128
#: After so many photos of which none meets the conditions, all that may meet them are looked for.
_MOST_IN_VAIN: Final = 1024
#: The same where of the newest photos fewer than one in so many meets them: to look some up takes a moment, all of a
#: tag that many photos have a hundred times as long.
_FEW: Final = 16
#: From so many photos down on, all that are meant are found at once, and only the days of those that are wanted sorted.
_FAR: Final = 1_000
#: Photos that are looked up beyond those that are wanted.
_SPARE: Final = 30
#: Numbers of photos up to this are looked up in a table, of a byte each.
_LARGEST_TABLE: Final = 20_000_000
#: Bounds are raised by this.
_SLACK: Final = 1e-9
_NOTHING: Final = Columns(EMPTY)


class _Rows(NamedTuple):
    """Some photos, as rows of all segments one after the other, with their probabilities or what these are at most."""

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def at(self, chosen: NDArray[np.bool_] | slice) -> _Rows:
        return _Rows(self.rows[chosen], self.probabilities[chosen])


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

    def __init__(
        self,
        database: Database,
        session: Session,
        query: ColumnQuery,
        parts: Sequence[Part],
        min_probability: float,
    ) -> None:
        self.database, self.session, self.min_probability = database, session, min_probability
        known = [(one, photos_with_tag(database, session, one)) for one in query.conditions]
        self.query = query._replace(conditions=tuple(one for one, photo_ids in known if photo_ids is None))
        self.columns = [Columns(part.segment) for part in parts]
        self._photos = sum(len(part.segment.faces) - len(part.outdated) for part in parts)
        self._starts = np.cumsum([0, *map(len, self.columns)])
        self._bound = np.concatenate([self._bounds(part, some) for part, some in zip(parts, self.columns, strict=True)])
        self._ids = np.concatenate([one.photo_ids for one in self.columns])
        for _, photo_ids in known:
            if photo_ids is not None:
                self._bound[~_among(self._ids, photo_ids)] = -1.0
        parameters = SqlParameters.of(session)
        conditions = [SHOWN, *(f"COALESCE({one.condition(parameters)}, false)" for one in self.query.conditions)]
        self._condition, self._values = " AND ".join(conditions), parameters.values
        # How many photos were looked up since one met the conditions; None when all that may meet them are known.
        self._in_vain: int | None = 0

    def _bounds(self, part: Part, columns: Columns) -> NDArray[np.float64]:
        found = KEPT.get(part.segment, self.query.rest, lambda: self._all_bounds(columns))
        result = np.where(found >= self.min_probability, found, -1.0)
        result[part.outdated] = -1.0
        return result

    def _all_bounds(self, columns: Columns) -> NDArray[np.float64]:
        found = self.query.rest.bounds(columns)
        assert found is not None
        # The exact probability is computed in another order, and its last bits may be higher.
        return found if self.query.rest.quick else np.minimum(found + _SLACK, 1.0)

    def count(self) -> int | None:
        """Return how many photos are meant; None where conditions have to be looked up for each."""
        if self.query.conditions:
            return None
        found = self._evaluated(np.flatnonzero(self._bound >= 0))
        return int(self._shown(self._ids[found.rows]).sum())

    def _shown(self, photo_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some photos are shown."""
        hidden = self.session.execute(text(f"SELECT id FROM photos WHERE {HIDDEN}"))
        shown = ~np.isin(photo_ids, [row[0] for row in hidden])
        analysed = self.session.scalar(text("SELECT COUNT(face_count) FROM photos"))
        if analysed != self._photos:
            # Some were deleted since their columns were made.
            there = self.session.execute(text("SELECT id FROM photos"))
            shown &= np.isin(photo_ids, [row[0] for row in there])
        return shown

    def everything(self, wanted: int | None = None) -> list[Ranked]:
        """Return the photos that are meant, the most probable first, by number where they are equally probable.

        All are found, and the first `wanted` returned.
        """
        found = self._certain(np.flatnonzero(self._bound >= 0))
        order = np.lexsort((self._ids[found.rows], -found.probabilities))[:wanted]
        photo_ids, probabilities = self._ids[found.rows[order]], found.probabilities[order]
        return list(map(Ranked, photo_ids.tolist(), probabilities.tolist()))

    def newest(self, wanted: int, behind: tuple[str, int] | None = None, offset: int = 0) -> list[Ranked]:
        """Return photos that are meant, the newest first, by number where they are of one time.

        Parameters
        ----------
        wanted, offset
            How many, and how many to leave out first.
        behind
            The capture time and number of a photo; only those that come after it are returned.
        """
        left = _Rows(np.flatnonzero(self._bound >= 0), self._bound[self._bound >= 0])
        days = np.concatenate([one.days for one in self.columns])
        if behind is None and offset > _FAR:
            return self._newest_from(offset, wanted, self._certain(left.rows), days)
        if behind is not None:
            left = left.at(days[left.rows] <= day_of(behind[0]))
        wanted += offset
        found: list[Ranked] = []
        # Of what meets conditions that are looked up more have to be, and of the others nearly all are shown.
        size = max(2 * wanted, CHUNK) if self.query.conditions else wanted + _SPARE
        while len(left.rows) and len(found) < wanted:
            of_rows = days[left.rows]
            count, size = min(size, len(of_rows)), 2 * size
            chosen = of_rows >= np.partition(of_rows, len(of_rows) - count)[len(of_rows) - count]
            met = self._by_time(self._evaluated(left.rows[chosen]), behind)
            found, left = found + met, left.at(~chosen)
            few = len(found) < wanted and _FEW * len(met) < count
            if few and self.query.conditions and self._in_vain is not None:
                left = self._those_that_may_meet(left)
        return found[offset:wanted]

    def _newest_from(self, offset: int, wanted: int, found: _Rows, days: NDArray[np.int32]) -> list[Ranked]:
        """Return the same of photos that are shown and meant, of which only the days of the wanted ones are sorted."""
        of_rows = days[found.rows]
        if offset >= len(of_rows):
            return []
        stop = min(offset + wanted, len(of_rows))
        newest_first = -np.sort(-of_rows)
        first, last = newest_first[offset], newest_first[stop - 1]
        before = int((of_rows > first).sum())
        page = self._by_time(found.at((of_rows <= first) & (of_rows >= last)))
        return page[offset - before : stop - before]

    def _certain(self, rows: NDArray[np.int64]) -> _Rows:
        """Return those of some rows, ascending, that are meant, shown and meet the conditions."""
        found = self._evaluated(rows)
        ids = self._ids[found.rows]
        return found.at(_among(ids, self._all_meeting()) if self.query.conditions else self._shown(ids))

    def _by_time(self, some: _Rows, behind: tuple[str, int] | None = None) -> list[Ranked]:
        """Return those of some photos that are shown and meet the conditions, the newest first."""
        probability = dict(zip(self._ids[some.rows].tolist(), some.probabilities.tolist(), strict=True))
        rows: list[tuple[str, int]] = []
        for part in chunks(list(probability)):
            listed = ", ".join(map(str, part))
            statement = (
                "SELECT COALESCE(p.taken_local, ''), p.photo_id FROM v1_photos p"
                f" WHERE p.photo_id IN ({listed}) AND {self._condition}"
            )
            rows += [(str(row[0]), int(row[1])) for row in self.session.execute(text(statement), self._values).all()]
        return [
            Ranked(photo_id, probability[photo_id])
            for taken, photo_id in sorted(rows, reverse=True)
            if behind is None or (taken, photo_id) < behind
        ]

    def most_probable(self, wanted: int, behind: Ranked | None = None) -> list[Ranked]:
        """Return the first `wanted` photos, the most probable first, by number where they are equally probable.

        Parameters
        ----------
        behind
            Only photos that come after this one are returned.
        """
        best: list[Ranked] = []
        left = _Rows(np.flatnonzero(self._bound >= 0), self._bound[self._bound >= 0])
        if behind is not None and self.query.rest.quick:
            left = self._behind(left, behind)
        size = max(_FIRST, 2 * wanted)
        while len(left.rows):
            promising, left = self._first(left, size)
            evaluated = self._evaluated(promising.rows)
            if behind is not None:
                evaluated = self._behind(evaluated, behind)
            best = self._merged(best, evaluated, wanted)
            if len(best) == wanted:
                left = self._better(left, best[-1])
            elif self._in_vain is not None and self._in_vain > _MOST_IN_VAIN:
                left = self._those_that_may_meet(left)
            size *= _FACTOR
        return best

    def _merged(self, best: list[Ranked], found: _Rows, wanted: int) -> list[Ranked]:
        """Return the best of those that are known and of those of some rows that meet the conditions."""
        size = _LOOKED_UP
        while len(found.rows):
            if len(best) == wanted:
                found = self._better(found, best[-1])
            leading, found = self._first(found, size)
            ranked = map(Ranked, self._ids[leading.rows].tolist(), leading.probabilities.tolist())
            best = sorted([*best, *self._meeting(list(ranked))], key=_order)[:wanted]
            size = min(size * 2, CHUNK)
        return best

    def _better(self, found: _Rows, last: Ranked) -> _Rows:
        """Return those rows that can come before a photo."""
        equal = (found.probabilities == last.probability) & (self._ids[found.rows] < last.photo_id)
        return found.at((found.probabilities > last.probability) | equal)

    def _behind(self, found: _Rows, first: Ranked) -> _Rows:
        """Return those rows that come after a photo."""
        equal = (found.probabilities == first.probability) & (self._ids[found.rows] > first.photo_id)
        return found.at((found.probabilities < first.probability) | equal)

    def _first(self, found: _Rows, count: int) -> tuple[_Rows, _Rows]:
        """Return the most probable rows, by number where they are equally probable, and the others."""
        if len(found.rows) <= count:
            return found, found.at(slice(0))
        edge = np.partition(found.probabilities, len(found.rows) - count)[len(found.rows) - count]
        chosen = found.probabilities > edge
        equal = np.flatnonzero(found.probabilities == edge)
        missing = count - int(chosen.sum())
        ids = self._ids[found.rows[equal]]
        chosen[equal[np.argpartition(ids, missing - 1)[:missing]]] = True
        return found.at(chosen), found.at(~chosen)

    def _evaluated(self, rows: NDArray[np.int64]) -> _Rows:
        """Return those of some rows, ascending, that are meant, with their probabilities."""
        probabilities = self._bound[rows]
        if not self.query.rest.quick:
            for number, columns in enumerate(self.columns):
                first, last = np.searchsorted(rows, self._starts[number : number + 2])
                if first < last:
                    probabilities[first:last] = self._exactly(columns, rows[first:last] - self._starts[number])
        return _Rows(rows, probabilities).at(probabilities >= self.min_probability)

    def _exactly(self, columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probabilities of some photos of a segment; none is computed twice."""
        rest = self.query.rest
        # What two searches write here at once is the same.
        known = KEPT.get(columns.segment, ("exactly", rest), lambda: np.full(len(columns), np.nan))
        missing = rows[np.isnan(known[rows])]
        if len(missing):
            found = rest.probabilities(columns.at(missing))
            assert found is not None
            known[missing] = found
        return known[rows]

    def _meeting(self, candidates: Sequence[Ranked]) -> list[Ranked]:
        """Return those of some photos that are shown and meet the conditions."""
        if not candidates:
            return []
        listed = ", ".join(str(one.photo_id) for one in candidates)
        statement = f"SELECT p.photo_id FROM v1_photos p WHERE p.photo_id IN ({listed}) AND {self._condition}"
        met = {int(row[0]) for row in self.session.execute(text(statement), self._values).all()}
        if self._in_vain is not None:
            self._in_vain = 0 if met else self._in_vain + len(candidates)
        return [one for one in candidates if one.photo_id in met]

    def _those_that_may_meet(self, found: _Rows) -> _Rows:
        """Return those of some rows whose photos may meet the conditions."""
        self._in_vain = None
        known = False
        for condition in self.query.conditions:
            photo_ids = photos_meeting(self.database, self.session, condition, self.columns)
            if photo_ids is not None:
                found, known = found.at(_among(self._ids[found.rows], photo_ids)), True
        return found if known else found.at(_among(self._ids[found.rows], self._all_meeting()))

    def _all_meeting(self) -> NDArray[np.int64]:
        """Return the numbers of all photos that are shown and meet the conditions."""
        # As one text: a row for each of 100,000 photos takes more than twice as long.
        listed = "group_concat(p.photo_id)" if self.database.is_sqlite else "string_agg(CAST(p.photo_id AS TEXT), ',')"
        statement = f"SELECT {listed} FROM v1_photos p WHERE {self._condition}"
        found = self.session.scalar(text(statement), self._values)
        return np.fromstring(found or "", np.int64, sep=",")


def _among(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which numbers are among some others: by a table, in a tenth of the time that sorting takes."""
    if not len(wanted) or not len(ids):
        return np.zeros(len(ids), np.bool_)
    most = int(max(ids.max(), wanted.max()))
    if most > _LARGEST_TABLE:
        found: NDArray[np.bool_] = np.isin(ids, wanted)
        return found
    table = np.zeros(most + 1, np.bool_)
    table[wanted] = True
    return table[ids]


def _order(one: Ranked) -> tuple[float, int]:
    return -one.probability, one.photo_id


def search(database: Database, session: Session, term: Term, min_probability: float) -> ColumnSearch | None:
    """Return a query that is ready to run; None if the columns are no help with it."""
    if min_probability <= 0:
        return None
    query = taken_apart(term)
    if query is None:
        return None
    parts = columns_of(database).parts(session)
    if parts is None:
        return None
    if functions.supported(session):
        functions.register(session)
    return ColumnSearch(database, session, query, parts, min_probability)
