"""People of several terms on the same faces: their probability is that of all together, not a product."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.columns.joint import bound, is_supported, joint
from rollcall.search.identity import births_in
from rollcall.search.joint import JointProbability, joint_of_text
from rollcall.search.requirements import Requirement, to_text
from rollcall.search.terms.base import CandidateSources, InGroup, ShowsPerson, SqlParameters, Term


@lru_cache(maxsize=256)
def joint_of(requirement: Requirement) -> JointProbability:
    """Return the probability of a requirement, prepared once."""
    return joint_of_text(to_text(requirement))


@dataclass(frozen=True)
class Together(Term):
    """The faces of a photo meet a requirement; `requirement` has an exact probability."""

    needed: Requirement
    quick = False

    def expression(self, parameters: SqlParameters) -> str:
        without_faces = joint_of(self.needed).of(())
        name, columns = "joint", "f.age_distribution, f.age_source, f.age_low, f.age_high, f.p_female"
        if joint_of(self.needed).asks_identity:
            name = "joint_named"
            columns += ", f.person_id, f.person_probability, f.person IS NOT NULL, p.taken_local"
        return (
            f"COALESCE((SELECT {name}({parameters.bind(to_text(self.needed))}, {columns})"
            f" FROM v1_faces f WHERE f.photo_id = p.photo_id), {without_faces})"
        )

    def match(self, photo: CandidatePhoto) -> float:
        return joint_of(self.needed).of(photo.face_probabilities())

    def probabilities(self, columns: Columns) -> NDArray[np.float64] | None:
        prepared = joint_of(self.needed)
        return joint(columns, prepared) if is_supported(prepared) else None

    def bounds(self, columns: Columns) -> NDArray[np.float64] | None:
        if not is_supported(joint_of(self.needed)):
            return None
        found = bound(columns, self.needed)
        return np.ones(len(columns)) if found is None else found

    def __str__(self) -> str:
        return "together"


def with_births(sources: list[CandidateSources], terms: Iterable[Term]) -> list[CandidateSources]:
    """Return sources that bound the probability also where people are of the ages that their births tell.

    The stored groups know the faces' own ages. Where these are not meant the photo shows somebody whose birth is
    known, so that the photos of these people make up for the difference.
    """
    people = births_in(person.identity for term in terms for one in term.walk() for person in one.people())
    if not people:
        return sources
    return [
        (*some, ShowsPerson(tuple(people))) if any(isinstance(one, InGroup) for one in some) else some
        for some in sources
    ]


def apart(parts: Sequence[Term], kind: type[Term]) -> list[Term]:
    """Return parts that are independent of each other: those about the same faces as one.

    Parameters
    ----------
    kind
        `And` or `Or`: what the parts are combined by.
    """
    same_faces = [part for part in parts if part.requirement() is not None and part.condition(SqlParameters()) is None]
    if len(same_faces) < 2:
        return list(parts)
    requirement = kind(tuple(same_faces)).requirement()  # type: ignore[call-arg]
    if requirement is None or not joint_of(requirement).exact:
        return list(parts)
    return [Together(requirement), *(part for part in parts if part not in same_faces)]
