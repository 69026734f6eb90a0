"""Ages: over 60, from 3 to 8, 5 years old, 60 or older, in their early thirties."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from rollcall.ages import AGE_GROUPS
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import Number, NumberRange, is_number, number
from rollcall.search.grammar.spelling import known_words
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.vocabulary import ADJECTIVES, DECADES, NOUNS
from rollcall.sentences import Quoted, Sentence

#: The oldest age that a query may name; the last year of a distribution stands for all from 100 on.
OLDEST_NAMED: Final = 130
#: Decades of the last century that photos are from; earlier ones are ages.
_FIRST_DECADE: Final = 50
#: From this decade on "late 90s" without anybody's age before it are years.
_RARE_AGES: Final = 80
_POSSESSIVE: Final = r"\b(their|her|his|my)\s+$"
#: Words for an age that is not exact, and how many years it may be off.
_ABOUT: Final = ("around", "about", "roughly", "approximately", "circa")
_NEARLY: Final = 2
_YEARS: Final = ("years", "year", "yrs", "yr", "y", "yo")
_SHORTER: Final = {"months": 12, "month": 12, "mo": 12, "weeks": 52, "week": 52, "days": 365, "day": 365}
_OLD: Final = ("old", "olds", "aged")
_COMPARATORS: Final = (
    "over",
    "more-than",
    ">",
    "from",
    "at-least",
    ">=",
    "under",
    "fewer-than",
    "<",
    "up-to",
    "<=",
    "until",
)
#: These belong to a number of people if people follow: "more than two adults".
_OF_COUNTS: Final = ("more-than", "at-least", ">=", "fewer-than", "up-to", "<=", "exactly", ">", "<")


class Age(NamedTuple):
    """A number that may be an age."""

    years: int  # completed
    number: Number
    unit: bool  # it stood with "years", "months" or "year-old"
    old: bool  # it stood with "old"
    end: int


def age_range(cursor: Cursor) -> NumberRange | None:
    """Return the ages that are next behind a noun; None if there are none."""
    mark = cursor.mark()
    aged = bool(cursor.accept("who-are")) | bool(cursor.accept("aged"))
    found = _range(cursor, aged)
    if found is None:
        cursor.go_back(mark)
        found = _of_years(cursor)
    if found is None:
        cursor.go_back(mark)
    return found


def _of_years(cursor: Cursor) -> NumberRange | None:
    """Read: girls of 7, our son at 5, people around 30."""
    word = cursor.accept("of", "at", *_ABOUT)
    age = _age(cursor) if word is not None else None
    if word is None or age is None or age.number.is_year or _people_follow(cursor) or _text_follows(cursor):
        return None
    if word.text not in _ABOUT:
        return _exactly(cursor, age)
    low, high = max(age.years - _NEARLY, 0), age.years + _NEARLY
    cursor.note(
        Sentence("read as from %(low)s to %(high)s", low=low, high=high),
        cursor.replaced(word, age.end, f"aged {age.years}"),
    )
    return NumberRange(low, high, age.number.start, age.end)


def _text_follows(cursor: Cursor) -> bool:
    """Return whether a number counts what is no word of the language: "kids at 5 parties"."""
    token = cursor.peek()
    return token.kind is Kind.WORD and token.text not in known_words()


def further_range(cursor: Cursor) -> NumberRange | None:
    """Return ages that follow others with "and" or "but" between: over 5 *and under 10*."""
    mark = cursor.mark()
    if cursor.accept("and", "but", ",") and cursor.next_is(*_COMPARATORS):
        found = age_range(cursor)
        if found is not None:
            return found
    cursor.go_back(mark)
    return None


def age_alone(cursor: Cursor) -> NumberRange | None:
    """Return ages that stand without people: "over 60", "aged 20 to 30", "between 3 and 8".

    Raises
    ------
    InvalidQueryError
        If the number may as well be one of people: "at least 3".
    """
    mark = cursor.mark()
    token = cursor.peek()
    found = age_range(cursor)
    if found is None:
        return None
    text = cursor.query[found.position : cursor.last_end]
    # "18 and under" is said of ages only.
    certain = " and " in text.lower() or token.text in (
        "over",
        "under",
        "aged",
        "between",
        "in",
        "from",
        "early",
        "mid",
        "late",
        "who-are",
    )
    if not (certain or re.search(r"old|young|year|month|thirt|ties", text.lower())):
        whole = cursor.query[token.start : cursor.last_end]
        raise cursor.error(
            token,
            Sentence("%(whole)s may be an age or a number of people", whole=Quoted(whole)),
            suggestions=[
                cursor.replaced(token, cursor.last_end, f"{whole} people"),
                cursor.replaced(token, cursor.last_end, f"people {_as_age(whole)}"),
            ],
        )
    if cursor.at == mark.at:
        return None
    return found


def _as_age(text: str) -> str:
    return text if re.match(r"[a-z]+\s", text.lower()) and not text[0].isdigit() else f"aged {text}"


def age_before(cursor: Cursor) -> NumberRange | None:
    """Return ages before a noun, or instead of one: 5-year-old, 5-9 year olds, 6 month old; None if there are none."""
    mark = cursor.mark()
    first = _age(cursor)
    if first is not None and first.old:
        return _exactly(cursor, first)
    if first is not None and cursor.accept("-", "to", "or"):
        last = _age(cursor)
        if last is not None and last.old and not first.number.is_year:
            return NumberRange(first.years, last.years, first.number.start, last.end)
    cursor.go_back(mark)
    return None


def number_of_years(cursor: Cursor) -> Age | None:
    """Return a number that is next, with its unit if it has one: 5, 5 years, 18 months; None if there is none."""
    return _age(cursor)


def _range(cursor: Cursor, aged: bool) -> NumberRange | None:
    rules: tuple[Callable[[Cursor, bool], NumberRange | None], ...] = (_decade, _between, _compared, _numbers)
    mark = cursor.mark()
    for rule in rules:
        found = rule(cursor, aged)
        if found is not None:
            return found
        cursor.go_back(mark)
    return None


def _decade(cursor: Cursor, _: bool) -> NumberRange | None:
    """Read: in their early thirties, in 30s, thirties."""
    start = cursor.peek()
    inside = cursor.accept("in")
    part = cursor.accept("early", "mid", "late")
    cursor.accept("-")
    token = cursor.take()
    if token.text == "teens" and inside:
        teens = AGE_GROUPS["teenagers"]
        return NumberRange(teens.low, teens.high, start.start, token.end)
    decade = _decade_of(cursor, token)
    if decade is None:
        return None
    first, last = {"early": (0, 3), "mid": (4, 6), "late": (7, 9)}.get(part.text if part else "", (0, 9))
    return NumberRange(decade + first, decade + last, start.start, token.end)


def _decade_of(cursor: Cursor, token: Token) -> int | None:
    if token.kind is Kind.WORD and token.text in DECADES and not is_decade_of_years(cursor, token):
        _note_decade(cursor, token, DECADES[token.text])
        return DECADES[token.text]
    if token.kind is not Kind.DECADE or len(token.text) > 2 or is_decade_of_years(cursor, token):
        return None
    _note_decade(cursor, token, int(token.text))
    return int(token.text)


def _note_decade(cursor: Cursor, token: Token, decade: int) -> None:
    """Note that "women in 60s" may mean years, unless it says whose age it is."""
    if decade >= _FIRST_DECADE and not re.search(
        r"\b(their|her|his|my)\s+((early|mid|late)\W+)?$", _before(cursor, token)
    ):
        cursor.note(
            Sentence("read as ages from %(decade)s to %(decade2)s", decade=decade, decade2=decade + 9),
            cursor.replaced(token, token, f"19{decade}s"),
        )


def _before(cursor: Cursor, token: Token) -> str:
    return cursor.query[: token.start].lower()


def is_decade_of_years(cursor: Cursor, token: Token, part: Token | None = None) -> bool:
    """Return whether a decade such as 1990s or the 90s is one of years; "in her 30s" is one of ages."""
    if (token.kind is Kind.DECADE and len(token.text) > 2) or token.raw.startswith(("'", "’")):
        return True
    decade = DECADES[token.text] if token.text in DECADES else int(token.text)
    if part is not None and decade >= _RARE_AGES and not re.search(_POSSESSIVE, _before(cursor, part)):
        # "Late 90s" alone: few photos are of people of 97.
        return True
    return decade >= _FIRST_DECADE and re.search(r"\bthe\s+((early|mid|late)\W+)?$", _before(cursor, token)) is not None


def _between(cursor: Cursor, _: bool) -> NumberRange | None:
    if not cursor.accept("between"):
        return None
    first = _age(cursor)
    if first is None or first.number.is_year or not cursor.accept("and", "-", "to"):
        return None
    last = _age(cursor)
    if last is None:
        return None
    return NumberRange(first.years, last.years, first.number.start, last.end)


def _compared(cursor: Cursor, aged: bool) -> NumberRange | None:
    comparator = cursor.accept(*_COMPARATORS, "exactly")
    if comparator is None:
        return None
    cursor.accept("-")
    age = _age(cursor, of_group=True)
    if age is None or (comparator.text in _OF_COUNTS and not age.unit and _people_follow(cursor)):
        return None
    if comparator.text in ("until", "up-to") and age.number.is_year:
        return None
    word = comparator.text
    if word in (">", ">=", "<", "<=") and not (age.unit or aged):
        cursor.note(Sentence("%(part)s is read as an age", part=Quoted(cursor.query[comparator.start : age.end])))
    if word == "from":
        return None if age.number.is_year else _from(cursor, age)
    position, end = age.number.start, age.end
    if word in ("over", "more-than", ">"):
        return NumberRange(age.years + 1, None, position, end)
    if word in ("at-least", ">="):
        return NumberRange(age.years, None, position, end)
    if word in ("under", "fewer-than", "<"):
        # Under 18 months may be one year old.
        below = age.years - 1 if age.number.value % 12 == 0 or not _in_months(cursor, age) else age.years
        return NumberRange(None, max(below, 0) if age.unit and age.years == 0 else below, position, end)
    if word == "exactly":
        return NumberRange(age.years, age.years, position, end) if aged or age.unit else None
    return NumberRange(None, age.years, position, end)


def _in_months(cursor: Cursor, age: Age) -> bool:
    return "month" in cursor.query[age.number.start : age.end].lower()


def _from(cursor: Cursor, age: Age) -> NumberRange:
    if cursor.accept("to", "-", "until", "up-to"):
        last = _age(cursor)
        if last is None:
            raise cursor.error(cursor.peek(), Sentence("the last age is missing"), [Sentence("a number")])
        return NumberRange(age.years, last.years, age.number.start, last.end)
    cursor.accept("on", "onwards", "up", "upwards")
    return NumberRange(age.years, None, age.number.start, cursor.last_end)


def _numbers(cursor: Cursor, aged: bool) -> NumberRange | None:
    """Read: 5-9, 20 to 30, 60 or older, 60+, 5 years old, and 5 behind "aged"."""
    age = _age(cursor)
    if age is None:
        return None
    found = _with_bound(cursor, age)
    if found is not None:
        return None if _people_follow(cursor) and not aged else found
    mark = cursor.mark()
    if cursor.accept("-", "to", ".."):
        last = _age(cursor)
        if last is None or (age.number.is_year and not last.unit) or (_people_follow(cursor) and not aged):
            return None
        return NumberRange(age.years, last.years, age.number.start, last.end)
    cursor.go_back(mark)
    if not (aged or age.unit) or (age.number.is_year and not aged) or cursor.next_is("ago"):
        return None
    listed = _listed(cursor, age) if aged else None
    if listed is not None:
        return listed
    if cursor.accept("or"):
        last = _age(cursor)
        if last is not None and last.years == age.years + 1 and not _people_follow(cursor):
            return NumberRange(age.years, last.years, age.number.start, last.end)
        cursor.go_back(mark)
    return _exactly(cursor, age)


def _listed(cursor: Cursor, first: Age) -> NumberRange | None:
    """Read the ages behind the first of "aged 5, 6 or 7", each a year older than the one before."""
    mark, last = cursor.mark(), first
    while True:
        separator = cursor.accept(",", "or", "and")
        if separator is not None and separator.text == ",":
            cursor.accept("or", "and")
        following = None if separator is None else _age(cursor)
        if following is None or following.years != last.years + 1 or _people_follow(cursor):
            cursor.go_back(mark)
            return None if last is first else NumberRange(first.years, last.years, first.number.start, last.end)
        mark, last = cursor.mark(), following


def _with_bound(cursor: Cursor, age: Age) -> NumberRange | None:
    mark = cursor.mark()
    position = age.number.start
    if cursor.peek().start == age.number.end and cursor.accept("+"):
        return NumberRange(age.years, None, position, cursor.last_end)
    if cursor.accept("or", "and"):
        if cursor.accept("older", "over", "above", "more", "up") and not is_number(cursor.peek()):
            return NumberRange(age.years, None, position, cursor.last_end)
        cursor.go_back(mark)
        cursor.take()
        if cursor.accept("younger", "under", "below", "less", "fewer") and not is_number(cursor.peek()):
            return NumberRange(None, age.years, position, cursor.last_end)
    cursor.go_back(mark)
    return None


def _exactly(cursor: Cursor, age: Age) -> NumberRange:
    if age.years == 0 and age.number.value > 0:
        cursor.note(Sentence("ages are known in whole years: read as under one year"))
    elif age.number.value != age.years:
        cursor.note(Sentence("ages are known in whole years: read as %(years)s", years=age.years))
    return NumberRange(age.years, age.years, age.number.start, age.end)


def _age(cursor: Cursor, *, of_group: bool = False) -> Age | None:
    """Return a number with its unit, as in 5, 5 years, 5-year-old, 18 months; with `of_group` as in over 60s too."""
    token = cursor.peek()
    if of_group and token.kind is Kind.DECADE and len(token.text) == 2:
        cursor.take()
        return Age(int(token.text), Number(int(token.text), token.start, token.end), False, False, token.end)
    found = number(cursor)
    if found is None:
        return None
    mark = cursor.mark()
    cursor.accept("-")
    unit = cursor.accept("year-old", "year-olds", "month-old", "month-olds", *_YEARS, *_SHORTER)
    if unit is None:
        cursor.go_back(mark)
        return Age(found.value, found, False, False, found.end)
    per_year = _SHORTER.get(unit.text.partition("-")[0], 1)
    mark = cursor.mark()
    cursor.accept("-")
    old = cursor.accept(*_OLD) is not None
    if not old:
        cursor.go_back(mark)
    return Age(found.value // per_year, found, True, old or "-" in unit.text or unit.text == "yo", cursor.last_end)


def _people_follow(cursor: Cursor) -> bool:
    """Return whether the next words are people, so that a number before them counts them."""
    ahead = int(cursor.next_is("of"))
    token = cursor.peek(ahead)
    return (token.kind is Kind.WORD and (token.text in NOUNS or token.text in ADJECTIVES)) or token.text == "faces"
