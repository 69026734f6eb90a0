"""What the groups of grammar rules share."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lark import Token, Transformer

from rollcall.errors import InvalidQueryError
from rollcall.search.vocabulary import NUMBERS

#: Longer numbers mean nothing in a query, and Python refuses to read those of some thousand digits.
_MOST_DIGITS: Final = 18


class QueryRules(Transformer[Token, Any]):
    """Grammar rules as methods: each gets its parts, built already, and returns a part of the tree."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def _error(
        self, at: Token | int, message: str, expected: Sequence[str] = (), suggestion: str = ""
    ) -> InvalidQueryError:
        position = at if isinstance(at, int) else at.start_pos or 0
        return InvalidQueryError(self.text, position, message, expected, suggestion)


class NumberRange(NamedTuple):
    """A range of ages or of numbers of people, both ends included; None: no end."""

    low: int | None
    high: int | None
    position: int  # in the query


def number_of(text: str) -> int:
    """Return the number that a text begins with, in digits or as a word."""
    match = re.match(r"\d+|[a-z]+", text.lower())
    assert match is not None
    number = NUMBERS.get(match[0])
    if number is not None:
        return number
    return int(match[0]) if len(match[0]) <= _MOST_DIGITS else 10**_MOST_DIGITS


def nearest(word: str, words: Sequence[str]) -> str:
    """Return the word that is spelt most like one; empty if none is close."""
    return next(iter(difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.7)), "")
