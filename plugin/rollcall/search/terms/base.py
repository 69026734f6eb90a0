"""What every term of a query offers: an SQL expression, a match in memory, and sources of candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from rollcall.records import GIVEN_AGES
from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import Requirement

#: Where ages come from that are no predictions, as a list of SQL.
GIVEN_SQL: Final = f"({', '.join(repr(source) for source in GIVEN_AGES)})"


@dataclass
class SqlParameters:
    """Collects the parameters of a statement while terms are compiled."""

    values: dict[str, Any] = field(default_factory=dict)
    postgresql: bool = False  # the statement is one for PostgreSQL

    @classmethod
    def of(cls, session: Session) -> SqlParameters:
        """Return parameters of no statement yet, for the database of a session."""
        return cls(postgresql=session.get_bind().dialect.name == "postgresql")

    def bind(self, value: Any) -> str:
        """Return the placeholder of a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"


class InGroup(NamedTuple):
    """Photos in the order of the stored probability that they show at least so many of a group."""

    name: str
    at_least: int


class SimilarTo(NamedTuple):
    """Photos in the order of the probability that they show the person of a face."""

    face_id: int


class ShowsPerson(NamedTuple):
    """Photos in the order of the probability that they show one of some people, by their numbers."""

    people: tuple[int, ...]


class ShowsKnown(NamedTuple):
    """Photos in the order of the probability that they show somebody with a name."""


class WithFaces(NamedTuple):
    """Every photo that shows a face, by number: what may be as probable as 1 and is bounded by nothing stored."""


#: A source of photos.
CandidateSource = InGroup | SimilarTo | ShowsPerson | ShowsKnown | WithFaces
#: Sources of photos. Every photo that may be meant comes from at least one of them, and its probability is no higher
#: than the sum of those of the sources' events.
CandidateSources = tuple[CandidateSource, ...]


class Term(ABC):
    """A part of a query."""

    #: Whether `probabilities` takes no longer than `bounds`.
    quick: bool = True

    @abstractmethod
    def expression(self, parameters: SqlParameters) -> str:
        """Return an SQL expression of the probability, over `v1_photos` named p."""

    @abstractmethod
    def match(self, photo: CandidatePhoto) -> float:
        """Return the probability that the photo is meant."""

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        """Return the same probability of n photos, (n,), from their columns; None where they do not have what it needs.

        Whether it is None does not depend on the photos.
        """
        return None

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        """Return what that probability is at most, (n,), or itself; None as of `probabilities`."""
        return self.probabilities(columns)

    def candidate_sources(self) -> list[CandidateSources]:
        """Return alternative sources of every photo that may be meant; one of them is enough."""
        return []

    def condition(self, parameters: SqlParameters) -> str | None:
        """Return an SQL condition instead of the expression where the probability can only be 0 or 1, else None."""
        return None

    def requirement(self) -> Requirement | None:
        """Return what the faces of a photo have to meet where nothing else matters, else None."""
        return None

    def people(self) -> Sequence[PersonFilter]:
        """Return the people that this term itself asks for, without those below."""
        return ()

    def children(self) -> Sequence[Term]:
        """Return the terms below."""
        return ()

    def walk(self) -> Iterator[Term]:
        """Yield this term and all terms below it."""
        yield self
        for child in self.children():
            yield from child.walk()

    @abstractmethod
    def __str__(self) -> str: ...


def as_probability(condition: str) -> str:
    """Return the SQL expression that is 1 where a condition holds, and 0 elsewhere."""
    return f"(CASE WHEN {condition} THEN 1.0 ELSE 0.0 END)"
