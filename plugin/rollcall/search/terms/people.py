"""Terms about the people that a photo shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from rollcall import ages
from rollcall.search.candidates import CandidatePhoto
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms.base import CandidateSources, SqlParameters, Term
from rollcall.search.terms.person_sql import at_least_sql, face_sql, group_sources, over_faces

#: The largest choice of overlapping filters whose faces are counted together; there are 2^n choices of n.
MOST_FILTERS: Final = 4


@dataclass(frozen=True)
class People(Term):
    """At least `count` faces of such people.

    `phrase`: asked for by an everyday phrase, not a field; each phrase asks for faces of its own.
    """

    person: PersonFilter
    count: int = 1
    phrase: bool = True

    def expression(self, parameters: SqlParameters) -> str:
        return at_least_sql(self.person, self.count, parameters)

    def match(self, photo: CandidatePhoto) -> float:
        return photo.at_least(self.person, self.count)

    def condition(self, parameters: SqlParameters) -> str | None:
        return f"p.faces >= {parameters.bind(self.count)}" if self.person.anyone else None

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.count)

    def __str__(self) -> str:
        return f"at least {self.count} of {self.person.describe()}"


@dataclass(frozen=True)
class PeopleCount(Term):
    """The number of faces of such people lies in a range, both ends included."""

    person: PersonFilter
    low: int
    high: int

    def expression(self, parameters: SqlParameters) -> str:
        least = at_least_sql(self.person, self.low, parameters) if self.low > 0 else "1.0"
        return f"MAX({least} - {at_least_sql(self.person, self.high + 1, parameters)}, 0.0)"

    def match(self, photo: CandidatePhoto) -> float:
        least = photo.at_least(self.person, self.low) if self.low > 0 else 1.0
        return max(least - photo.at_least(self.person, self.high + 1), 0.0)

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.low) if self.low > 0 else []

    def __str__(self) -> str:
        span = f"exactly {self.low}" if self.low == self.high else f"from {self.low} to {self.high}"
        return f"{span} of {self.person.describe()}"


@dataclass(frozen=True)
class Only(Term):
    """There are faces, and all of them are of such people."""

    person: PersonFilter

    def expression(self, parameters: SqlParameters) -> str:
        return over_faces(f"all_of({face_sql(self.person, parameters)})")

    def match(self, photo: CandidatePhoto) -> float:
        return float(np.prod([face.probability(self.person) for face in photo.faces])) if photo.faces else 0.0

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, 1)

    def __str__(self) -> str:
        return f"only {self.person.describe()}"


@dataclass(frozen=True)
class AnyOf(Term):
    """At least `count` faces that each pass one filter or more."""

    people: tuple[PersonFilter, ...]
    count: int

    def expression(self, parameters: SqlParameters) -> str:
        terms = [f"{'+' if sign > 0 else '-'} {face_sql(person, parameters)}" for sign, person in self._signed()]
        probability = " ".join(terms).removeprefix("+ ")
        return over_faces(f"at_least({parameters.bind(self.count)}, {probability})")

    def match(self, photo: CandidatePhoto) -> float:
        if self.count > len(photo.faces):
            return 0.0
        signed = self._signed()
        probabilities = [sum(sign * face.probability(person) for sign, person in signed) for face in photo.faces]
        return ages.any_of(probabilities) if self.count == 1 else float(ages.at_least(probabilities)[self.count - 1])

    def _signed(self) -> list[tuple[int, PersonFilter]]:
        """Return filters with signs, 1 or -1: the sum of their probabilities is that of one filter or more.

        Inclusion and exclusion: P(A or B) = P(A) + P(B) - P(A and B), and so on for more.
        """
        result = []
        for size in range(1, len(self.people) + 1):
            for some in combinations(self.people, size):
                shared: PersonFilter | None = some[0]
                for other in some[1:]:
                    shared = None if shared is None else shared.intersection(other)
                if shared is not None:
                    result.append((1 if size % 2 else -1, shared))
        return result

    def __str__(self) -> str:
        return f"at least {self.count} of {' or '.join(person.describe() for person in self.people)}"


@dataclass(frozen=True)
class DistinctPeople(Term):
    """Several people, each a face of its own: a woman and a baby are two faces."""

    people: tuple[People, ...]

    @property
    def total(self) -> int:
        """How many faces there have to be."""
        return sum(one.count for one in self.people)

    def expression(self, parameters: SqlParameters) -> str:
        factors = []
        for requirements in self._requirements():
            expressions = [one.expression(parameters) for one in requirements]
            factors.append(expressions[0] if len(expressions) == 1 else f"least_of({', '.join(expressions)})")
        return f"(CASE WHEN p.faces >= {parameters.bind(self.total)} THEN {' * '.join(factors)} ELSE 0.0 END)"

    def match(self, photo: CandidatePhoto) -> float:
        if len(photo.faces) < self.total:
            return 0.0
        result = 1.0
        for requirements in self._requirements():
            result *= min(one.match(photo) for one in requirements)
        return result

    def candidate_sources(self) -> list[CandidateSources]:
        return [sources for part in self._requirements() for one in part for sources in one.candidate_sources()]

    def _requirements(self) -> list[list[People | AnyOf]]:
        """Return for each cluster of overlapping filters what there have to be enough faces of.

        A face of its own can be assigned to everyone if each choice of the filters has as many faces in all as it
        asks for (Hall's marriage theorem, 1935). Choices of more than `MOST_FILTERS` are left out.
        """
        merged: dict[PersonFilter, int] = {}
        for one in self.people:
            merged[one.person] = merged.get(one.person, 0) + one.count
        return [
            [
                _any_of(people, sum(merged[person] for person in people))
                for size in range(1, min(len(cluster), MOST_FILTERS) + 1)
                for people in combinations(cluster, size)
            ]
            for cluster in _clusters(merged)
        ]

    def __str__(self) -> str:
        return "different faces: " + ", ".join(map(str, self.people))


def _clusters(people: Iterable[PersonFilter]) -> list[list[PersonFilter]]:
    """Return filters in clusters: those of different clusters have no people in common."""
    clusters: list[list[PersonFilter]] = []
    for person in people:
        # A filter may join clusters that were apart.
        near = [c for c in clusters if any(person.intersection(other) is not None for other in c)]
        clusters = [c for c in clusters if c not in near] + [[person, *(other for c in near for other in c)]]
    return clusters


def _any_of(people: Sequence[PersonFilter], count: int) -> People | AnyOf:
    """Return the term of at least `count` faces that pass a filter; a filter within another adds nothing."""
    widest = tuple(person for person in people if not any(person != one and person.is_within(one) for one in people))
    return People(widest[0], count) if len(widest) == 1 else AnyOf(widest, count)
