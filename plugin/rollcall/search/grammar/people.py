"""Rules of everyday phrases about people: "two small children", "only women over 60"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lark import Token, v_args

from rollcall.ages import OLDEST
from rollcall.search import terms
from rollcall.search.grammar.fields import FIELDS
from rollcall.search.grammar.narrowing import with_adjective, with_ages
from rollcall.search.grammar.rules import NumberRange, QueryRules, nearest, number_of
from rollcall.search.grammar.side_by_side import Part, SideBySide, all_of, parts_of
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import Term
from rollcall.search.terms.photo import MOST_FACES
from rollcall.search.vocabulary import ADJECTIVES, COUNTS, EVERYONE, INSTEAD, NOUNS

#: The most people that can be asked for by a number.
MOST_PEOPLE: Final = 1000


class NamedPeople(NamedTuple):
    """A noun of a query, and the people that it means."""

    noun: str
    person: PersonFilter


@v_args(inline=True)
class PeopleRules(QueryRules):
    """A count, nouns with their adjectives, and ages in numbers."""

    def people(self, *parts: Any) -> Part:
        count, words, ranges = 1, [], []
        for part in parts:
            if isinstance(part, NumberRange):
                ranges.append(part)
            elif part.type == "COUNT":
                count = next(number for word, number in COUNTS.items() if word in part.lower().split())
            elif part.type == "INT":
                count = self._count(part)
            elif part.type != "OF":
                words.append(part)
        return self._people(count, None, words, ranges)

    def counted(self, count: NumberRange, *parts: Any) -> Part:
        words, ranges = _words_and_ranges(parts)
        low, high = count.low, count.high
        if max(low or 0, high or 0) > MOST_PEOPLE:
            raise self._error(count.position, f"so many {words[0]} cannot be counted", [f"1 to {MOST_PEOPLE}"])
        return self._people(low or 0, MOST_FACES if high is None else high, words, ranges)

    def of_age(self, ages: NumberRange) -> Term:
        return terms.People(self._limited(NamedPeople("people", PersonFilter()), [ages]))

    def only(self, _: Token, *parts: Any) -> Term:
        return self.only_such(self.people(*parts))

    def only_such(self, people: Part, *_: Token) -> Term:
        if not isinstance(people, terms.People):
            raise self._error(0, "only one kind of people can be asked for alone", ["only children"])
        if people.count > 1:
            return terms.And((terms.Only(people.person), terms.FaceCount(people.count, MOST_FACES)))
        return terms.Only(people.person)

    def exactly(self, _: Token, number: Token, *parts: Any) -> Part:
        words, ranges = _words_and_ranges(parts)
        count = self._count(number)
        return self._people(count, count, words, ranges)

    def alone(self, people: Part, _: Token) -> Term:
        return terms.And((terms.FaceCount(1, 1), all_of(parts_of(people))))

    def _count(self, token: Token) -> int:
        count = number_of(token)
        if not 1 <= count <= MOST_PEOPLE:
            raise self._error(token, f"{token} people cannot be counted", [f"1 to {MOST_PEOPLE}"])
        return count

    def _people(self, low: int, high: int | None, words: list[Token], ranges: list[NumberRange]) -> Part:
        """Return the people of words side by side.

        The number belongs to the first of them: at least `low` and at most `high`, where None is a count without an
        upper end. The ages belong to the last.
        """
        named = self._named_people(words)
        last = named[-1]
        named[-1] = last._replace(person=self._limited(last, ranges))
        first = named[0].person
        term: Term
        if high is None and ranges and len(named) == 1 and last.noun.lower() in EVERYONE:
            term = terms.Only(first)
        elif high is None:
            term = terms.People(first, low)
        elif first.anyone:
            term = terms.FaceCount(low, high)
        elif high >= MOST_FACES and low > 0:
            term = terms.People(first, low)
        else:
            term = terms.PeopleCount(first, low, high)
        others = [terms.People(other.person) for other in named[1:]]
        return SideBySide((term, *others)) if others else term

    def _named_people(self, words: list[Token]) -> list[NamedPeople]:
        """Return the people of words side by side; adjectives belong to the noun that follows."""
        result: list[NamedPeople] = []
        adjectives: list[Token] = []
        for index, word in enumerate(words):
            is_last = index + 1 == len(words)
            if not is_last and (word.type == "YEARS_OLD" or word.lower() in ADJECTIVES):
                adjectives.append(word)
                continue
            noun, person = self._noun(word)
            # The adjective next to the noun first.
            for adjective in reversed(adjectives):
                narrowed = _described(person, adjective)
                if narrowed is None:
                    message = f"there are no {str(adjective)!r} {noun}"
                    raise self._error(adjective, message, ["words that fit together"])
                person = narrowed
            adjectives = []
            result.append(NamedPeople(noun, person))
        return result

    def _noun(self, word: Token) -> NamedPeople:
        if word.type == "YEARS_OLD":
            years = min(number_of(word), OLDEST)
            return NamedPeople(str(word), PersonFilter(years, years))
        person = NOUNS.get(word.lower())
        if person is not None:
            return NamedPeople(str(word), person)
        field = f"{word.lower()}:" if word.lower() in FIELDS else ""
        suggestion = field or INSTEAD.get(word.lower()) or nearest(word, [*NOUNS, *ADJECTIVES])
        if word.lower() in ADJECTIVES:
            suggestion = f"{word.lower()} people"
        raise self._error(
            word,
            f"{str(word)!r} is no word that this search knows",
            [f"{field} with a value"] if field else ["people such as children, women, seniors"],
            suggestion,
        )

    def _limited(self, named: NamedPeople, ranges: list[NumberRange]) -> PersonFilter:
        """Return the people of a noun whose ages lie in all ranges."""
        person = named.person
        for ages in ranges:
            low = None if ages.low is None else min(ages.low, OLDEST + 1)
            high = None if ages.high is None else min(ages.high, OLDEST)
            if (low or 0) > OLDEST or (high is not None and high < (low or 0)):
                raise self._error(ages.position, "nobody is of that age", [f"ages from 0 to {OLDEST}"])
            limited = with_ages(person, low, high)
            if limited is None:
                raise self._error(ages.position, f"{named.noun!r} are never of that age", ["an age that fits"])
            person = limited
        return person


def _words_and_ranges(parts: Sequence[Any]) -> tuple[list[Token], list[NumberRange]]:
    words = [part for part in parts if isinstance(part, Token) and part.type != "OF"]
    return words, [part for part in parts if isinstance(part, NumberRange)]


def _described(person: PersonFilter, adjective: Token) -> PersonFilter | None:
    if adjective.type == "YEARS_OLD":
        years = number_of(adjective)
        return with_ages(person, years, years)
    return with_adjective(person, adjective.lower())
