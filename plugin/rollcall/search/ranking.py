"""The likeliest photos without looking at every one.

Photos come from sources in the order of an upper bound (a stored group's probability, a cosine), and are judged in
batches. When nothing that is still to come can be likelier than what was found, the search is over: the threshold
algorithm of Fagin, Lotem and Naor (2003).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search import functions
from rollcall.search.similarity import SimilarFaces
from rollcall.search.terms import And, CandidateSources, Everything, FaceCount, InGroup, SimilarTo, Sql, Taken, Term
from rollcall.storage.database import Database
from rollcall.tags.rules import NEGLIGIBLE

#: Photos that are shown; p is the view v1_photos. Nearly all are: an index of this would only lead astray, and what is
#: wrapped in a function no index serves.
SHOWN: Final = "COALESCE(p.state, '') IN ('indexed', 'pending') AND p.faces IS NOT NULL"
#: Photos in the first batch; each is twice the one before, up to the most.
_FIRST_BATCH: Final = 256
_LARGEST_BATCH: Final = 8192
#: So few photos of a day, or with so many faces, are all judged.
_FEW: Final = 4_000
#: What is stored was rounded.
_SLACK: Final = 1.001


class Ranked(NamedTuple):
    """A photo that is meant."""

    photo_id: int
    probability: float


class Parts(NamedTuple):
    """A query taken apart: what is certain, and what is likely."""

    condition: str
    narrow: str | None  # the part of the condition that an index serves
    rest: Term
    sql: Sql


def taken_apart(term: Term) -> Parts:
    """Return a query as an SQL condition and the rest, whose probabilities rank what meets the condition."""
    sql = Sql()
    facts, rest, narrow = [SHOWN], [], []
    for part in _flat(term):
        condition = part.condition(sql) if part.condition(Sql()) is not None else None
        if condition is None:
            rest.append(part)
            continue
        facts.append(f"COALESCE({condition}, 0)")
        if isinstance(part, Taken | FaceCount):
            narrow.append(condition)
    remaining = Everything() if not rest else rest[0] if len(rest) == 1 else And(tuple(rest))
    return Parts(" AND ".join(facts), " AND ".join(narrow) or None, remaining, sql)


def _flat(term: Term) -> Iterator[Term]:
    if isinstance(term, And):
        for part in term.parts:
            yield from _flat(part)
    else:
        yield term


def is_stored(source: InGroup, least: float) -> bool:
    """Say whether all photos are stored that show a group with at least this probability; the negligible are not."""
    return source.at_least == 1 or least >= NEGLIGIBLE


def _cut(least: float, cover: CandidateSources) -> float:
    """Return how likely one of a cover's events is at least, where one of them is as likely as `least`."""
    return float(1.0 - (1.0 - min(least, 1.0)) ** (1.0 / len(cover)))


class Search:
    """One query on its way."""

    def __init__(self, database: Database, session: Session, term: Term, least: float) -> None:
        self.database, self.session, self.least = database, session, least
        self.parts = taken_apart(term)
        self.expression = self.parts.rest.sql(self.parts.sql)
        self.similar: dict[int, dict[int, float]] = {}
        # The functions read the mapping when they are called: it fills while the search goes on.
        functions.register(session, self.similar)

    def best(self, wanted: int) -> list[Ranked] | None:
        """Return the first so many photos in their order; None if that takes a look at all."""
        if isinstance(self.parts.rest, Everything):
            return self._certain(wanted)
        covers = [cover for cover in self.parts.rest.candidate_sources() if self._are_stored(cover)]
        if not covers or self._few():
            return None
        return self._walk(min(covers, key=self._size), wanted)

    def _are_stored(self, cover: CandidateSources) -> bool:
        least = _cut(self.least, cover) / _SLACK
        return all(is_stored(source, least) for source in cover if isinstance(source, InGroup))

    def _size(self, cover: CandidateSources) -> int:
        """Return about how many photos a cover begins with; of the likes of a face there are few."""
        total = 0
        for source in cover:
            if isinstance(source, InGroup):
                found = self.session.execute(
                    text(
                        "SELECT COUNT(*) FROM (SELECT 1 FROM photo_groups WHERE name = :name AND at_least = :count"
                        " AND probability >= 0.3 LIMIT 20000)"
                    ),
                    {"name": source.name, "count": source.at_least},
                ).scalar()
                total += 1 + int(found or 0)
        return total

    def _certain(self, wanted: int) -> list[Ranked]:
        """Return photos by number: all that meet the condition are certain."""
        condition = self.parts.condition
        if self._few():
            condition = f"{self.parts.narrow} AND {condition}"
        rows = self.session.execute(
            text(f"SELECT p.photo_id FROM v1_photos p WHERE {condition} ORDER BY p.photo_id LIMIT :most"),
            self.parts.sql.parameters | {"most": wanted},
        )
        return [Ranked(row[0], 1.0) for row in rows]

    def _few(self) -> bool:
        """Say whether an index finds all that can be meant, and they are few."""
        if self.parts.narrow is None:
            return False
        found = self.session.execute(
            text(f"SELECT COUNT(*) FROM (SELECT 1 FROM v1_photos p WHERE {self.parts.narrow} LIMIT :most)"),
            self.parts.sql.parameters | {"most": _FEW + 1},
        ).scalar()
        return int(found or 0) <= _FEW

    def _walk(self, cover: CandidateSources, wanted: int) -> list[Ranked]:
        cut = _cut(self.least, cover)
        sources = [self._source(source, cut / _SLACK, whole=len(cover) > 1) for source in cover]
        last: list[tuple[int, float] | None] = [(0, 1.0)] * len(sources)  # where each is; None: at its end
        best: list[tuple[float, int]] = []  # a heap, the least likely first: probability and the number's opposite
        seen: set[int] = set()
        size = _FIRST_BATCH
        while True:
            batch: dict[int, None] = {}
            for number, source in enumerate(sources):
                part = list(islice(source, size // len(sources)))
                last[number] = part[-1] if part else None
                batch |= dict.fromkeys(photo_id for photo_id, _ in part if photo_id not in seen)
            seen |= batch.keys()
            for photo_id, probability in self._judged(list(batch)):
                entry = (probability, -photo_id)
                if len(best) < wanted:
                    heapq.heappush(best, entry)
                elif entry > best[0]:
                    heapq.heapreplace(best, entry)
            if self._over(last, cut, best, wanted):
                return [Ranked(-number, probability) for probability, number in sorted(best, reverse=True)]
            size = min(size * 2, _LARGEST_BATCH)

    def _over(
        self, last: list[tuple[int, float] | None], cut: float, best: list[tuple[float, int]], wanted: int
    ) -> bool:
        """Say whether no photo that is still to come belongs to the best."""
        left = [at for at in last if at is not None]
        if not left:
            return True
        if len(best) < wanted:
            return False
        none = math.prod(1.0 - (cut if at is None else min(at[1], 1.0)) for at in last)
        to_come = min((1.0 - none) * _SLACK, 1.0)
        probability, number = best[0]
        # Of those that are as likely the lower number comes first, here as in the sources.
        return to_come < probability or (to_come == probability and -number <= min(photo_id for photo_id, _ in left))

    def _source(self, source: InGroup | SimilarTo, least: float, whole: bool) -> Iterator[tuple[int, float]]:
        """Yield photos with their bounds, the highest first; with `whole` SQL is told of all likes beforehand."""
        if isinstance(source, InGroup):
            rows = self.session.execute(
                text(
                    "SELECT photo_id, probability FROM photo_groups WHERE name = :name AND at_least = :count"
                    " AND probability >= :least ORDER BY probability DESC, photo_id"
                ),
                {"name": source.name, "count": source.at_least, "least": least},
            )
            return ((row[0], row[1]) for row in rows)
        likes = SimilarFaces(self.database, self.session, source.face_id)
        known = self.similar.setdefault(source.face_id, likes.all() if whole else {})
        return self._one_by_one(likes, known)

    @staticmethod
    def _one_by_one(likes: SimilarFaces, known: dict[int, float]) -> Iterator[tuple[int, float]]:
        for block in likes.blocks():
            for photo_id, chance in block:
                known.setdefault(photo_id, chance)
            yield from block

    def _judged(self, photo_ids: list[int]) -> list[tuple[int, float]]:
        """Return the photos of a batch that are meant, with their probabilities."""
        listed = ", ".join(map(str, photo_ids))
        rows = self.session.execute(
            text(
                "SELECT photo_id, probability FROM (\n"
                f"  SELECT p.photo_id AS photo_id, {self.expression} AS probability\n"
                f"  FROM v1_photos p\n  WHERE p.photo_id IN ({listed}) AND {self.parts.condition}\n"
                ") AS found WHERE probability >= :least_of_all"
            ),
            self.parts.sql.parameters | {"least_of_all": self.least},
        )
        return [(row[0], row[1]) for row in rows]
