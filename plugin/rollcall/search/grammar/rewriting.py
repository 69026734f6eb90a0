"""Everyday English rewritten in the words of the grammar: phrases, frames, possessives, typing errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.search.grammar.notes import Note
from rollcall.search.grammar.spelling import corrected, known_words
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.phrases import FRAMES, PHOTOS, PHRASES, SHOWING
from rollcall.search.vocabulary import COUNTS, INSTEAD, MONTHS, NOUNS, NUMBERS, ORDERS
from rollcall.sentences import Quoted, Sentence

#: Words that change nothing at the beginning of a query.
_BEFORE_IDLE_OF: Final = ("and", "or", "with", "only", "no", "not", "without", "but", "nor", "neither", ",")
_BEGINNINGS: Final = ("with", "of", "and", "showing", "containing")


class PhraseTable(NamedTuple):
    """Phrases as words, and the words that stand for them."""

    meanings: Mapping[tuple[str, ...], tuple[str, ...]]
    longest: int  # words of the longest phrase

    @classmethod
    def of(cls, phrases: Mapping[str, str]) -> PhraseTable:
        """Return the table of phrases; those of hyphens and blanks are the same."""
        meanings = {tuple(phrase.split()): tuple(meaning.split()) for phrase, meaning in phrases.items()}
        return cls(meanings, max(map(len, meanings), default=0))

    def replaced(self, tokens: Sequence[Token]) -> Iterator[Token]:
        """Yield tokens with the longest phrase at each place replaced."""
        at = 0
        while at < len(tokens):
            length = self._length_at(tokens, at)
            if not length:
                yield tokens[at]
                at += 1
                continue
            yield from _as_words(self.meanings[_texts(tokens[at : at + length])], tokens[at : at + length])
            at += length

    def _length_at(self, tokens: Sequence[Token], at: int) -> int:
        for length in range(min(self.longest, len(tokens) - at), 0, -1):
            part = tokens[at : at + length]
            if all(token.kind is Kind.WORD for token in part) and _texts(part) in self.meanings:
                return length
        return 0


def _texts(tokens: Iterable[Token]) -> tuple[str, ...]:
    return tuple(token.text for token in tokens)


def _as_words(words: Sequence[str], tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield words, or numbers in digits, in the place of tokens."""
    raw = " ".join(token.raw for token in tokens)
    for word in words:
        kind = Kind.NUMBER if word.isdigit() else Kind.WORD
        yield Token(kind, word, tokens[0].start, tokens[-1].end, raw)


@cache
def _english() -> PhraseTable:
    return PhraseTable.of(PHRASES)


def rewritten(query: str, tokens: Sequence[Token]) -> tuple[list[Token], list[Note]]:
    """Return tokens in the words of the grammar, and notes of what was corrected.

    Raises
    ------
    InvalidQueryError
        If a number of photos is asked for, which is nothing to search by.
    """
    notes: list[Note] = []
    spelt = [_spelt(query, token, notes) for token in _apart(tokens)]
    framed = _without_frames(spelt)
    found = list(_without_photos(query, list(_english().replaced(framed)), notes))
    if found and len(framed) < len(spelt) and found[0].kind is Kind.WORD and found[0].text == "but":
        # "Anything but selfies", without its frame.
        found[0] = found[0]._replace(text="except")
    if found and found[0].kind is Kind.WORD and found[0].text in _BEGINNINGS:
        found = found[1:]
    return [token for at, token in enumerate(found) if not _is_idle(found, at)], notes


def unknown(tokens: Sequence[Token]) -> list[Token]:
    """Return the words that have no meaning in English, typing errors included."""
    return [token for token in _apart(tokens) if token.kind is Kind.WORD and token.text not in known_words()]


def _apart(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yield tokens with possessives as their words, and unknown words with hyphens in parts if those are known."""
    known = known_words()
    for token in tokens:
        text = token.text
        if token.kind is not Kind.WORD or text in known:
            yield token
        elif text.removesuffix("'s") in NOUNS:
            yield token._replace(text=text.removesuffix("'s"))
        elif "-" in text and _is_known_in_parts(text):
            first, _, rest = text.partition("-")
            middle = token.start + len(first)
            yield Token(Kind.WORD, first, token.start, middle, token.raw[: len(first)])
            if first in MONTHS and rest in MONTHS:
                yield Token(Kind.SIGN, "-", middle, middle + 1, "-")
            yield from _apart([Token(Kind.WORD, rest, middle + 1, token.end, token.raw[len(first) + 1 :])])
        else:
            yield token


def _is_known_in_parts(text: str) -> bool:
    first, _, rest = text.partition("-")
    known = known_words()
    return first in known and (rest in known or ("-" in rest and _is_known_in_parts(rest)))


def _spelt(query: str, token: Token, notes: list[Note]) -> Token:
    if token.kind is not Kind.WORD or token.text in known_words() or len(token.text) > 20:
        return token
    word = corrected(token.text.removesuffix("'s"))
    if word is None:
        return token
    quoted = f'{query[: token.start]}"{token.raw}"{query[token.end :]}'
    notes.append(Note(Sentence("%(word)s was read as %(word2)s", word=Quoted(token.raw), word2=Quoted(word)), quoted))
    return token._replace(text=word)


def _without_frames(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return tokens without what a request begins with."""
    frames = _frames()
    at = 0
    while True:
        for length in range(min(frames.longest, len(tokens) - at), 0, -1):
            if _texts(tokens[at : at + length]) in frames.meanings and tokens[at].kind is Kind.WORD:
                at += length
                break
        else:
            return tokens[at:]


@cache
def _frames() -> PhraseTable:
    return PhraseTable.of(dict.fromkeys(FRAMES, ""))


def _without_photos(query: str, tokens: Sequence[Token], notes: list[Note]) -> Iterator[Token]:
    """Yield tokens without words for photos and what joins them to the people shown.

    "Only photos of children" asks for no more than "photos of children".
    """
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if _is_photo(token):
            at += 2 if following is not None and following.text in SHOWING and following.kind is Kind.WORD else 1
        elif token.kind is Kind.WORD and token.text in ORDERS and (len(tokens) == 1 or _is_photo(following)):
            notes.append(
                Note(
                    Sentence(
                        "%(word)s is an order, which is chosen beside the search: it leaves no photo out",
                        word=Quoted(token.raw),
                    )
                )
            )
            at += 1
        elif (
            following is not None
            and _is_photo(following)
            and token.text in ("a", "an", "any", "only", "just", "some", "all")
            and not (token.text == "only" and at and tokens[at - 1].text in NOUNS)
        ):
            at += 1
        elif following is not None and _is_photo(following) and _is_number(token):
            message = Sentence("a number of photos is nothing to search by; it is set by --limit")
            shorter = " ".join((query[: token.start] + query[token.end :]).split())
            raise InvalidQueryError(query, token.start, message, suggestions=[shorter])
        elif token.text in INSTEAD and following is not None and _is_photo(following):
            yield token
            at += 2
        else:
            yield token
            at += 1


def _is_idle(tokens: Sequence[Token], at: int) -> bool:
    """Return whether a token changes nothing: "both" in "both boys and girls", "of" in "women and of children"."""
    if tokens[at].text == "both":
        return "and" in _texts(tokens[at + 2 : at + 5])
    return tokens[at].text == "of" and at > 0 and tokens[at - 1].text in _BEFORE_IDLE_OF


def _is_photo(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.WORD and token.text in PHOTOS


def _is_number(token: Token) -> bool:
    return (token.kind is Kind.NUMBER and int(token.text[:18]) < 1900) or token.text in NUMBERS or token.text in COUNTS
