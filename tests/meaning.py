"""The meaning of search terms, written out plainly, to compare the exact probabilities with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import And, DistinctPeople, FaceCount, Not, Only, OnlyAnyOf, Or, People, PeopleCount, Term

P = TypeVar("P")


def holds(term: Term, people: Sequence[P], passes: Callable[[P, PersonFilter], bool]) -> bool:
    """Return whether a term is true of certain people; `passes` tells whether a filter of one person takes one."""
    match term:
        case And(parts):
            return all(holds(part, people, passes) for part in parts)
        case Or(parts):
            return any(holds(part, people, passes) for part in parts)
        case Not(part):
            return not holds(part, people, passes)
        case FaceCount(low, high):
            return low <= len(people) <= high
        case People(person, count):
            return sum(passes(one, person) for one in people) >= count
        case PeopleCount(person, low, high):
            return low <= sum(passes(one, person) for one in people) <= high
        case Only(person):
            return bool(people) and all(passes(one, person) for one in people)
        case OnlyAnyOf(kinds):
            return bool(people) and all(any(passes(one, kind) for kind in kinds) for one in people)
        case DistinctPeople(kinds):
            wanted = [kind.person for kind in kinds for _ in range(kind.count)]
            return any(
                all(passes(one, person) for one, person in zip(some, wanted, strict=True))
                for some in itertools.permutations(people, len(wanted))
            )
    raise AssertionError(term)
