"""Terms combined: all, at least one, not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.terms.base import CandidateSources, SqlParameters, Term


@dataclass(frozen=True)
class And(Term):
    """All of the parts: the product of their probabilities."""

    parts: tuple[Term, ...]

    def expression(self, parameters: SqlParameters) -> str:
        return "(" + " * ".join(part.expression(parameters) for part in self.parts) + ")"

    def match(self, photo: CandidatePhoto) -> float:
        result = 1.0
        for part in self.parts:
            result *= part.match(photo)
        return result

    def condition(self, parameters: SqlParameters) -> str | None:
        return _joined_conditions(self.parts, " AND ", parameters)

    def candidate_sources(self) -> list[CandidateSources]:
        return [sources for part in self.parts for sources in part.candidate_sources()]

    def children(self) -> Sequence[Term]:
        return self.parts

    def __str__(self) -> str:
        return "all of"


@dataclass(frozen=True)
class Or(Term):
    """At least one of the parts: the complement of the product of their complements."""

    parts: tuple[Term, ...]

    def expression(self, parameters: SqlParameters) -> str:
        return "(1.0 - " + " * ".join(f"(1.0 - {part.expression(parameters)})" for part in self.parts) + ")"

    def match(self, photo: CandidatePhoto) -> float:
        result = 1.0
        for part in self.parts:
            result *= 1.0 - part.match(photo)
        return 1.0 - result

    def condition(self, parameters: SqlParameters) -> str | None:
        return _joined_conditions(self.parts, " OR ", parameters)

    def candidate_sources(self) -> list[CandidateSources]:
        each = [part.candidate_sources() for part in self.parts]
        return [tuple(source for alternatives in each for source in alternatives[0])] if all(each) else []

    def children(self) -> Sequence[Term]:
        return self.parts

    def __str__(self) -> str:
        return "any of"


@dataclass(frozen=True)
class Not(Term):
    """Not the part: the complement of its probability."""

    part: Term

    def expression(self, parameters: SqlParameters) -> str:
        return f"(1.0 - {self.part.expression(parameters)})"

    def match(self, photo: CandidatePhoto) -> float:
        return 1.0 - self.part.match(photo)

    def condition(self, parameters: SqlParameters) -> str | None:
        condition = self.part.condition(parameters)
        # SQL's unknown counts as false, and so its opposite is true.
        return None if condition is None else f"NOT COALESCE({condition}, 0)"

    def children(self) -> Sequence[Term]:
        return (self.part,)

    def __str__(self) -> str:
        return "not"


def _joined_conditions(parts: Sequence[Term], operator: str, parameters: SqlParameters) -> str | None:
    if any(part.condition(SqlParameters()) is None for part in parts):
        return None
    return "(" + operator.join(part.condition(parameters) or "" for part in parts) + ")"
