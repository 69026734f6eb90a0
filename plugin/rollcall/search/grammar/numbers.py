"""Numbers in digits and in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final, NamedTuple

from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.vocabulary import NUMBERS

#: Longer numbers mean nothing in a query, and Python refuses to read those of some thousand digits.
_MOST_DIGITS: Final = 18
#: Numbers that are years behind "from", "in", "between" and "since", and never ages or numbers of people.
YEARS: Final = range(1900, 2101)


class Number(NamedTuple):
    """A number of a query, and where it stands."""

    value: int
    start: int
    end: int

    @property
    def is_year(self) -> bool:
        """Whether it is a year."""
        return self.value in YEARS


class NumberRange(NamedTuple):
    """A range of ages or of numbers of people, both ends included; None: no end."""

    low: int | None
    high: int | None
    position: int  # in the query
    end: int = 0


def number(cursor: Cursor) -> Number | None:
    """Return the number that is next, such as 5, sixty or sixty five; None if there is none."""
    token = cursor.peek()
    if token.kind is Kind.NUMBER:
        cursor.take()
        value = int(token.text) if len(token.text) <= _MOST_DIGITS else 10**_MOST_DIGITS
        return Number(value, token.start, token.end)
    if token.kind is not Kind.WORD or token.text not in NUMBERS:
        return None
    cursor.take()
    value = NUMBERS[token.text]
    unit = cursor.peek()
    if value >= 20 and NUMBERS.get(unit.text, 10) < 10 and unit.start - token.end <= 1:
        cursor.take()
        return Number(value + NUMBERS[unit.text], token.start, unit.end)
    return Number(value, token.start, token.end)


def is_number(token: Token) -> bool:
    """Return whether a token is a number."""
    return token.kind is Kind.NUMBER or (token.kind is Kind.WORD and token.text in NUMBERS)


def nearest(word: str, words: Sequence[str]) -> str:
    """Return the word that is spelt most like one; empty if none is close."""
    return next(iter(difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.7)), "")
