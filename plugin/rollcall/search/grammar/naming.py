"""Names of people in a query: they become tokens of their own before anything else is read.

A name wins over words that folders and tags have. Where it is a word of the grammar as well, both readings are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.search.folding import fold
from rollcall.search.grammar.notes import Note
from rollcall.search.grammar.numbers import nearest
from rollcall.search.grammar.spelling import KEYWORDS, known_words
from rollcall.search.grammar.tokens import Kind, Token, tokens_of
from rollcall.search.grammar.translation import LANGUAGES, Kinship, kinship, plain, words_of_people_and_times
from rollcall.search.identity import Identity
from rollcall.search.kinship import ASKED_FOR, BEFORE_TIMES, HOMONYMS, ME, MY, RELATIVES
from rollcall.search.phrases import FRAMES, PHOTOS, PHRASES, PREPOSITIONS, SHOWING
from rollcall.search.roster import Roster, name_words
from rollcall.search.vocabulary import COUNTS, MONTHS, NUMBERS
from rollcall.sentences import Quoted, Sentence


class Named(NamedTuple):
    """The tokens of a query with names as tokens of their own, and who they are."""

    tokens: list[Token]
    people: dict[str, Identity]  # by the text of the name's token
    notes: list[Note]


class _Found(NamedTuple):
    """People at a place of the query."""

    numbers: tuple[int, ...]
    used: int  # how many tokens stand for them
    rest: Token | None = None  # what is left of the last token, such as the 's of a possessive


#: Words without which nothing can be said: no bare word is taken for a name that is one of them.
_NEVER_NAMES: Final = (
    KEYWORDS | PREPOSITIONS | SHOWING | PHOTOS | frozenset(COUNTS) | frozenset(NUMBERS)
    | {phrase for phrase, meaning in PHRASES.items() if not meaning} | frozenset(FRAMES)
)  # fmt: skip
#: Numbers of up to so many digits fit a database's 64 bits, and an error repeats so much of a value.
_MOST_DIGITS: Final = 15
_SHOWN: Final = 40
#: A shorter name with an s behind it is another word.
_SHORTEST_GENITIVE: Final = 3
_ENGLISH: Final = Kinship(MY, ME, RELATIVES)


def with_names(query: str, tokens: Sequence[Token], roster: Roster) -> Named:
    """Return the tokens of a query with the names that are known, and the words for relatives, as names.

    Raises
    ------
    InvalidQueryError
        If `person:` has a name that nobody has.
    """
    return _Naming(query, tokens, roster).run()


class _Naming:
    """One pass over the tokens of a query."""

    def __init__(self, query: str, tokens: Sequence[Token], roster: Roster) -> None:
        self.query, self.tokens, self.roster = query, tokens, roster
        self.result: list[Token] = []
        self.people: dict[str, Identity] = {}
        self.notes: list[Note] = []
        self.at = 0

    def run(self) -> Named:
        while self.at < len(self.tokens):
            found = self._field() or self._me() or self._name()
            if found is None:
                self.result.append(self.tokens[self.at])
                self.at += 1
        return Named(self.result, self.people, self.notes)

    # ---- Fields

    def _field(self) -> bool | None:
        """Take `person:"Anna B"`, and `word:rose`, a word that is no name here."""
        token, value = self.tokens[self.at], self._peek(1)
        if token.kind is not Kind.FIELD or value is None or value.kind is not Kind.VALUE:
            return None
        if token.text == "person":
            self._append(self._people_of(value), token.start, value.end)
        elif token.text == "word":
            self.result += [inner._replace(start=token.start, end=value.end) for inner in tokens_of(value.text)]
        else:
            return None
        self.at += 2
        return True

    def _people_of(self, value: Token) -> tuple[int, ...]:
        """Return the people of a name, or of a number.

        Raises
        ------
        InvalidQueryError
            If there are none.
        """
        words = name_words(value.text)
        numbers = self.roster.named(words) or self.roster.partly_named(words)
        if not numbers and value.text.isascii() and value.text.isdigit() and len(value.text) <= _MOST_DIGITS:
            numbers = (int(value.text),)
        if numbers:
            return numbers
        names = {fold(name): name for names in self.roster.names.values() for name in names}
        near = nearest(fold(value.text), list(names))
        instead = [f'{self.query[: value.start]}"{names[near]}"{self.query[value.end :]}'] if near else []
        message = Sentence("nobody is named %(word)s", word=Quoted(value.text[:_SHOWN]))
        raise InvalidQueryError(
            self.query, value.start, message, [Sentence("a name that you gave")], suggestions=instead
        )

    # ---- Relatives

    def _me(self) -> bool | None:
        """Take "me", "my daughter" and "my two sons", in every language, if it is known who asks."""
        me = self.roster.me
        if me is None:
            return None
        before = self.tokens[self.at - 1].text if self.at else ""
        text = plain(self._text(0))
        for words in _languages():
            if self._text(0) in words.me and before not in ASKED_FOR:
                return self._take(_Found((me,), 1))
            if text not in words.my:
                continue
            ahead = 1 if plain(self._text(1)) in words.relatives else 2
            if ahead == 2 and not self._is_number(1):
                continue
            related = words.relatives.get(plain(self._text(ahead)))
            if related is None:
                continue
            numbers = self.roster.related((me,), *related)
            if not numbers:
                name = self.tokens[self.at + ahead].raw
                self.notes.append(
                    Note(
                        Sentence(
                            "nobody is known to be your %(name)s: read as anybody of that age and gender", name=name
                        )
                    )
                )
                return None
            if ahead == 2:
                self.result.append(self.tokens[self.at + 1])
                self.at += 1
            return self._take(_Found(numbers, 2))
        return None

    def _is_number(self, ahead: int) -> bool:
        token = self._peek(ahead)
        return token is not None and (token.kind is Kind.NUMBER or token.text in NUMBERS or token.text == "both")

    # ---- Names

    def _name(self) -> bool | None:
        for length in range(min(self.roster.longest, len(self.tokens) - self.at), 0, -1):
            part = self.tokens[self.at : self.at + length]
            if any(token.kind not in (Kind.WORD, Kind.NUMBER) for token in part) or part[0].kind is Kind.NUMBER:
                continue
            for possessive in (False, True):
                words = _words_of(part, possessive)
                if words and self._is_taken(words, length, possessive):
                    return True
        return self._elided()

    def _is_taken(self, words: tuple[str, ...], length: int, possessive: bool) -> bool:
        """Take a name of some words if it is somebody's, and is not meant as a word."""
        exact, partly = self.roster.named(words), self.roster.partly_named(words)
        numbers = exact or partly
        ordinary = length == 1 and self._is_ordinary(words[0], self.tokens[self.at].text)
        if not numbers or (length == 1 and words[0] in _NEVER_NAMES) or (ordinary and not exact):
            return False
        last = self.tokens[self.at + length - 1]
        if possessive:
            related = self._relative_of(numbers, length)
            if related is not None:
                return bool(self._take(related))
            if not last.text.endswith("'s"):
                # "Annas Geburtstag" is German, and not to be had in English.
                if not exact or length > 1 or last.text in known_words() or len(words[0]) < _SHORTEST_GENITIVE:
                    return False
                note = Sentence(
                    "%(word)s was read as %(name)s", word=Quoted(last.raw), name=self.roster.identity(exact).name
                )
                self.notes.append(Note(note, self._replaced(length, f"word:{last.text}")))
                return bool(self._take(_Found(exact, length)))
        if ordinary and self._is_time(length):
            other = self._replaced(length, self._quoted(exact[0]))
            self.notes.append(
                Note(
                    Sentence("%(word)s was read as a time, and not as the person of that name", word=Quoted(last.raw)),
                    other,
                )
            )
            return False
        self._say(exact, partly, words, length, ordinary)
        return bool(self._take(_Found(numbers, length)))

    def _relative_of(self, numbers: tuple[int, ...], length: int) -> _Found | None:
        """Return the relatives that are next: Anna's daughter, Annas Tochter."""
        for words in _languages():
            related = words.relatives.get(plain(self._text(length)))
            if related is not None:
                found = self.roster.related(numbers, *related)
                return _Found(found, length + 1) if found else None
        return None

    def _elided(self) -> bool | None:
        """Take a name behind an article or a preposition that lost its vowel: d'Anna."""
        token = self.tokens[self.at]
        first, apostrophe, rest = token.text.partition("'")
        if token.kind is not Kind.WORD or not apostrophe or len(first) > 2 or len(rest) < 2:
            return None
        words = name_words(rest)
        numbers = self.roster.named(words) or self.roster.partly_named(words)
        if not numbers or rest in known_words():
            return None
        middle = token.start + len(first) + 1
        self.result.append(Token(Kind.WORD, f"{first}'", token.start, middle, token.raw[: len(first) + 1]))
        self._append(numbers, middle, token.end)
        self.at += 1
        return True

    def _is_ordinary(self, word: str, typed: str) -> bool:
        """Return whether a word means something in queries, or is one of everyday English, besides being a name."""
        return word in known_words() or word in HOMONYMS or plain(typed) in words_of_people_and_times()

    def _is_time(self, length: int) -> bool:
        """Return whether a month or a season stands where a time does: in May, May 2019, 12 May."""
        text = plain(self._text(0))
        if text not in MONTHS and words_of_people_and_times().get(text) not in MONTHS:
            return False
        before = self.tokens[self.at - 1] if self.at else None
        after = self._peek(length)
        return (before is not None and (before.text in BEFORE_TIMES or before.kind is Kind.NUMBER)) or (
            after is not None and after.kind in (Kind.NUMBER, Kind.DATE)
        )

    def _say(
        self, exact: tuple[int, ...], partly: tuple[int, ...], words: tuple[str, ...], length: int, ordinary: bool
    ) -> None:
        """Note how a name is read that others have too, or that is a word."""
        raw = self.query[self.tokens[self.at].start : self.tokens[self.at + length - 1].end]
        if len(exact) > 1:
            note = Sentence("%(count)s people are named %(word)s: read as any of them", count=len(exact), word=raw)
            self.notes.append(Note(note, self._replaced(length, f"person:{exact[0]}")))
        elif not exact and len(partly) > 1:
            note = Sentence("%(word)s was read as %(name)s", word=Quoted(raw), name=self.roster.identity(partly).name)
            self.notes.append(Note(note, self._replaced(length, self._quoted(partly[0]))))
        elif exact and partly:
            note = Sentence(
                "read as %(shown)s; %(name)s has a longer name",
                shown=self.roster.shown(exact[0]),
                name=self.roster.identity(partly).name,
            )
            self.notes.append(Note(note, self._replaced(length, self._quoted(partly[0]))))
        if ordinary:
            other = self._replaced(length, f"word:{words[0]}")
            self.notes.append(
                Note(Sentence("read as the person named %(shown)s", shown=self.roster.shown(exact[0])), other)
            )

    # ---- What is written

    def _take(self, found: _Found) -> bool:
        first, last = self.tokens[self.at], self.tokens[self.at + found.used - 1]
        self._append(found.numbers, first.start, last.end)
        self.at += found.used
        return True

    def _append(self, numbers: Sequence[int], start: int, end: int) -> None:
        identity = self.roster.identity(numbers)
        key = ",".join(map(str, identity.people))
        self.people[key] = identity
        self.result.append(Token(Kind.NAME, key, start, end, self.query[start:end]))

    def _peek(self, ahead: int) -> Token | None:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def _text(self, ahead: int) -> str:
        token = self._peek(ahead)
        return token.text if token is not None and token.kind is Kind.WORD else ""

    def _quoted(self, number: int) -> str:
        name = self.roster.shown(number)
        return f"person:{number}" if '"' in name else f'person:"{name}"'

    def _replaced(self, length: int, text: str) -> str:
        start, end = self.tokens[self.at].start, self.tokens[self.at + length - 1].end
        return " ".join(f"{self.query[:start]} {text} {self.query[end:]}".split())


def _words_of(part: Sequence[Token], possessive: bool) -> tuple[str, ...]:
    """Return the words of tokens as names are compared; of a possessive without its s, and none if it is none."""
    texts = [token.text for token in part]
    if possessive:
        if not texts[-1].endswith("s") or len(texts[-1]) < 3:
            return ()
        texts[-1] = texts[-1].removesuffix("s").removesuffix("'")
    return name_words(" ".join(texts))


@cache
def _languages() -> tuple[Kinship, ...]:
    return (_ENGLISH, *(kinship(code) for code in LANGUAGES))
