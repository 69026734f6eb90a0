"""Narrowing the people of a noun: by an adjective before it, by ages in numbers behind it."""

from __future__ import annotations

from rollcall.ages import AGE_GROUPS
from rollcall.search.identity import KNOWN, UNKNOWN
from rollcall.search.person_filter import PersonFilter
from rollcall.search.vocabulary import ADJECTIVES, STRETCHED_AGES, YOUNG_CHILDREN


def with_adjective(person: PersonFilter, adjective: str) -> PersonFilter | None:
    """Return the people that an adjective leaves of a noun's; None if the two do not fit together."""
    if adjective in ("female", "male"):
        return person._replace(gender=adjective) if person.gender in (None, adjective) else None
    if adjective in ("known", "unknown"):
        return person._replace(identity=KNOWN if adjective == "known" else UNKNOWN) if person.identity is None else None
    ages = ADJECTIVES[adjective]
    assert ages is not None
    children = person.high <= AGE_GROUPS["children"].high
    if children and adjective in ("young", "little", "small"):
        ages = YOUNG_CHILDREN
    elif adjective == "young":
        ages = (max(ages[0], person.low), min(ages[1], person.high))
    elif adjective in ("little", "small") or (children and adjective in ("old", "elderly", "senior")):
        return None
    return person._replace(low=ages[0], high=ages[1]) if ages[0] <= ages[1] else None


def with_ages(person: PersonFilter, low: int | None, high: int | None) -> PersonFilter | None:
    """Return the people of a noun from `low` to `high` years, both included; None if nobody is left.

    An end that is None stays the noun's, unless nobody would be left. The noun's own ages stretch: see
    `vocabulary.STRETCHED_AGES`.
    """
    widest = STRETCHED_AGES.get((person.low, person.high), (person.low, person.high))
    first = person.low if low is None else max(low, widest[0])
    last = person.high if high is None else min(high, widest[1])
    if first > last:
        first, last = (widest[0] if low is None else first), (widest[1] if high is None else last)
    return person._replace(low=first, high=last) if first <= last else None
