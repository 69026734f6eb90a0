"""Rules of ranges: of ages behind a word, of numbers of people before one."""

from __future__ import annotations

import re
from typing import Final

from lark import Token, v_args

from rollcall.ages import AGE_GROUPS
from rollcall.search.grammar.rules import NumberRange, QueryRules, number_of

_TENS: Final = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")


@v_args(inline=True)
class RangeRules(QueryRules):
    """Ranges such as over 60, from 3, between 3 and 8, in their early thirties."""

    def over(self, *parts: Token) -> NumberRange:
        return NumberRange(number_of(parts[-1]) + 1, None, _position(parts[-1]))

    def from_(self, *parts: Token) -> NumberRange:
        return NumberRange(number_of(parts[-1]), None, _position(parts[-1]))

    def under(self, *parts: Token) -> NumberRange:
        return NumberRange(None, number_of(parts[-1]) - 1, _position(parts[-1]))

    def up_to(self, *parts: Token) -> NumberRange:
        return NumberRange(None, number_of(parts[-1]), _position(parts[-1]))

    def aged(self, *parts: Token) -> NumberRange:
        number = number_of(parts[-1])
        return NumberRange(number, number, _position(parts[-1]))

    def ranged(self, *parts: Token) -> NumberRange:
        low, high = re.split(r"\s*(?:-|–|\bto\b)\s*", parts[-1].lower(), maxsplit=1)
        return NumberRange(number_of(low), number_of(high), _position(parts[-1]))

    def between(self, *parts: Token) -> NumberRange:
        low, high = [part for part in parts if part.type == "INT"]
        return NumberRange(number_of(low), number_of(high), _position(low))

    def decade(self, token: Token) -> NumberRange:
        text = token.lower()
        word = text.split()[-1]
        if word == "teens":
            return NumberRange(AGE_GROUPS["teenagers"].low, AGE_GROUPS["teenagers"].high, _position(token))
        decade = int(word[:2]) if word[0].isdigit() else 10 * (2 + _TENS.index(word))
        first, last = (0, 3) if "early" in text else (4, 6) if "mid" in text else (7, 9) if "late" in text else (0, 9)
        return NumberRange(decade + first, decade + last, _position(token))


def _position(token: Token) -> int:
    return token.start_pos or 0
