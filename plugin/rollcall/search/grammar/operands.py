"""What the combinations of a query are made of, before it is known what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollcall.search import terms
from rollcall.search.grammar.count_rules import Count
from rollcall.search.grammar.narrowing import with_adjective, with_ages
from rollcall.search.grammar.numbers import NumberRange
from rollcall.search.grammar.tokens import Token
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import MOST_FACES
from rollcall.search.terms import Term
from rollcall.search.vocabulary import PLURALS

#: What stands before a noun: a word, or ages such as 5-year-old.
Adjective = Token | NumberRange


@dataclass(frozen=True)
class Noun:
    """People of a phrase: their noun, what stands before and behind it, and how many there have to be."""

    name: str  # as it was typed
    own: PersonFilter  # the noun's alone
    person: PersonFilter  # with everything around it
    adjectives: tuple[Adjective, ...] = ()
    ranges: tuple[NumberRange, ...] = ()
    count: Count | None = None
    implied: bool = False  # ages without a noun: "over 60"

    @property
    def several(self) -> bool:
        """Whether it is a word for several people, without a number."""
        return self.count is None and self.name.lower() in PLURALS

    @property
    def counted(self) -> bool:
        """Whether a number or an article stands before it."""
        return self.count is not None

    @property
    def bare(self) -> bool:
        """Whether the noun stands alone."""
        return not (self.counted or self.adjectives or self.ranges)

    @property
    def somebody(self) -> bool:
        """Whether it is somebody by name: one face."""
        return self.own.identity is not None and self.own.identity.kind == "people"

    def term(self) -> Term:
        """Return the term of so many of these people."""
        low, high = (1, None) if self.count is None else (self.count.low, self.count.high)
        if high is None or (high >= MOST_FACES and low > 0 and not self.person.anyone):
            return terms.People(self.person, low)
        if self.person.anyone:
            return terms.FaceCount(low, high)
        return terms.PeopleCount(self.person, low, high)


@dataclass(frozen=True)
class Operand:
    """A part of a query with its place."""

    term: Term
    start: int
    end: int
    noun: Noun | None = None  # of people asked for by a phrase
    timed: bool = False  # a period or a text: it holds for all alternatives when it ends them
    couple: bool = False  # exactly two adults, unless others are asked for beside them

    def with_noun(self, noun: Noun) -> Operand:
        """Return the operand of other people at the same place."""
        return replace(self, term=noun.term(), noun=noun)


def narrowed(own: PersonFilter, adjectives: Sequence[Adjective], ranges: Sequence[NumberRange]) -> PersonFilter | None:
    """Return the people that adjectives and ages leave of a noun's; None if nobody is left."""
    person: PersonFilter | None = own
    # The adjective next to the noun first.
    for adjective in reversed(adjectives):
        if person is None:
            return None
        if isinstance(adjective, NumberRange):
            person = with_ages(person, adjective.low, adjective.high)
        else:
            person = with_adjective(person, adjective.text)
    return None if person is None else within_ranges(person, ranges)


def within_ranges(person: PersonFilter, ranges: Sequence[NumberRange]) -> PersonFilter | None:
    """Return the people of a noun whose ages lie in all ranges; None if there are none."""
    if not ranges:
        return person
    low = max((ages.low for ages in ranges if ages.low is not None), default=None)
    high = min((ages.high for ages in ranges if ages.high is not None), default=None)
    if low is not None and high is not None and low > high:
        return None
    return with_ages(person, low, high)
