"""Years of birth: born in 2010, born between 2005 and 2008, born before 1960."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.search.grammar.age_rules import is_decade_of_years
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import number
from rollcall.search.grammar.tokens import Kind
from rollcall.sentences import Sentence

_FIRST: Final = 1800
_LAST: Final = 2200


class BirthYears(NamedTuple):
    """Years of birth, both ends included."""

    first: int
    last: int


def birth_years(cursor: Cursor) -> BirthYears | None:
    """Return the years of birth that are next; None if there are none.

    Raises
    ------
    InvalidQueryError
        If the year is missing, or the years end before they begin.
    """
    start = cursor.accept("born")
    if start is None:
        return None
    bound = cursor.accept("before", "after", "since", "until")
    cursor.accept("in", "from", "between")
    first = _years(cursor)
    if first is None:
        raise cursor.error(cursor.peek(), Sentence("'born' needs a year"), ["born in 2010"])
    if bound is not None:
        return {
            "before": BirthYears(_FIRST, first.first - 1),
            "after": BirthYears(first.last + 1, _LAST),
            "since": BirthYears(first.first, _LAST),
            "until": BirthYears(_FIRST, first.last),
        }[bound.text]
    mark = cursor.mark()
    last = _years(cursor) if cursor.accept("-", "to", "and", "until") else None
    if last is None:
        cursor.go_back(mark)
        return first
    if last.last < first.first:
        raise cursor.error(
            start, Sentence("the years of birth end before they begin"), [Sentence("the earlier year first")]
        )
    return BirthYears(first.first, last.last)


def _years(cursor: Cursor) -> BirthYears | None:
    token = cursor.peek()
    if token.kind is Kind.DECADE and is_decade_of_years(cursor, token):
        cursor.take()
        first = int(token.text) if len(token.text) == 4 else 1900 + int(token.text)
        return BirthYears(first, first + 9)
    mark = cursor.mark()
    found = number(cursor)
    if found is None or not found.is_year:
        cursor.go_back(mark)
        return None
    return BirthYears(found.value, found.value)
