"""People by name, and their ages: Anna, Anna at 5, Anna as a baby, 5-year-old Anna."""

from __future__ import annotations

from rollcall.search.grammar.age_rules import age_range, number_of_years
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.narrowing import with_adjective
from rollcall.search.grammar.numbers import NumberRange
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.identity import Identity
from rollcall.search.person_filter import PersonFilter
from rollcall.search.vocabulary import ADJECTIVES, NOUNS
from rollcall.sentences import Sentence


def named(cursor: Cursor, token: Token) -> PersonFilter | None:
    """Return whom the token of a name means; None if it is no name."""
    return PersonFilter(identity=cursor.people[token.text]) if token.kind is Kind.NAME else None


def ages_of_person(cursor: Cursor) -> tuple[NumberRange, ...]:
    """Return the ages behind a name that stand behind no noun: at 5, at 3 to 5, as a baby, as a small child."""
    mark = cursor.mark()
    if cursor.accept("at", "as"):
        cursor.accept("aged")
        found = _at(cursor) or _as(cursor)
        if found is not None:
            return (found,)
    cursor.go_back(mark)
    return ()


def _at(cursor: Cursor) -> NumberRange | None:
    """Return the ages of "at 5", "at 5 or 6" and "at 3 to 5"."""
    mark = cursor.mark()
    found = age_range(cursor)
    if found is not None:
        return found
    first = number_of_years(cursor)
    if first is None or first.number.is_year:
        cursor.go_back(mark)
        return None
    mark = cursor.mark()
    last = number_of_years(cursor) if cursor.accept("-", "to", "or", "and") else None
    if last is None or last.years < first.years:
        cursor.go_back(mark)
        return NumberRange(first.years, first.years, first.number.start, first.end)
    return NumberRange(first.years, last.years, first.number.start, last.end)


def _as(cursor: Cursor) -> NumberRange | None:
    """Return the ages of a noun, with its adjective: as a baby, as a small child, as a 5-year-old."""
    start = cursor.peek()
    cursor.accept("a", "an")
    ages = age_range(cursor)
    if ages is not None:
        return ages
    token = cursor.peek()
    adjective = None
    if token.kind is Kind.WORD and token.text in ADJECTIVES and cursor.peek(1).text in NOUNS:
        adjective = cursor.take()
        token = cursor.peek()
    if token.kind is not Kind.WORD or token.text not in NOUNS:
        return None
    cursor.take()
    person: PersonFilter | None = NOUNS[token.text]
    if adjective is not None and person is not None:
        person = with_adjective(person, adjective.text)
    if person is None or person.any_age:
        return None
    return NumberRange(person.low, person.high, start.start, token.end)


def note_birth(cursor: Cursor, identity: Identity) -> None:
    """Note how the ages of people are known."""
    births = dict(identity.births)
    for number in identity.people:
        name = cursor.roster.shown(number)
        birth = births.get(number)
        if birth is None:
            cursor.note(Sentence("when %(name)s was born is not known: read by the age of each face", name=name))
        elif birth.deviation is not None:
            first, last = birth.years()
            if first == last:
                when = Sentence("%(name)s was probably born in %(first)s", name=name, first=first)
            else:
                when = Sentence(
                    "%(name)s was probably born between %(first)s and %(last)s", name=name, first=first, last=last
                )
            cursor.note(Sentence("%(when)s, by an estimate from ages and capture times", when=when))
