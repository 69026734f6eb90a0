"""The text of a query as tokens: words, numbers, dates, fields with their values, quoted text, punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.sentences import Quoted, Sentence

#: A query with more characters or tokens is refused: nobody types it, and its SQL would be too long.
MOST_CHARACTERS: Final = 20_000
MOST_TOKENS: Final = 300
#: Years of two digits from this one on are of the last century.
_FIRST_SHORT_YEAR: Final = 40


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    NUMBER = "number"
    DATE = "date"  # 2019-06 or 2019-06-12
    DECADE = "decade"  # 30s, 1990s
    FIELD = "field"  # the name before a colon, without it
    VALUE = "value"  # of a field
    NAME = "name"  # of people who are known; the text is a key of `Cursor.people`
    QUOTED = "quoted"  # without its quotes
    SIGN = "sign"  # punctuation
    END = "end"


class Token(NamedTuple):
    """A part of a query; `text` is in lower case and may be replaced by a word of the same meaning."""

    kind: Kind
    text: str
    start: int  # in the query
    end: int
    raw: str  # as it was typed


#: Typographic characters and what is typed on a keyboard for them, one for one: positions stay.
_PLAIN: Final = str.maketrans("“”„‟«»‘’‚‛´`–—−‐‑", "\"\"\"\"\"\"''''''-----")
#: Signs that end a text in quotes; two of them within one stand for the sign itself.
_QUOTES: Final = "".join(chr(sign) for sign, plain in _PLAIN.items() if plain == ord('"')) + '"'
_QUOTE: Final = re.compile(f"[{_QUOTES}]")
_TWO_QUOTES: Final = re.compile(f"([{_QUOTES}])[{_QUOTES}]")
#: What a word goes on with: letters, digits, and the marks of decomposed and of Indic letters, which are no letters.
_PART: Final = r"[\w\u0300-\u036f\u0483-\u0487\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e\u3099\u309a]"
_TOKEN: Final = re.compile(
    r"""
      (?P<field>[A-Za-z_]+(?=:)) :[ \t]* (?P<value>"[^"]*(?:""[^"]*)*"|[^\s()",][^\s()",]*)?
    | "(?P<quoted>[^"]*)"
    | (?P<european>\d{1,2}\.\d{1,2}\.(?:19|20)\d\d)(?!\d)
    | (?P<slashed>\d{1,2}/\d{1,2}/(?:19|20)\d\d|(?:19|20)\d\d/\d{1,2}/\d{1,2}|(?:19|20)\d\d\.\d{1,2}\.\d{1,2})(?!\d)
    | (?P<compact>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)
    | (?P<monthly>(?:0?[1-9]|1[0-2])[./](?:19|20)\d\d)(?!\d)
    | '(?P<short>\d\d)(?!\d|'?s)
    | (?P<date>(?:19|20)\d\d-\d\d?(?:-\d\d?)?)(?![\d])
    | '?(?P<decade>(?:(?:19|20)\d|\d)0)'?s\b
    | (?P<number>\d+)(?!\d)(?:st|nd|rd|th|'?s)?(?![^\W\d_])
    | (?P<counter>\d+)(?=[^\W\d_])
    | (?P<word>[^\W\d_]{part}*(?:['-][^\W\d_]{part}*|\.\w+)*)'?
    | (?P<sign>>=|<=|\.\.|[()<>|&+,;/-])
    | (?P<end>[.!?;:\s]+$|[.!?:]+)
    """.replace("{part}", _PART),
    re.VERBOSE,
)


def quoted(text: str) -> str:
    """Return a text as the value of a field in a query: in quotes, and each quote within it twice."""
    return f'"{_QUOTE.sub(lambda found: found[0] * 2, text)}"'


def unquoted(value: str) -> str:
    """Return what the value of a field in a query stands for, in quotes or not."""
    inside = len(value) > 1 and _QUOTE.match(value) is not None
    return _TWO_QUOTES.sub(lambda found: found[1], value[1:-1]) if inside else value


def tokens_of(query: str) -> list[Token]:
    """Return the tokens of a query, without an end token.

    Raises
    ------
    InvalidQueryError
        If the query is too long or has a character without a meaning.
    """
    if len(query) > MOST_CHARACTERS:
        message = Sentence(
            "a query has at most %(most)s characters, and this one %(count)s",
            most=f"{MOST_CHARACTERS:,}",
            count=f"{len(query):,}",
        )
        raise InvalidQueryError(query, MOST_CHARACTERS, message)
    surrogate = re.search("[\ud800-\udfff]", query)
    if surrogate is not None:
        raise InvalidQueryError(query, surrogate.start(), Sentence("half a character has no meaning"))
    result: list[Token] = []
    for token in _scan(query):
        if len(result) >= MOST_TOKENS:
            raise InvalidQueryError(
                query, token.start, Sentence("a query has at most %(most)s words", most=MOST_TOKENS)
            )
        result.append(token)
    return result


def _scan(query: str) -> Iterator[Token]:
    text = query.translate(_PLAIN)
    at = 0
    while at < len(text):
        if text[at].isspace() or unicodedata.combining(text[at]):
            at += 1
            continue
        match = _TOKEN.match(text, at)
        end = at if match is None else match.end()
        if text[end : end + 1] == '"' and (match is None or (match["field"] and match["value"] is None)):
            raise InvalidQueryError(query, end, Sentence("a quote is not closed; type another at its end"))
        if match is None:
            raise InvalidQueryError(query, at, Sentence("%(query)s means nothing here", query=Quoted(query[at])))
        yield from _tokens(query, match)
        at = max(match.end(), at + 1)


def _tokens(query: str, match: re.Match[str]) -> Iterator[Token]:
    group = match.lastgroup
    raw = query[match.start() : match.end()]
    if match["field"] is not None:
        yield from _field(query, match)
    elif group == "european":
        day, month, year = match[group].split(".")
        yield Token(Kind.DATE, f"{year}-{int(month):02}-{int(day):02}", match.start(), match.end(), raw)
    elif group == "compact":
        day = match[group]
        yield Token(Kind.DATE, f"{day[:4]}-{day[4:6]}-{day[6:]}", match.start(), match.end(), raw)
    elif group == "monthly":
        month, year = match[group].replace("/", ".").split(".")
        yield Token(Kind.DATE, f"{year}-{int(month):02}", match.start(), match.end(), raw)
    elif group == "short":
        # '98 is 1998, and '12 is 2012.
        year = f"{19 if int(match[group]) >= _FIRST_SHORT_YEAR else 20}{match[group]}"
        yield Token(Kind.NUMBER, year, match.start(), match.end(), raw)
    elif group == "slashed":
        yield Token(Kind.DATE, _day_of(query, match), match.start(), match.end(), raw)
    elif group == "counter":
        yield Token(Kind.NUMBER, match[group], match.start(), match.end(), raw)
    elif group == "word":
        text = unicodedata.normalize("NFC", match[group].lower())
        yield Token(Kind.WORD, text, match.start(), match.end(), raw)
    elif group != "end":
        assert group is not None
        text = "," if match[group] == ";" and group == "sign" else match[group]
        yield Token(Kind(group), text, match.start(), match.end(), raw)


def _day_of(query: str, match: re.Match[str]) -> str:
    """Return the day of 2019/06/12, 30/6/2019 or 6/30/2019 as ISO 8601.

    Raises
    ------
    InvalidQueryError
        If it may be two days: 6/12/2019.
    """
    first, second, third = match["slashed"].replace(".", "/").split("/")
    if len(first) == 4:
        return f"{first}-{int(second):02}-{int(third):02}"
    either = [f"{third}-{int(month):02}-{int(day):02}" for month, day in ((first, second), (second, first))]
    if int(first) > 12 or int(second) > 12 or first == second:
        return either[int(first) > 12]
    suggestions = [f"{query[: match.start()]}{day}{query[match.end() :]}" for day in either]
    message = Sentence("%(match)s may be two days", match=Quoted(match["slashed"]))
    raise InvalidQueryError(query, match.start(), message, ["2019-06-12"], suggestions=suggestions)


def _field(query: str, match: re.Match[str]) -> Iterator[Token]:
    start, end = match.span("field")
    yield Token(Kind.FIELD, match["field"].lower(), start, end, query[start : end + 1])
    if match["value"] is None:
        return
    start, end = match.span("value")
    value = query[start:end]
    yield Token(Kind.VALUE, unquoted(value), start, end, value)
