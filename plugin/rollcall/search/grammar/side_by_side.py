"""People and fields side by side: which of them mean the same face, and which a face each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollcall.search import terms
from rollcall.search.terms import Term


@dataclass(frozen=True)
class SideBySide:
    """People with nothing between them, before it is known what stands around them; never in a finished tree."""

    parts: tuple[Term, ...]


#: What a rule returns: a term, or people that are still to be joined.
Part = Term | SideBySide


def parts_of(part: Part) -> tuple[Term, ...]:
    """Return the terms of a part."""
    return part.parts if isinstance(part, SideBySide) else (part,)


def joined(part: Part) -> Term:
    """Return a part as one term; its people are a face each."""
    return all_of(with_distinct_people(parts_of(part)))


def all_of(parts: Sequence[Term]) -> Term:
    """Return the term of all parts."""
    return parts[0] if len(parts) == 1 else terms.And(tuple(parts))


def with_one_person(parts: Sequence[Term]) -> list[Term]:
    """Return the parts with each `age:` and `gender:` that stand side by side as one: they mean the same face."""
    result: list[Term] = []
    for part in parts:
        last = result[-1] if result else None
        if (
            isinstance(part, terms.People)
            and isinstance(last, terms.People)
            and not part.phrase
            and not last.phrase
            and (last.person.gender is None) != (part.person.gender is None)
            and (last.person.low, last.person.high) != (part.person.low, part.person.high)
        ):
            gender = last.person.gender or part.person.gender
            ages = part.person if part.person.gender is None else last.person
            result[-1] = terms.People(ages._replace(gender=gender), phrase=False)
        else:
            result.append(part)
    return result


def with_distinct_people(parts: Sequence[Term]) -> list[Term]:
    """Return the parts with the people of all phrases as one term: each is a face of its own."""
    people = [part for part in parts if isinstance(part, terms.People) and part.phrase]
    if len(people) < 2:
        return list(parts)
    return [terms.DistinctPeople(tuple(people)), *(part for part in parts if part not in people)]
