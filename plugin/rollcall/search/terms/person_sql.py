"""SQL of people: the probability of a face, and of a number of faces on a photo."""

from __future__ import annotations

from rollcall.search.identity import Identity
from rollcall.search.person_filter import STORED_GROUPS, PersonFilter
from rollcall.search.terms.base import (
    GIVEN_SQL,
    CandidateSources,
    InGroup,
    ShowsKnown,
    ShowsPerson,
    SqlParameters,
    WithFaces,
    as_probability,
)


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
    factors = [] if person.identity is None else [identity_sql(person.identity, parameters)]
    if person.age_group is not None:
        factors.append(f"COALESCE(f.p_{person.age_group}, 0.0)")
    elif not person.any_age:
        low, high = parameters.bind(person.low), parameters.bind(person.high)
        factors.append(
            f"(CASE WHEN f.age_source IN {GIVEN_SQL} THEN age_share(f.age_low, f.age_high, {low}, {high})"
            f" ELSE COALESCE(age_mass(f.age_distribution, {low}, {high}), 0.0) END)"
        )
    if person.gender == "female":
        factors.append("COALESCE(f.p_female, 0.0)")
    elif person.gender == "male":
        factors.append("COALESCE(1.0 - f.p_female, 0.0)")
    return " * ".join(factors) or "1.0"


def identity_sql(identity: Identity, parameters: SqlParameters) -> str:
    """Return the expression of the probability that a face, named f, is of somebody."""
    if identity.kind == "people":
        # "IN ()" is no SQL everywhere; no person has the number 0.
        numbers = ", ".join(parameters.bind(number) for number in identity.people or (0,))
        return f"(CASE WHEN f.person_id IN ({numbers}) THEN f.person_probability ELSE 0.0 END)"
    if identity.kind == "known":
        return "(CASE WHEN f.person IS NULL THEN 0.0 ELSE f.person_probability END)"
    return "(CASE WHEN f.person IS NULL THEN 1.0 ELSE 1.0 - f.person_probability END)"


def needs_joint(person: PersonFilter) -> bool:
    """Return whether age and identity of a face depend on each other: where births are known."""
    return person.identity is not None and bool(person.identity.births) and not person.any_age


def group_sources(person: PersonFilter, count: int) -> list[CandidateSources]:
    """Return alternative sources of all photos of such people; each bounds the probability.

    The photos of people by number; else the smallest stored group that all such people belong to.
    """
    if person.identity is not None and person.identity.kind == "people":
        return [(ShowsPerson(person.identity.people),)]
    if person.identity is not None and person.identity.kind == "known":
        return [(ShowsKnown(),)]
    if person.group is not None:
        return [(InGroup(person.group, count),)]
    around = [other for other in STORED_GROUPS if person.is_within(other)]
    if not around:
        return [] if person.identity is None else [(WithFaces(),)]
    smallest = min(around, key=lambda other: (other.high - other.low, other.gender is None))
    return [(InGroup(STORED_GROUPS[smallest], count),)]
