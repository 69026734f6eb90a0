"""Terms about the people that a photo shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.columns.columns import all_of, at_least
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import MOST_FACES, Combined, FacesInRange, Requirement
from rollcall.search.terms.base import CandidateSources, SqlParameters, Term
from rollcall.search.terms.person_sql import at_least_sql, face_sql, group_sources, needs_joint, over_faces
from rollcall.search.terms.together import Together, joint_of, with_births


@dataclass(frozen=True)
class People(Term):
    """At least `count` faces of such people.

    `phrase`: asked for by an everyday phrase, not a field; each phrase asks for faces of its own.
    """

    person: PersonFilter
    count: int = 1
    phrase: bool = True

    def expression(self, parameters: SqlParameters) -> str:
        if needs_joint(self.person):
            return Together(self.requirement()).expression(parameters)
        return at_least_sql(self.person, self.count, parameters)

    def match(self, photo: CandidatePhoto) -> float:
        return photo.at_least(self.person, self.count)

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        if self.person.identity is not None:
            return None
        if self.person.anyone:
            return (columns.faces >= self.count).astype(np.float64)
        return at_least(columns, self.person, self.count)

    def condition(self, parameters: SqlParameters) -> str | None:
        return f"p.faces >= {parameters.bind(self.count)}" if self.person.anyone else None

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.count)

    def requirement(self) -> Requirement:
        return FacesInRange((self.person,), self.count)

    def people(self) -> Sequence[PersonFilter]:
        return (self.person,)

    def __str__(self) -> str:
        return f"at least {self.count} of {self.person.describe()}"


class OfFaces(Term):
    """A term about nothing but faces, whose probability is that of its requirement."""

    quick = False

    def expression(self, parameters: SqlParameters) -> str:
        return self._together().expression(parameters)

    def match(self, photo: CandidatePhoto) -> float:
        return self._together().match(photo)

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        return self._together().probabilities(columns)

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        return self._together().bounds(columns)

    def _together(self) -> Together:
        needed = self.requirement()
        assert needed is not None
        return Together(needed)


@dataclass(frozen=True)
class PeopleCount(OfFaces):
    """The number of faces of such people lies in a range, both ends included."""

    person: PersonFilter
    low: int
    high: int

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, self.low) if self.low > 0 else []

    def requirement(self) -> Requirement:
        return FacesInRange((self.person,), self.low, self.high)

    def people(self) -> Sequence[PersonFilter]:
        return (self.person,)

    def __str__(self) -> str:
        if self.high >= MOST_FACES:
            return f"at least {self.low} of {self.person.describe()}"
        span = f"exactly {self.low}" if self.low == self.high else f"from {self.low} to {self.high}"
        return f"{span} of {self.person.describe()}"


@dataclass(frozen=True)
class Only(Term):
    """There are faces, and all of them are of such people."""

    person: PersonFilter

    def expression(self, parameters: SqlParameters) -> str:
        if needs_joint(self.person):
            return Together(self.requirement()).expression(parameters)
        return over_faces(f"all_of({face_sql(self.person, parameters)})")

    def match(self, photo: CandidatePhoto) -> float:
        return float(np.prod([face.probability(self.person) for face in photo.faces])) if photo.faces else 0.0

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        return all_of(columns, self.person) if self.person.identity is None else None

    def candidate_sources(self) -> list[CandidateSources]:
        return group_sources(self.person, 1)

    def requirement(self) -> Requirement:
        return _nobody_else((self.person,))

    def people(self) -> Sequence[PersonFilter]:
        return (self.person,)

    def __str__(self) -> str:
        return f"only {self.person.describe()}"


@dataclass(frozen=True)
class OnlyAnyOf(OfFaces):
    """There are faces, and each of them is of one of several kinds of people."""

    kinds: tuple[PersonFilter, ...]

    def candidate_sources(self) -> list[CandidateSources]:
        each = [group_sources(person, 1) for person in self.kinds]
        return [tuple(source for sources in each for source in sources[0])] if all(each) else []

    def requirement(self) -> Requirement:
        return _nobody_else(self.kinds)

    def people(self) -> Sequence[PersonFilter]:
        return self.kinds

    def __str__(self) -> str:
        return f"only {' or '.join(person.describe() for person in self.kinds)}"


@dataclass(frozen=True)
class DistinctPeople(Term):
    """Several people, each a face of its own: a woman and a baby are two faces.

    The probability is that of an assignment of different faces to all of them, whichever it is.
    """

    kinds: tuple[People, ...]
    quick = False

    @property
    def total(self) -> int:
        """How many faces there have to be."""
        return sum(one.count for one in self.kinds)

    def expression(self, parameters: SqlParameters) -> str:
        needed = self.requirement()
        if joint_of(needed).exact:
            found = Together(needed).expression(parameters)
        else:
            found = f"least_of({', '.join(one.expression(parameters) for one in self._single())})"
        return f"(CASE WHEN p.faces >= {parameters.bind(self.total)} THEN {found} ELSE 0.0 END)"

    def match(self, photo: CandidatePhoto) -> float:
        if len(photo.faces) < self.total:
            return 0.0
        needed = self.requirement()
        if joint_of(needed).exact:
            return Together(needed).match(photo)
        # Too many kinds at once: no assignment is more probable than any one of them.
        return min(one.match(photo) for one in self._single())

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        if not joint_of(self.requirement()).exact:
            return self.bounds(columns)
        found = Together(self.requirement()).probabilities(columns)
        return None if found is None else np.where(columns.faces >= self.total, found, 0.0)

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        found: NDArray[np.float64] | None
        if joint_of(self.requirement()).exact:
            found = Together(self.requirement()).bounds(columns)
        else:
            found = _least([one.probabilities(columns) for one in self._single()])
        return None if found is None else np.where(columns.faces >= self.total, found, 0.0)

    def candidate_sources(self) -> list[CandidateSources]:
        return with_births([sources for one in self._single() for sources in one.candidate_sources()], self.kinds)

    def requirement(self) -> Requirement:
        """Return for each choice of the kinds that there are as many faces in all as it asks for.

        Then a face of its own can be assigned to everyone (Hall's marriage theorem, 1935). Kinds without people in
        common need no choice of both.
        """
        merged = self._merged()
        return Combined(
            "all",
            tuple(
                FacesInRange(choice, sum(merged[person] for person in choice))
                for cluster in _clusters(merged)
                for size in range(1, len(cluster) + 1)
                for choice in combinations(cluster, size)
            ),
        )

    def people(self) -> Sequence[PersonFilter]:
        return tuple(one.person for one in self.kinds)

    def _merged(self) -> dict[PersonFilter, int]:
        merged: dict[PersonFilter, int] = {}
        for one in self.kinds:
            merged[one.person] = merged.get(one.person, 0) + one.count
        return merged

    def _single(self) -> list[People]:
        """Return how many faces each kind needs, with those of the kinds within it."""
        merged = self._merged()
        return [
            People(person, sum(count for other, count in merged.items() if other.is_within(person)))
            for person in merged
        ]

    def __str__(self) -> str:
        return "different faces: " + ", ".join(map(str, self.kinds))


def _least(probabilities: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    known = [one for one in probabilities if one is not None]
    return np.min(known, axis=0) if len(known) == len(probabilities) else None


def _nobody_else(kinds: tuple[PersonFilter, ...]) -> Requirement:
    anyone = FacesInRange((PersonFilter(),), 1)
    return Combined("all", (anyone, FacesInRange(kinds, 0, 0, outside=True)))


def _clusters(people: Iterable[PersonFilter]) -> list[list[PersonFilter]]:
    """Return filters in clusters: those of different clusters have no people in common."""
    clusters: list[list[PersonFilter]] = []
    for person in people:
        # A filter may join clusters that were apart.
        near = [c for c in clusters if any(person.intersection(other) is not None for other in c)]
        clusters = [c for c in clusters if c not in near] + [[person, *(other for c in near for other in c)]]
    return clusters
