"""Parsing a query, and explaining what cannot be parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from rollcall.errors import InvalidQueryError
from rollcall.search.grammar.rules import nearest
from rollcall.search.grammar.tree_builder import TreeBuilder
from rollcall.search.terms import Term
from rollcall.search.vocabulary import COUNTS, NOUNS

#: The grammar's terminals as a person reads them.
_NAMES: Final = {
    "OR": "or",
    "AND": "and",
    "WITH": "with",
    "NOT": "not",
    "NEITHER": "neither",
    "NOR": "nor",
    "ONLY": "only",
    "OF": "of",
    "COUNT": "a number word",
    "OVER": "over",
    "UNDER": "under",
    "EXACTLY": "exactly",
    "AGED": "aged",
    "BETWEEN": "between",
    "TO": "to",
    "INT": "a number",
    "FROM": "from",
    "UP_TO": "up to",
    "WORD": "a word such as children",
    "FIELD": "a field such as age:",
    "YEAR": "a year",
    "MONTH": "a month",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "MINUS": "-",
    "VALUE": "a value",
    "QUOTED": "quoted text",
    "GROUP": "group photos",
    "PORTRAIT": "portraits",
    "LEAD": "photos of",
    "$END": "the end",
}
#: Terminals that would only make a list of what is expected long.
_UNNAMED: Final = frozenset(
    [
        "INT_OR_MORE",
        "INT_OR_LESS",
        "RANGE",
        "YEARS",
        "YEARS_OLD",
        "DECADE",
        "RECENT",
        "TAKEN",
        "IN",
        "BEFORE",
        "AFTER",
        "SINCE",
        "UNTIL",
        "ALONE",
        "COUPLE",
        "FAMILY",
        "NOBODY",
        "REVIEWED",
        "TAGGED",
    ]
)


def parse(text: str) -> Term:
    """Return the tree of a query.

    Raises
    ------
    InvalidQueryError
        If it cannot be understood; the error has the position, what was expected there, and the nearest known word.
    """
    surrogate = re.search("[\ud800-\udfff]", text)
    if surrogate is not None:
        raise InvalidQueryError(text, surrogate.start(), "half a character has no meaning", ["whole characters"])
    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected_token(text, error) from error
    except UnexpectedEOF as error:
        raise InvalidQueryError(text, len(text), "the query ends too early") from error
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        raise InvalidQueryError(text, at, f"{text[at]!r} means nothing here", _expected(error.allowed)) from error
    try:
        result = TreeBuilder(text).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidQueryError):
            raise error.orig_exc from error
        raise
    assert isinstance(result, Term)
    return result


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, g_regex_flags=re.IGNORECASE)


def _expected(terminals: Iterable[str] | None) -> list[str]:
    return sorted({_NAMES.get(name, name.lower()) for name in terminals or () if name not in _UNNAMED})


def _unexpected_token(text: str, error: UnexpectedToken) -> InvalidQueryError:
    token = error.token
    if token.type == "$END":
        return InvalidQueryError(text, len(text.rstrip()), "the query ends too early", _expected(error.expected))
    word = str(token)
    suggestion = ""
    if re.fullmatch(r"[\w-]+", word):
        suggestion = nearest(word, [*NOUNS, *COUNTS])
        suggestion = "" if suggestion == word.lower() else suggestion
    return InvalidQueryError(
        text, token.start_pos or 0, f"{word!r} was not expected", _expected(error.expected), suggestion
    )
