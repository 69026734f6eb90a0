"""Queries in other languages: their words are replaced by English ones, from one file of phrases a language."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from rollcall.search.grammar.rewriting import unknown
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.kinship import RELATIVES
from rollcall.search.phrases import words
from rollcall.search.roster import Relation
from rollcall.search.vocabulary import MONTHS, NOUNS, NUMBERS

#: The languages besides English, the one asked for most first.
LANGUAGES: Final = ("de", "fr", "es", "it", "nl", "pt")
_FOLDER: Final = Path(__file__).resolve().parent.parent / "languages"
#: Small words of one language are names in another: they tell nothing of a query's language.
_SMALL_WORDS: Final = words("of in at on a with and or to from no not all")
_JOINING: Final = words("and or with without but no not")
#: Stands for a number in a phrase.
_NUMBER: Final = "#"


class Translation(NamedTuple):
    """A query in English words."""

    tokens: list[Token]
    language: str  # its English name
    translated: int  # words that were
    unknown: int  # words that neither language knows

    def text(self) -> str:
        """Return the query in English."""
        return " ".join(token.raw if token.kind in (Kind.QUOTED, Kind.NAME) else token.text for token in self.tokens)


class Kinship(NamedTuple):
    """The words of a language for relatives, without accents."""

    my: frozenset[str]
    me: frozenset[str]  # with accents: "mi" is my in Spanish, and "mí" is me
    relatives: Mapping[str, tuple[Relation, str | None]]


class _Language(NamedTuple):
    name: str
    elisions: frozenset[str]
    phrases: dict[tuple[str, ...], tuple[str, ...]]
    longest: int
    numbers: dict[str, int]
    kinship: Kinship


def translated(tokens: Sequence[Token], preferred: str | None) -> Translation | None:
    """Return a query in English words, from the language that understands most of it; None if that is English.

    Parameters
    ----------
    preferred
        The language to take where several understand as much of it; "en" takes no other language at all.
    """
    in_english = len(unknown(tokens))
    if preferred == "en" or (in_english == 0 and preferred not in LANGUAGES):
        return None
    codes = sorted(LANGUAGES, key=lambda code: code != preferred)
    if in_english == 0:
        codes = codes[:1]
    found = [_translation(tokens, code) for code in codes]
    best = min(found, key=lambda one: (one.unknown, -one.translated, -_joined_names(one.tokens)))
    first = found[0]
    if preferred in LANGUAGES and first.unknown <= in_english and first.unknown == best.unknown and first.translated:
        return first
    # A name beside small words is a query too: Anna et Ben.
    named = any(token.kind is Kind.NAME for token in tokens)
    return best if best.unknown < in_english and (best.translated or named) else None


def _joined_names(tokens: Sequence[Token]) -> int:
    """Return how many times two names are joined by a word: "en" is "in" in French, and "and" in Dutch."""
    return sum(
        before.kind is Kind.NAME is after.kind and word.text in _JOINING
        for before, word, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
    )


def plain(word: str) -> str:
    """Return a word without accents: they are often not typed."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def kinship(code: str) -> Kinship:
    """Return a language's words for relatives."""
    return _language(code).kinship


@cache
def words_of_people_and_times() -> Mapping[str, str]:
    """Return the single words of all languages for people, months and seasons, with their English ones."""
    return {
        key[0]: value[0]
        for code in LANGUAGES
        for key, value in _language(code).phrases.items()
        if len(key) == len(value) == 1 and (value[0] in NOUNS or value[0] in MONTHS)
    }


@cache
def _language(code: str) -> _Language:
    data = tomllib.loads((_FOLDER / f"{code}.toml").read_text(encoding="utf-8"))
    elisions = frozenset(data["elisions"])
    phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
    for english, texts in data["phrases"].items():
        for text in texts.split(", "):
            key = tuple(part for word in text.split() for part in _elided(plain(word), elisions))
            phrases.setdefault(key, tuple(english.split()))
    numbers = {key[0]: NUMBERS[value[0]] for key, value in phrases.items() if len(value) == 1 and value[0] in NUMBERS}
    relatives = _kinship(data["kinship"])
    return _Language(data["name"], elisions, phrases, max(map(len, phrases)), numbers, relatives)


def _kinship(data: Mapping[str, str]) -> Kinship:
    listed = {name: frozenset(plain(word) for word in text.split(", ")) for name, text in data.items()}
    relatives = {word: RELATIVES[name] for name, found in listed.items() if name in RELATIVES for word in found}
    return Kinship(listed["my"], frozenset(data["me"].split(", ")), relatives)


def _elided(word: str, elisions: frozenset[str]) -> list[str]:
    """Return a word in two at its apostrophe if an article or a preposition stands before it: l'été."""
    first, apostrophe, rest = word.partition("'")
    return [f"{first}'", rest] if apostrophe and rest and first in elisions else [word]


def _translation(tokens: Sequence[Token], code: str) -> Translation:
    language = _language(code)
    parts = list(_parts(tokens, language))
    result: list[Token] = []
    count, at = 0, 0
    left: list[Token] = []
    while at < len(parts):
        length = next((n for n in range(language.longest, 0, -1) if _matches(parts[at : at + n], n, language)), 0)
        if not length:
            result.append(parts[at])
            left.append(parts[at])
            at += 1
            continue
        part = parts[at : at + length]
        result += _in_english(part, language)
        if not _SMALL_WORDS.issuperset(language.phrases[_key(part, language)]):
            count += sum(token.kind is Kind.WORD for token in part)
        at += length
    return Translation(result, language.name, count, len(unknown(left)))


def _parts(tokens: Sequence[Token], language: _Language) -> Iterator[Token]:
    for token in tokens:
        words = _elided(token.text, language.elisions) if token.kind is Kind.WORD else [token.text]
        middle = token.start + len(words[0])
        if len(words) == 1:
            yield token
        else:
            yield Token(Kind.WORD, words[0], token.start, middle, token.raw[: len(words[0])])
            yield Token(Kind.WORD, words[1], middle, token.end, token.raw[len(words[0]) :])


def _matches(part: Sequence[Token], length: int, language: _Language) -> bool:
    return len(part) == length and _key(part, language) in language.phrases


def _key(part: Sequence[Token], language: _Language) -> tuple[str, ...]:
    """Return the words of a part; of several, numbers as their sign, for the phrases have it."""
    if any(token.kind not in (Kind.WORD, Kind.NUMBER) for token in part):
        return ()
    alone = len(part) == 1
    return tuple(_NUMBER if not alone and _is_number(token, language) else plain(token.text) for token in part)


def _is_number(token: Token, language: _Language) -> bool:
    return token.kind is Kind.NUMBER or plain(token.text) in language.numbers


def _in_english(part: Sequence[Token], language: _Language) -> Iterator[Token]:
    numbers = iter([token for token in part if _is_number(token, language)])
    raw = " ".join(token.raw for token in part)
    for word in language.phrases[_key(part, language)]:
        if word == _NUMBER:
            token = next(numbers)
            value = token.text if token.kind is Kind.NUMBER else str(language.numbers[plain(token.text)])
            yield token._replace(kind=Kind.NUMBER, text=value)
        else:
            kind = Kind.NUMBER if word.isdigit() else Kind.WORD
            yield Token(kind, word, part[0].start, part[-1].end, raw)
