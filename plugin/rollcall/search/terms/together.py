"""People of several terms on the same faces: their probability is that of all together, not a product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.columns.joint import bound, is_supported, joint
from rollcall.search.joint import JointProbability, joint_of_text
from rollcall.search.requirements import Requirement, to_text
from rollcall.search.terms.base import SqlParameters, Term


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
        return (
            f"COALESCE((SELECT joint({parameters.bind(to_text(self.needed))}, f.age_distribution, f.age_source,"
            f" f.age_low, f.age_high, f.p_female) FROM v1_faces f WHERE f.photo_id = p.photo_id), {without_faces})"
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
