"""SQL of people: the probability of a face, and of a number of faces on a photo."""

from __future__ import annotations

from rollcall.search.person_filter import STORED_GROUPS, PersonFilter
from rollcall.search.terms.base import CandidateSources, InGroup, SqlParameters, as_probability


def at_least_sql(person: PersonFilter, count: int, parameters: SqlParameters) -> str:
    """Return the expression of the probability that photo p shows at least `count` of such people."""
    if person.anyone:
        return as_probability(f"p.faces >= {parameters.bind(count)}")
    if person.group is not None:
        stored = (
            "(SELECT g.probability FROM photo_groups g WHERE g.photo_id = p.photo_id"
            f" AND g.name = {parameters.bind(person.group)} AND g.at_least = {parameters.bind(count)})"
        )
        if count == 1:
            return f"COALESCE({stored}, 0.0)"
        # That of several faces is not stored where it is small: see tags.rules.NEGLIGIBLE.
        counted = over_faces(f"at_least({parameters.bind(count)}, {face_sql(person, parameters)})")
        return f"CASE WHEN p.faces >= {parameters.bind(count)} THEN COALESCE({stored}, {counted}) ELSE 0.0 END"
    return over_faces(f"at_least({parameters.bind(count)}, {face_sql(person, parameters)})")


def over_faces(aggregate: str) -> str:
    """Return the expression of an aggregate over the faces, named f, of photo p; 0 without faces."""
    return f"COALESCE((SELECT {aggregate} FROM v1_faces f WHERE f.photo_id = p.photo_id), 0.0)"


def face_sql(person: PersonFilter, parameters: SqlParameters) -> str:
    """Return the expression of the probability that a face, named f, is of such a person."""
    factors = []
    if person.age_group is not None:
        factors.append(f"COALESCE(f.p_{person.age_group}, 0.0)")
    elif not person.any_age:
        low, high = parameters.bind(person.low), parameters.bind(person.high)
        factors.append(
            f"(CASE WHEN f.age_source IN ('user', 'birth_date') THEN age_share(f.age_low, f.age_high, {low}, {high})"
            f" ELSE COALESCE(age_mass(f.age_distribution, {low}, {high}), 0.0) END)"
        )
    if person.gender == "female":
        factors.append("COALESCE(f.p_female, 0.0)")
    elif person.gender == "male":
        factors.append("COALESCE(1.0 - f.p_female, 0.0)")
    return " * ".join(factors) or "1.0"


def group_sources(person: PersonFilter, count: int) -> list[CandidateSources]:
    """Return the smallest stored group that all such people belong to: it bounds the probability."""
    if person.group is not None:
        return [(InGroup(person.group, count),)]
    around = [other for other in STORED_GROUPS if person.is_within(other)]
    if not around:
        return []
    smallest = min(around, key=lambda other: (other.high - other.low, other.gender is None))
    return [(InGroup(STORED_GROUPS[smallest], count),)]
