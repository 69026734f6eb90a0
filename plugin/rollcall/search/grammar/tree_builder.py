"""The tree of a query, built bottom up from the parse tree: one method for each rule of grammar.lark."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args

from rollcall.ages import GROUP_PHOTO_FACES
from rollcall.search import terms
from rollcall.search.grammar.fields import FieldRules
from rollcall.search.grammar.people import PeopleRules
from rollcall.search.grammar.periods import PeriodRules
from rollcall.search.grammar.ranges import RangeRules
from rollcall.search.grammar.side_by_side import (
    SideBySide,
    all_of,
    joined,
    parts_of,
    with_distinct_people,
    with_one_person,
)
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import Term
from rollcall.search.terms.photo import MOST_FACES
from rollcall.search.vocabulary import NOUNS


@v_args(inline=True)
class TreeBuilder(PeopleRules, RangeRules, PeriodRules, FieldRules):
    """Combinations, fixed phrases, and the rules of people, ranges, periods and fields."""

    def start(self, *parts: Any) -> Term:
        found = [part for part in parts if isinstance(part, Term | SideBySide)]
        return joined(found[0]) if found else terms.Everything()

    def either(self, *parts: Any) -> Term:
        found = [joined(part) for part in parts if isinstance(part, Term | SideBySide)]
        return found[0] if len(found) == 1 else terms.Or(tuple(found))

    def all(self, *parts: Any) -> Term:
        found = [term for part in parts if isinstance(part, Term | SideBySide) for term in parts_of(part)]
        return all_of(with_distinct_people(with_one_person(found)))

    def negation(self, *parts: Any) -> Term:
        return terms.Not(joined(parts[-1]))

    def neither(self, *parts: Any) -> Term:
        return terms.And(tuple(terms.Not(joined(part)) for part in parts if isinstance(part, Term | SideBySide)))

    def group_photos(self, *_: Token) -> Term:
        return terms.FaceCount(GROUP_PHOTO_FACES, MOST_FACES)

    def portraits(self, *_: Token) -> Term:
        return terms.FaceCount(1, 1)

    def couple(self, _: Token) -> Term:
        return terms.And((terms.FaceCount(2, 2), terms.Only(NOUNS["adults"])))

    def family(self, _: Token) -> Term:
        return terms.DistinctPeople((terms.People(NOUNS["adults"]), terms.People(NOUNS["children"])))

    def nobody(self, _: Token) -> Term:
        return terms.Not(terms.People(PersonFilter()))

    def reviewed(self, word: Token) -> Term:
        return terms.Reviewed(word.lower() == "reviewed")

    def tagged(self, _: Token, name: Token) -> Term:
        text = name[1:-1] if name.type == "QUOTED" else str(name)
        if not text:
            raise self._error(name, "a tag has a name", ["a tag"])
        return terms.Tagged(text)
