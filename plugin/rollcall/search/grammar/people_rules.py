"""Everyday phrases about people: "two small children", "women over 60", "5-year-old boys", "nobody over 30"."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rollcall.ages import OLDEST
from rollcall.search import terms
from rollcall.search.grammar.age_rules import OLDEST_NAMED, age_alone, age_before, age_range, further_range
from rollcall.search.grammar.birth_rules import BirthYears, birth_years
from rollcall.search.grammar.count_rules import Count, bound_behind, check, count
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import NumberRange, is_number, number
from rollcall.search.grammar.operands import Adjective, Noun, Operand, narrowed
from rollcall.search.grammar.person_rules import ages_of_person, named, note_birth
from rollcall.search.grammar.spelling import known_words
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import MOST_FACES
from rollcall.search.terms import Term
from rollcall.search.vocabulary import ADJECTIVES, EVERYONE, NOUNS
from rollcall.sentences import Quoted, Sentence

#: Ranges of numbers before a noun that begin with this are ages: "18-25 women".
_FEWEST_AS_AGES: Final = 13
#: Adjectives that may stand behind a noun as well; the others are nouns themselves there.
_BEHIND = ("old", "young", "middle-aged", "little", "small")


def people(cursor: Cursor) -> Operand | None:
    """Return the people that are next; None if there are none.

    Raises
    ------
    InvalidQueryError
        If their words do not fit together, or a number counts something else.
    """
    mark = cursor.mark()
    start = cursor.peek()
    # "All three kids" are three.
    every = None if is_number(cursor.peek(1)) and cursor.accept("all") else cursor.accept("all")
    counted = None if every or _is_age(cursor) else count(cursor)
    first = cursor.peek()
    faces = _counted_faces(cursor)
    if faces is not None:
        return Operand(faces, start.start, cursor.last_end)
    noun = _described(cursor)
    if noun is not None:
        noun, counted = _with_ages_before(cursor, noun, counted)
        found = _counted(cursor, noun, counted)
        born = birth_years(cursor)
        if born is not None:
            return _born(cursor, found, born, start)
        whole = every is not None or (counted is None and first.text in EVERYONE)
        return _everyone(cursor, found, start, every is not None) if whole else _operand(cursor, found, start)
    if counted is not None and counted.group:
        check(cursor, counted)
        return Operand(terms.FaceCount(counted.low, counted.low), start.start, cursor.last_end)
    if counted is not None and not counted.article:
        _check_countable(cursor, counted)
    cursor.go_back(mark)
    born = birth_years(cursor)
    if born is not None:
        return _born(cursor, Noun("people", PersonFilter(), PersonFilter()), born, start)
    every = cursor.accept("all")
    ages = age_alone(cursor)
    if ages is None:
        cursor.go_back(mark)
        return None
    person = _limited(cursor, "people", PersonFilter(), (), (ages,))
    if every:
        return Operand(terms.Only(person), start.start, cursor.last_end)
    return _operand(cursor, Noun("people", PersonFilter(), person, (), (ages,), implied=True), start)


def _counted_faces(cursor: Cursor) -> Term | None:
    """Return the term of "faces > 3", which is no age."""
    mark = cursor.mark()
    found = count(cursor) if cursor.accept("faces", "face") and cursor.next_is(">", ">=", "<", "<=") else None
    if found is None or found.high is None:
        cursor.go_back(mark)
        return None
    check(cursor, found)
    return terms.FaceCount(found.low, found.high)


def _with_ages_before(cursor: Cursor, noun: Noun, counted: Count | None) -> tuple[Noun, Count | None]:
    """Return "18-25 women" with its numbers as ages: few photos show so many, and few ask for them."""
    if counted is None or counted.high in (None, MOST_FACES) or counted.low < _FEWEST_AS_AGES or noun.own.anyone:
        return noun, counted
    ages = NumberRange(counted.low, counted.high, counted.position)
    person = narrowed(noun.own, noun.adjectives, [*noun.ranges, ages])
    if person is None:
        return noun, counted
    text = cursor.query[counted.position : cursor.last_end]
    other = f"faces:{counted.low}-{counted.high} {noun.name}"
    cursor.note(
        Sentence("read as %(name)s from %(low)s to %(high)s years", name=noun.name, low=counted.low, high=counted.high),
        text and cursor.replaced(counted.position, cursor.last_end, other),
    )
    return replace(noun, person=person, ranges=(*noun.ranges, ages)), None


def nobody(cursor: Cursor) -> Operand | None:
    """Return the term of nobody, or of nobody of certain people, if it is next: nobody, nobody over 30."""
    start = cursor.accept("nobody")
    if start is None:
        return None
    adjective = cursor.accept(*_BEHIND) if not _begins_noun(cursor.peek(1)) else None
    ranges = _ranges(cursor)
    adjectives = () if adjective is None else (adjective,)
    person = _limited(cursor, "people", PersonFilter(), adjectives, ranges)
    operand = Operand(terms.Not(terms.People(person)), start.start, cursor.last_end)
    if not person.anyone:
        opposite = PersonFilter(0, person.low - 1) if person.low > 0 else PersonFilter(person.high + 1, OLDEST)
        one_sided = person.low == 0 or person.high == OLDEST
        words = f"everyone from {opposite.low} to {opposite.high}" if opposite.low <= opposite.high else ""
        cursor.note(
            Sentence(
                "read as photos that do not show any %(describe)s, those without people included",
                describe=person.describe(),
            ),
            cursor.replaced(start, cursor.last_end, words) if one_sided and words else None,
        )
    return operand


def _is_age(cursor: Cursor) -> bool:
    """Return whether an age such as 5-year-old is next, whose number counts nobody."""
    mark = cursor.mark()
    found = age_before(cursor)
    cursor.go_back(mark)
    return found is not None


def begins_people(cursor: Cursor, ahead: int = 0) -> bool:
    """Return whether people are next, or some tokens ahead: a noun, or an adjective, with or without a number."""
    mark = cursor.mark()
    try:
        for _ in range(ahead):
            cursor.take()
        count(cursor)
        return _begins_noun(cursor.peek())
    finally:
        cursor.go_back(mark)


def _begins_noun(token: Token) -> bool:
    return token.kind is Kind.NAME or (token.kind is Kind.WORD and (token.text in NOUNS or token.text in ADJECTIVES))


def _operand(cursor: Cursor, noun: Noun, start: Token) -> Operand:
    return Operand(noun.term(), start.start, cursor.last_end, noun)


def _born(cursor: Cursor, noun: Noun, years: BirthYears, start: Token) -> Operand:
    if noun.own.identity is not None and noun.own.identity.kind == "people":
        shorter = cursor.query[: start.end] if start.kind is Kind.NAME else ""
        message = Sentence("%(name)s is somebody, and was born when it says in People", name=Quoted(noun.name))
        raise cursor.error(start, message, suggestions=[shorter])
    count = 1 if noun.count is None else max(noun.count.low, 1)
    cursor.note(Sentence("read by the age on the photo and the year when it was taken, before or after the birthday"))
    return Operand(terms.Born(noun.person, *years, count), start.start, cursor.last_end)


def _counted(cursor: Cursor, noun: Noun, counted: Count | None) -> Noun:
    if counted is not None:
        counted = bound_behind(cursor, counted)
        check(cursor, counted)
    return Noun(noun.name, noun.own, noun.person, noun.adjectives, noun.ranges, counted)


def _everyone(cursor: Cursor, noun: Noun, start: Token, is_all: bool) -> Operand:
    """Return the term of "everyone under 30", where all faces are meant, and of "all children", where some are."""
    if noun.own.anyone and (noun.ranges or not is_all):
        first = noun.person if noun.ranges else _some(cursor)
        if first is not None:
            kinds = [first, *_or_some(cursor)]
            only = terms.Only(first) if len(kinds) == 1 else terms.OnlyAnyOf(tuple(dict.fromkeys(kinds)))
            return Operand(only, start.start, cursor.last_end)
    operand = _operand(cursor, noun, start)
    if is_all and not noun.own.anyone:
        text = cursor.query[start.end : cursor.last_end].strip()
        cursor.note(
            Sentence("read as every photo with such people"), cursor.replaced(start, cursor.last_end, f"only {text}")
        )
    return operand


def _some(cursor: Cursor) -> PersonFilter | None:
    """Return the people of a noun that is next, with or without its article; None if there are none."""
    mark = cursor.mark()
    cursor.accept("a", "an")
    noun = _described(cursor) if _begins_noun(cursor.peek()) else None
    if noun is None:
        cursor.go_back(mark)
    return None if noun is None else noun.person


def _or_some(cursor: Cursor) -> list[PersonFilter]:
    """Return the people of each "or" that follows: everyone is a child *or a senior*, all under 10 *or over 60*."""
    found: list[PersonFilter] = []
    while True:
        mark = cursor.mark()
        person = _some(cursor) if cursor.accept("or") else None
        if person is None:
            cursor.go_back(mark)
            ages = age_range(cursor) if cursor.accept("or") else None
            if ages is None:
                cursor.go_back(mark)
                return found
            person = _limited(cursor, "people", PersonFilter(), (), (ages,))
        found.append(person)


def _described(cursor: Cursor) -> Noun | None:
    """Return a noun with its adjectives and ages; None if there is none.

    Raises
    ------
    InvalidQueryError
        If an adjective has no noun, or they do not fit together.
    """
    mark = cursor.mark()
    adjectives: list[Adjective] = []
    while True:
        ages = age_before(cursor)
        if ages is not None:
            adjectives.append(ages)
            continue
        token = cursor.peek()
        if token.kind is Kind.WORD and token.text in ADJECTIVES and _begins_noun(cursor.peek(1)):
            adjectives.append(cursor.take())
            continue
        break
    token = cursor.peek()
    somebody = named(cursor, token)
    if somebody is not None:
        cursor.take()
        return _noun(cursor, token.raw, somebody, adjectives)
    if token.kind is Kind.WORD and token.text in NOUNS:
        cursor.take()
        return _noun(cursor, token.raw, NOUNS[token.text], adjectives)
    if adjectives and all(isinstance(adjective, NumberRange) for adjective in adjectives):
        return _noun(cursor, "people", PersonFilter(), adjectives)
    if token.kind is Kind.WORD and token.text in ADJECTIVES and cursor.peek(1).text not in ("couple", "family"):
        instead = cursor.replaced(token, token, f"{token.raw} people")
        raise cursor.error(
            token,
            Sentence("%(word)s says nothing of whom", word=Quoted(token.raw)),
            [Sentence("people such as women")],
            [instead],
        )
    cursor.go_back(mark)
    return None


def _noun(cursor: Cursor, name: str, own: PersonFilter, adjectives: list[Adjective]) -> Noun:
    mark = cursor.mark()
    cursor.accept("who-are")
    if cursor.next_is(*_BEHIND) and not _begins_noun(cursor.peek(1)):
        adjectives.append(cursor.take())
    else:
        cursor.go_back(mark)
    ranges = (ages_of_person(cursor) if own.identity is not None else ()) + _ranges(cursor)
    cursor.accept("who-are")
    if own.identity is not None and own.identity.kind == "people" and (ranges or adjectives):
        note_birth(cursor, own.identity)
    person = _limited(cursor, name, own, adjectives, ranges)
    if person.identity is not None and person.any_age:
        person = person._replace(identity=person.identity.without_births())
    return Noun(name, own, person, tuple(adjectives), ranges)


def _ranges(cursor: Cursor) -> tuple[NumberRange, ...]:
    """Return the ages behind a noun; of several, one person has all."""
    found = age_range(cursor)
    ranges = [] if found is None else [found]
    while found is not None:
        # "Over 5 and under 10" is one person; "over 60 and under 20" cannot be.
        found = age_range(cursor) or further_range(cursor)
        if found is not None:
            ranges.append(found)
    return tuple(ranges)


def _limited(
    cursor: Cursor,
    name: str,
    own: PersonFilter,
    adjectives: list[Adjective] | tuple[Adjective, ...],
    ranges: tuple[NumberRange, ...],
) -> PersonFilter:
    for ages in [*ranges, *(one for one in adjectives if isinstance(one, NumberRange))]:
        low, high = ages.low or 0, OLDEST if ages.high is None else ages.high
        if max(low, 0 if ages.high is None else high) > OLDEST_NAMED or high < low:
            raise cursor.error(
                ages.position, Sentence("nobody is of that age"), [Sentence("ages from 0 to %(most)s", most=OLDEST)]
            )
    person = narrowed(own, adjectives, [_known(ages) for ages in ranges])
    if person is not None:
        return person
    if len(ranges) > 1:
        end = ranges[-1].end or cursor.last_end
        between = cursor.query[ranges[0].end : end]
        instead = [cursor.replaced(ranges[0].end, end, between.replace(" and ", f" and {name} ", 1))]
        raise cursor.error(
            ranges[-1].position, Sentence("no one person is of both ages"), [Sentence("one range of ages")], instead
        )
    if ranges and narrowed(own, adjectives, ()) is not None:
        start, end = ranges[0].position, cursor.last_end
        instead = [cursor.replaced(_start_of(cursor, name, start), end, f"people {_typed(cursor, name, start, end)}")]
        raise cursor.error(
            ranges[0].position,
            Sentence("%(name)s are never of that age", name=Quoted(name)),
            [Sentence("an age that fits")],
            instead,
        )
    odd = adjectives[0]
    at, text = (odd.position, "such") if isinstance(odd, NumberRange) else (odd.start, repr(odd.raw))
    raise cursor.error(
        at,
        Sentence("there are no %(word)s %(name)s", word=text, name=name),
        [Sentence("words that fit together")],
        [cursor.query[:at] + name],
    )


def _known(ages: NumberRange) -> NumberRange:
    """Return ages as far as they are known: the last year stands for all that follow."""
    low = None if ages.low is None else min(ages.low, OLDEST)
    high = None if ages.high is None or ages.high >= OLDEST_NAMED else min(ages.high, OLDEST)
    return ages._replace(low=low, high=high)


def _start_of(cursor: Cursor, name: str, before: int) -> int:
    found = cursor.query.rfind(name, 0, before)
    return before if found < 0 else found


def _typed(cursor: Cursor, name: str, start: int, end: int) -> str:
    """Return the ages as they were typed, with the words between the noun and their number."""
    begin = _start_of(cursor, name, start)
    return cursor.query[begin + len(name) if begin < start else start : end].strip()


def _check_countable(cursor: Cursor, counted: Count) -> None:
    token = cursor.peek()
    if token.kind is Kind.WORD and token.text not in known_words():
        message = Sentence("only people can be counted, and %(word)s is no word for people", word=Quoted(token.raw))
        raise cursor.error(
            token, message, [Sentence("people")], [cursor.replaced(counted.position, token, f'"{token.raw}"')]
        )


def bare_number(cursor: Cursor) -> None:
    """Raise InvalidQueryError for a number that stands alone: it may be an age, or how many people."""
    token = cursor.peek()
    found = number(cursor)
    if found is None:
        return
    raise cursor.error(
        token,
        Sentence("%(part)s may be an age or a number of people", part=Quoted(cursor.query[found.start : found.end])),
        [Sentence("an age such as aged 5")],
        [
            cursor.replaced(found.start, found.end, f"aged {found.value}"),
            *([] if found.start else [cursor.replaced(found.start, found.end, f"{found.value} people")]),
        ],
    )
