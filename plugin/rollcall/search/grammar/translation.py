"""Queries in other languages: their words are replaced by English ones, from one file of phrases a language."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from rollcall.search.grammar.notes import Note
from rollcall.search.grammar.rewriting import unknown
from rollcall.search.grammar.spelling import corrected, edit_distance
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.kinship import RELATIVES
from rollcall.search.phrases import words
from rollcall.search.roster import Relation
from rollcall.search.vocabulary import MONTHS, NOUNS, NUMBERS
from rollcall.sentences import Quoted, Sentence

#: The languages besides English, the one asked for most first.
LANGUAGES: Final = ("de", "fr", "es", "it", "nl", "pt")
_FOLDER: Final = Path(__file__).resolve().parent.parent / "languages"
#: Small words of one language are names in another: they tell nothing of a query's language.
_SMALL_WORDS: Final = words("of in at on a with and or to from no not all")
_SMALL_FOREIGN: Final = words("am im die der das")
#: A word that tells the language of a query by itself, though it has a typing error, has so many letters.
_SHORTEST_ALONE: Final = 6
_JOINING: Final = words("and or with without but no not")
#: Stand for a number in a phrase, and for a decade such as 1990s.
_NUMBER: Final = "#"
_DECADE: Final = "#s"
#: Decades of two digits from this one on are years of the last century.
_FIRST_DECADE: Final = 50


class Translation(NamedTuple):
    """A query in English words."""

    tokens: list[Token]
    language: str  # its English name
    translated: int  # words that were
    unknown: int  # words that neither language knows
    notes: tuple[Note, ...] = ()  # of what was corrected

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
    phrases: dict[tuple[str, ...], tuple[str, ...]]  # without accents
    accented: dict[tuple[str, ...], tuple[str, ...]]  # which mean something else without accents: avô and avó
    longest: int
    numbers: dict[str, int]
    kinship: Kinship
    words: Mapping[str, str]  # of all phrases: without accents, and as they are written


def translated(query: str, tokens: Sequence[Token], preferred: str | None) -> Translation | None:
    """Return a query in English words, from the language that understands most of it; None if that is English.

    Parameters
    ----------
    preferred
        The language to take where several understand as much of it; "en" takes no other language at all.
    """
    in_english = len(unknown(tokens))
    found = _understood(tokens, preferred, in_english)
    if preferred == "en" or not in_english or (found is not None and not found.unknown):
        return found
    return _with_corrections(query, tokens, preferred, found) or found


def name_of(code: str) -> str:
    """Return the English name of a language of `LANGUAGES`, as notes have it."""
    return _language(code).name


def _with_corrections(
    query: str, tokens: Sequence[Token], preferred: str | None, found: Translation | None
) -> Translation | None:
    """Return the translation of a query with typing errors: of words in its language, or in one that has them all.

    None if nothing is close to a word, or if all may be English.
    """
    left = unknown(tokens)
    if (
        found is None
        and preferred not in LANGUAGES
        and (
            len(left) < len(_content(tokens))
            or any(corrected(token.text) or len(token.text) < _SHORTEST_ALONE for token in left[:1])
        )
    ):
        return None
    for code in sorted(LANGUAGES, key=lambda code: code != preferred):
        language = _language(code)
        if found is not None and found.language != language.name:
            continue
        notes: list[Note] = []
        alone = found is None and code != preferred
        spelt = [_spelt(query, token, language, notes, alone) for token in tokens]
        again = _translation(spelt, code) if notes else None
        sure = found is not None or code == preferred or (again is not None and not again.unknown)
        if again is not None and again.translated and (sure or _is_of_people(spelt)):
            return again._replace(notes=tuple(notes))
    return None


def _content(tokens: Sequence[Token]) -> list[Token]:
    """Return the words that tell something, in any language."""
    return [token for token in tokens if token.kind is Kind.WORD and token.text not in _SMALL_WORDS | _SMALL_FOREIGN]


def _is_of_people(tokens: Sequence[Token]) -> bool:
    """Return whether a word of other languages for people is among tokens: few names of places are like one."""
    return any(words_of_people_and_times().get(plain(token.text)) in NOUNS for token in tokens)


def _spelt(query: str, token: Token, language: _Language, notes: list[Note], alone: bool) -> Token:
    """Return a token, with a typing error in a word of a language corrected.

    `alone`: nothing else tells the language, and only a letter that is missing, too many or in its neighbour's place is
    taken for an error: "models" is no "Mädels".
    """
    if not unknown([token]) or plain(token.text) in language.words:
        return token
    word = corrected(plain(token.text), language.words)
    typed = plain(token.text)
    if word is None or (alone and (edit_distance(typed, word) > 1 or _is_substituted(typed, word))):
        return token
    quoted = f'{query[: token.start]}"{token.raw}"{query[token.end :]}'
    notes.append(
        Note(
            Sentence("%(word)s was read as %(words)s", word=Quoted(token.raw), words=Quoted(language.words[word])),
            quoted,
        )
    )
    return token._replace(text=word)


def _is_substituted(word: str, other: str) -> bool:
    return len(word) == len(other) and sorted(word) != sorted(other)


def _understood(tokens: Sequence[Token], preferred: str | None, in_english: int) -> Translation | None:
    """Return the translation from the language that understands most; None if that is English."""
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
    accented: dict[tuple[str, ...], tuple[str, ...]] = {}
    for english, texts in data["phrases"].items():
        for text in texts.split(", "):
            exact = tuple(part for word in text.split() for part in _elided(word, elisions))
            key, meaning = tuple(map(plain, exact)), tuple(english.split())
            if phrases.setdefault(key, meaning) != meaning and exact != key:
                accented.setdefault(exact, meaning)
    numbers = {
        key[0]: NUMBERS[value[0]]
        for key, value in phrases.items()
        if len(key) == len(value) == 1 and value[0] in NUMBERS
    }
    relatives = _kinship(data["kinship"])
    written = [word for texts in data["phrases"].values() for word in texts.replace(",", " ").split()]
    used = {plain(word): word for word in written if word != _NUMBER}
    return _Language(data["name"], elisions, phrases, accented, max(map(len, phrases)), numbers, relatives, used)


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
        if not _SMALL_WORDS.issuperset(_meaning(part, language)):
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


def _meaning(part: Sequence[Token], language: _Language) -> tuple[str, ...]:
    exact = tuple(token.text for token in part)
    return language.accented.get(exact) or language.phrases[_key(part, language)]


def _of_century(decade: str) -> str:
    """Return a decade with its century if it is one of years: 90 is 1990, and 30 those of somebody's age."""
    return f"19{decade}" if len(decade) == 2 and int(decade) >= _FIRST_DECADE else decade


def _is_number(token: Token, language: _Language) -> bool:
    return token.kind is Kind.NUMBER or plain(token.text) in language.numbers


def _in_english(part: Sequence[Token], language: _Language) -> Iterator[Token]:
    numbers = iter([token for token in part if _is_number(token, language)])
    raw = " ".join(token.raw for token in part)
    for word in _meaning(part, language):
        if word in (_NUMBER, _DECADE):
            token = next(numbers)
            value = token.text if token.kind is Kind.NUMBER else str(language.numbers[plain(token.text)])
            kind = Kind.DECADE if word == _DECADE else Kind.NUMBER
            yield token._replace(kind=kind, text=_of_century(value) if word == _DECADE else value)
        elif re.fullmatch(r"\d+s", word):
            yield Token(Kind.DECADE, word[:-1], part[0].start, part[-1].end, raw)
        else:
            kind = Kind.NUMBER if word.isdigit() else Kind.WORD
            yield Token(kind, word, part[0].start, part[-1].end, raw)
