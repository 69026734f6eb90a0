"""The most probable photos without evaluating every one.

Photos come from sources in the order of an upper bound (a stored group's probability, a cosine similarity), and are
evaluated in batches until nothing that is still to come can be more probable than what was found: the threshold
algorithm of Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware" (2003).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search import functions
from rollcall.search.candidates import load_photos
from rollcall.search.identifiers import LARGEST
from rollcall.search.known import faces_that_are_known, known_faces
from rollcall.search.planning import is_complete, take_apart
from rollcall.search.similarity import SimilarFaces
from rollcall.search.terms import (
    CandidateSource,
    CandidateSources,
    Everything,
    InGroup,
    ShowsKnown,
    ShowsPerson,
    Similar,
    SimilarTo,
    SqlParameters,
    Term,
    WithFaces,
)
from rollcall.storage.database import Database

#: Photos in the first batch; each is twice the one before, up to the largest.
_FIRST_BATCH: Final = 256
_LARGEST_BATCH: Final = 8192
#: Up to so many photos of a period, or with a number of faces, are all evaluated.
_FEW: Final = 4_000
#: What is stored was rounded.
_SLACK: Final = 1.001
#: The photos of some people: one or more of their faces is theirs with at most the sum of the probabilities.
_SHOWING: Final = (
    "SELECT photo_id, CASE WHEN total < 1.0 THEN total ELSE 1.0 END FROM ("
    " SELECT f.photo_id AS photo_id, SUM(w.probability) AS total"
    " FROM face_people w JOIN faces f ON f.id = w.face_id WHERE w.person_id IN ({}) GROUP BY f.photo_id) AS found"
    " WHERE total >= :least ORDER BY 2 DESC, 1"
)


class Ranked(NamedTuple):
    """A photo that is meant."""

    photo_id: int
    probability: float


class RankedSearch:
    """One query as it runs.

    Parameters
    ----------
    min_probability
        Photos with a lower probability are left out; above 0.
    """

    def __init__(self, database: Database, session: Session, term: Term, min_probability: float) -> None:
        self.database, self.session, self.min_probability = database, session, min_probability
        self.parts = take_apart(term, SqlParameters.of(session))
        self.similar: dict[int, dict[int, float]] = {}
        self._in_sql = functions.supported(session)
        if self._in_sql:
            self.expression = self.parts.rest.expression(self.parts.parameters)
            # The functions read the mapping when they are called: it fills while the search goes on.
            functions.register(session, self.similar)

    def most_probable(self, wanted: int) -> list[Ranked] | None:
        """Return the first `wanted` photos, the most probable first; None if every photo has to be evaluated."""
        if isinstance(self.parts.rest, Everything):
            return self._certain(wanted)
        alternatives = [sources for sources in self.parts.rest.candidate_sources() if self._are_complete(sources)]
        if not alternatives or self._has_few():
            return None
        smallest = alternatives[0] if len(alternatives) == 1 else min(alternatives, key=self._size)
        return self._threshold_search(smallest, wanted)

    def _are_complete(self, sources: CandidateSources) -> bool:
        least = _least_of_one(self.min_probability, sources) / _SLACK
        return all(is_complete(source, least) for source in sources if isinstance(source, InGroup))

    def _size(self, sources: CandidateSources) -> int:
        """Return about how many probable photos the sources have; a face is similar to few."""
        total = 0
        for source in sources:
            if isinstance(source, InGroup):
                found = self.session.execute(
                    text(
                        "SELECT COUNT(*) FROM (SELECT 1 FROM photo_groups WHERE name = :name AND at_least = :count"
                        " AND probability >= 0.3 LIMIT 20000) AS few"
                    ),
                    {"name": source.name, "count": source.at_least},
                ).scalar()
                total += 1 + int(found or 0)
            elif isinstance(source, ShowsPerson):
                found = self.session.execute(
                    text(f"SELECT COUNT(*) FROM face_people WHERE person_id IN ({_numbers(source.people)})")
                ).scalar()
                total += 1 + int(found or 0)
            elif isinstance(source, ShowsKnown):
                total += 1 + len(known_faces(self.database, self.session).all.photo_ids)
            elif isinstance(source, WithFaces):
                # Any other source has fewer.
                total += LARGEST
        return total

    def _certain(self, wanted: int) -> list[Ranked]:
        """Return photos by number: all that meet the condition are certain."""
        condition = self.parts.condition
        if self._has_few():
            condition = f"{self.parts.indexed_condition} AND {condition}"
        rows = self.session.execute(
            text(f"SELECT p.photo_id FROM v1_photos p WHERE {condition} ORDER BY p.photo_id LIMIT :most"),
            self.parts.parameters.values | {"most": wanted},
        )
        return [Ranked(row[0], 1.0) for row in rows]

    def _has_few(self) -> bool:
        """Return whether an index finds all photos that can be meant, and they are few."""
        if self.parts.indexed_condition is None:
            return False
        few = f"SELECT 1 FROM v1_photos p WHERE {self.parts.indexed_condition} LIMIT :most"
        found = self.session.execute(
            text(f"SELECT COUNT(*) FROM ({few}) AS few"),
            self.parts.parameters.values | {"most": _FEW + 1},
        ).scalar()
        return int(found or 0) <= _FEW

    def _threshold_search(self, sources: CandidateSources, wanted: int) -> list[Ranked]:
        least = _least_of_one(self.min_probability, sources)
        for term in self.parts.rest.walk():
            # A face that no stream compares with has an influence all the same.
            if isinstance(term, Similar) and SimilarTo(term.face_id) not in sources:
                self.similar[term.face_id] = SimilarFaces(self.database, self.session, term.face_id).all()
        streams = [self._stream(source, least / _SLACK, complete=len(sources) > 1) for source in sources]
        last: list[Ranked | None] = [Ranked(0, 1.0)] * len(streams)  # where each stream is; None: at its end
        best: list[tuple[float, int]] = []  # a heap, the least probable first: probability and negative number
        seen: set[int] = set()
        size = _FIRST_BATCH
        while True:
            batch: dict[int, None] = {}
            for number, stream in enumerate(streams):
                part = list(islice(stream, size // len(streams)))
                last[number] = part[-1] if part else None
                batch |= dict.fromkeys(one.photo_id for one in part if one.photo_id not in seen)
            seen |= batch.keys()
            floor = best[0][0] if len(best) == wanted else self.min_probability
            for photo_id, probability in self._evaluate(self._promising(list(batch), floor)):
                entry = (probability, -photo_id)
                if len(best) < wanted:
                    heapq.heappush(best, entry)
                elif entry > best[0]:
                    heapq.heapreplace(best, entry)
            if _is_over(last, least, best, wanted):
                return [Ranked(-number, probability) for probability, number in sorted(best, reverse=True)]
            size = min(size * 2, _LARGEST_BATCH)

    def _stream(self, source: CandidateSource, least: float, complete: bool) -> Iterator[Ranked]:
        """Yield photos with their upper bounds, the highest first.

        With `complete` SQL knows all similar photos of a face from the start: it may evaluate one of another source
        before it comes from this.
        """
        if isinstance(source, InGroup):
            rows = self.session.execute(
                text(
                    "SELECT photo_id, probability FROM photo_groups WHERE name = :name AND at_least = :count"
                    " AND probability >= :least ORDER BY probability DESC, photo_id"
                ),
                {"name": source.name, "count": source.at_least, "least": least},
            )
            return (Ranked(row[0], row[1]) for row in rows)
        if isinstance(source, ShowsPerson | ShowsKnown):
            return self._showing(source, least)
        if isinstance(source, WithFaces):
            rows = self.session.execute(text("SELECT id FROM photos WHERE face_count > 0 ORDER BY id"))
            return (Ranked(row[0], 1.0) for row in rows)
        faces = SimilarFaces(self.database, self.session, source.face_id)
        known = self.similar.setdefault(source.face_id, faces.all() if complete else {})
        return _by_similarity(faces, known)

    def _showing(self, source: ShowsPerson | ShowsKnown, least: float) -> Iterator[Ranked]:
        if isinstance(source, ShowsPerson):
            known = faces_that_are_known(self.database, self.session)
            if known is None or not np.isin(source.people, known.people).all():
                # Something was committed since; or it is somebody without a name, who is asked for by number.
                rows = self.session.execute(text(_SHOWING.format(_numbers(source.people))), {"least": least})
                yield from (Ranked(row[0], row[1]) for row in rows)
                return
            found = known.of(source.people)
        else:
            found = known_faces(self.database, self.session).all
        end = int(np.searchsorted(-found.at_most, -least, side="right"))
        for start in range(0, end, _LARGEST_BATCH):
            some = slice(start, min(start + _LARGEST_BATCH, end))
            yield from map(Ranked, found.photo_ids[some].tolist(), found.at_most[some].tolist())

    def _promising(self, photo_ids: list[int], floor: float) -> list[int]:
        """Return the photos of a batch that no stored group rules out to be as probable as `floor`.

        A woman and a baby are not more probable than the woman alone: looking this up is much quicker than evaluating.
        """
        groups = [
            sources[0]
            for sources in self.parts.rest.candidate_sources()
            if len(sources) == 1 and isinstance(sources[0], InGroup) and is_complete(sources[0], floor / _SLACK)
        ]
        if len(groups) < 2 or not photo_ids:
            return photo_ids
        values: dict[str, object] = {"floor": floor / _SLACK}
        conditions = []
        for number, group in enumerate(dict.fromkeys(groups)):
            values |= {f"name{number}": group.name, f"count{number}": group.at_least}
            conditions.append(
                f"EXISTS (SELECT 1 FROM photo_groups g WHERE g.photo_id = p.id AND g.name = :name{number}"
                f" AND g.at_least = :count{number} AND g.probability >= :floor)"
            )
        listed = ", ".join(map(str, photo_ids))
        rows = self.session.execute(
            text(f"SELECT p.id FROM photos p WHERE p.id IN ({listed}) AND {' AND '.join(conditions)}"), values
        )
        return [row[0] for row in rows]

    def _evaluate(self, photo_ids: list[int]) -> list[Ranked]:
        """Return the photos of a batch that are meant."""
        if not self._in_sql:
            return self._in_memory(photo_ids)
        listed = ", ".join(map(str, photo_ids))
        # Cut off here and not in SQL, which would evaluate the expression once more for its condition.
        rows = self.session.execute(
            text(
                f"SELECT p.photo_id, {self.expression} FROM v1_photos p"
                f" WHERE p.photo_id IN ({listed}) AND {self.parts.condition}"
            ),
            self.parts.parameters.values,
        )
        # It is NULL where an estimate that it needs is switched off.
        return [Ranked(row[0], row[1]) for row in rows if row[1] is not None and row[1] >= self.min_probability]

    def _in_memory(self, photo_ids: list[int]) -> list[Ranked]:
        """Return the photos of a batch that are meant, where the database has no functions of probabilities."""
        if not photo_ids:
            return []
        rows = self.session.execute(
            text(
                f"SELECT p.photo_id FROM v1_photos p WHERE p.photo_id IN ({', '.join(map(str, photo_ids))})"
                f" AND {self.parts.condition}"
            ),
            self.parts.parameters.values,
        )
        found = (
            Ranked(photo.photo_id, self.parts.rest.match(photo))
            for photo in load_photos(self.session, [row[0] for row in rows], self.similar)
        )
        return [one for one in found if one.probability >= self.min_probability]


def _numbers(people: Sequence[int]) -> str:
    """Return the numbers of people as a list of SQL, never empty: no person has the number 0."""
    return ", ".join(map(str, people or (0,)))


def _least_of_one(probability: float, sources: CandidateSources) -> float:
    """Return what the most probable of n events has at least, if one or more happens with a probability of p: p / n.

    The events may exclude each other (a face is a child or an adult), so no more than the sum bounds their union.
    """
    return min(probability, 1.0) / len(sources)


def _is_over(last: list[Ranked | None], least: float, best: list[tuple[float, int]], wanted: int) -> bool:
    """Return whether no photo that is still to come belongs to the best."""
    left = [one for one in last if one is not None]
    if not left:
        return True
    if len(best) < wanted:
        return False
    bound = min(sum(least if one is None else one.probability for one in last) * _SLACK, 1.0)
    probability, number = best[0]
    # Of equally probable photos the lower number comes first, here as in the sources.
    return bound < probability or (bound == probability and -number <= min(one.photo_id for one in left))


def _by_similarity(faces: SimilarFaces, known: dict[int, float]) -> Iterator[Ranked]:
    """Yield the photos of similar faces, and put each block's into `known` before it is yielded."""
    for block in faces.blocks():
        for photo_id, probability in block:
            known.setdefault(photo_id, probability)
        yield from (Ranked(photo_id, probability) for photo_id, probability in block)
