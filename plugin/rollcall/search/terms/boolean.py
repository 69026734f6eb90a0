"""Terms combined: all, at least one, not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.requirements import Combined, Requirement
from rollcall.search.terms.base import CandidateSources, SqlParameters, Term
from rollcall.search.terms.together import apart, with_births


@dataclass(frozen=True)
class And(Term):
    """All of the parts: the product of their probabilities; parts about the same faces are taken together."""

    parts: tuple[Term, ...]

    def expression(self, parameters: SqlParameters) -> str:
        return "(" + " * ".join(part.expression(parameters) for part in self._apart()) + ")"

    def match(self, photo: CandidatePhoto) -> float:
        result = 1.0
        for part in self._apart():
            result *= part.match(photo)
        return result

    @property
    def quick(self) -> bool:  # type: ignore[override]
        return all(part.quick for part in self._apart())

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        return _product([part.probabilities(columns) for part in self._apart()])

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        return _product([part.bounds(columns) for part in self._apart()])

    def _apart(self) -> list[Term]:
        flat = [inner for part in self.parts for inner in (part.parts if isinstance(part, And) else (part,))]
        return apart(flat, And)

    def requirement(self) -> Requirement | None:
        return _combined("all", self.parts)

    def condition(self, parameters: SqlParameters) -> str | None:
        return _joined_conditions(self.parts, " AND ", parameters)

    def candidate_sources(self) -> list[CandidateSources]:
        return with_births([sources for part in self.parts for sources in part.candidate_sources()], self.parts)

    def children(self) -> Sequence[Term]:
        return self.parts

    def __str__(self) -> str:
        return "all of"


@dataclass(frozen=True)
class Or(Term):
    """At least one of the parts: the complement of the product of their complements.

    Parts about the same faces are taken together.
    """

    parts: tuple[Term, ...]

    def expression(self, parameters: SqlParameters) -> str:
        return "(1.0 - " + " * ".join(f"(1.0 - {part.expression(parameters)})" for part in self._apart()) + ")"

    def match(self, photo: CandidatePhoto) -> float:
        result = 1.0
        for part in self._apart():
            result *= 1.0 - part.match(photo)
        return 1.0 - result

    @property
    def quick(self) -> bool:  # type: ignore[override]
        return all(part.quick for part in self._apart())

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        return _complement(_product([_complement(part.probabilities(columns)) for part in self._apart()]))

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        return _complement(_product([_complement(part.bounds(columns)) for part in self._apart()]))

    def _apart(self) -> list[Term]:
        return apart(self.parts, Or)

    def requirement(self) -> Requirement | None:
        return _combined("any", self.parts)

    def condition(self, parameters: SqlParameters) -> str | None:
        return _joined_conditions(self.parts, " OR ", parameters)

    def candidate_sources(self) -> list[CandidateSources]:
        each = [part.candidate_sources() for part in self.parts]
        if not all(each):
            return []
        return with_births([tuple(source for alternatives in each for source in alternatives[0])], self.parts)

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

    @property
    def quick(self) -> bool:  # type: ignore[override]
        return self.part.quick

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        return _complement(self.part.probabilities(columns))

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        if self.part.quick:
            return self.probabilities(columns)
        return None if self.part.bounds(columns) is None else np.ones(len(columns))

    def requirement(self) -> Requirement | None:
        return _combined("not", (self.part,))

    def condition(self, parameters: SqlParameters) -> str | None:
        condition = self.part.condition(parameters)
        # SQL's unknown counts as false, and so its opposite is true.
        return None if condition is None else f"NOT COALESCE({condition}, false)"

    def children(self) -> Sequence[Term]:
        return (self.part,)

    def __str__(self) -> str:
        return "not"


def _product(factors: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    result: NDArray[np.float64] | None = None
    for factor in factors:
        if factor is None:
            return None
        result = factor if result is None else result * factor
    return result


def _complement(probabilities: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if probabilities is None else 1.0 - probabilities


def _joined_conditions(parts: Sequence[Term], operator: str, parameters: SqlParameters) -> str | None:
    if any(part.condition(SqlParameters()) is None for part in parts):
        return None
    return "(" + operator.join(part.condition(parameters) or "" for part in parts) + ")"


def _combined(kind: Literal["all", "any", "not"], parts: Sequence[Term]) -> Requirement | None:
    found = [part.requirement() for part in parts]
    needed = tuple(one for one in found if one is not None)
    return Combined(kind, needed) if len(needed) == len(parts) else None
