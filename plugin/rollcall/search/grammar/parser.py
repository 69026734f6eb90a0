"""Parsing a query, and suggesting others for one that cannot be understood."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.search import terms
from rollcall.search.grammar.combinations import alternatives
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.naming import with_names
from rollcall.search.grammar.notes import Interpretation, Note
from rollcall.search.grammar.rewriting import rewritten
from rollcall.search.grammar.tokens import Kind, Token, tokens_of
from rollcall.search.grammar.translation import translated
from rollcall.search.roster import NOBODY, Roster
from rollcall.search.terms import Term
from rollcall.sentences import Quoted, Sentence

#: Conditions of one query; more are refused, for each costs time on every photo.
MOST_CONDITIONS: Final = 40
_MOST_SUGGESTIONS: Final = 3


class _Reading(NamedTuple):
    """What a query is read with."""

    today: date
    language: str | None
    roster: Roster


def parse(text: str, language: str | None = None, roster: Roster = NOBODY) -> Term:
    """Return the tree of a query; see `interpret`.

    Raises
    ------
    InvalidQueryError
        If it cannot be understood; the error has the position, and suggests queries that are understood.
    """
    return interpret(text, language=language, roster=roster).term


def interpret(
    text: str, *, language: str | None = None, today: date | None = None, roster: Roster = NOBODY
) -> Interpretation:
    """Return the tree of a query, and notes of what it may have meant otherwise.

    Parameters
    ----------
    language
        The language to prefer, such as "de"; None finds it out, and "en" knows no other. English is always understood.
    today
        What "last summer" is counted from; None is the day it is.
    roster
        Who is known by name; without it no word is a name.

    Raises
    ------
    InvalidQueryError
        If it cannot be understood; the error has the position, and suggests queries that are understood.
    """
    day = today or datetime.now().astimezone().date()
    reading = _Reading(day, language, roster)
    try:
        found = _read(text, reading)
    except InvalidQueryError as error:
        raise _with_suggestions(error, reading) from error
    return Interpretation(found.term, tuple(_with_alternative(note, found.term, reading) for note in found.notes))


def _read(text: str, reading: _Reading) -> Interpretation:
    typed = with_names(text, tokens_of(text), reading.roster)
    foreign = translated(text, typed.tokens, reading.language)
    tokens, notes = rewritten(text, typed.tokens if foreign is None else foreign.tokens)
    notes += typed.notes
    if foreign is not None:
        notes[:0] = [
            Note(Sentence("read as %(language)s: %(word)s", language=Sentence(foreign.language), word=foreign.text())),
            *foreign.notes,
        ]
    cursor = Cursor(text, tokens, notes, reading.today, typed.people, reading.roster)
    if cursor.peek().kind is Kind.END:
        return Interpretation(terms.Everything(), tuple(notes))
    found = alternatives(cursor)
    if cursor.peek().kind is not Kind.END:
        token = cursor.peek()
        raise cursor.error(token, Sentence("%(word)s was not expected", word=Quoted(token.raw)))
    conditions = sum(1 for one in found.term.walk() if not one.children())
    if conditions > MOST_CONDITIONS:
        raise cursor.error(
            0,
            Sentence(
                "a query has at most %(most)s conditions, and this one %(conditions)s",
                most=MOST_CONDITIONS,
                conditions=conditions,
            ),
        )
    return Interpretation(found.term, tuple(cursor.notes))


def _with_alternative(note: Note, term: Term, reading: _Reading) -> Note:
    """Return a note, without its other reading where that is not understood or means the same."""
    if note.alternative is None:
        return note
    try:
        other = _read(note.alternative, reading).term
    except InvalidQueryError:
        return Note(note.text)
    return Note(note.text) if other == term else note


def _with_suggestions(error: InvalidQueryError, reading: _Reading) -> InvalidQueryError:
    """Return an error with at most three queries that are understood."""
    found: list[str] = []
    for candidate in [*error.suggestions, *_shorter(error)]:
        if len(found) == _MOST_SUGGESTIONS or (found and candidate not in error.suggestions):
            break
        if (
            candidate.strip()
            and candidate != error.query
            and candidate not in found
            and _is_understood(candidate, reading)
        ):
            found.append(candidate)
    return InvalidQueryError(error.query, error.position, error.message, error.expected, suggestions=found)


def _shorter(error: InvalidQueryError) -> Iterator[str]:
    """Yield a query that is not understood without the word at the error's place, and what stands before it."""
    text, position = error.query, error.position
    if len(text) > 400:
        return
    before = text[:position].rstrip()
    at = next((token for token in _tokens(text) if token.start <= position < token.end), None)
    if at is not None:
        yield " ".join(f"{text[: at.start]} {text[at.end :]}".split())
    while before:
        yield before
        before, _, _ = before.rpartition(" ")


def _tokens(text: str) -> list[Token]:
    try:
        return tokens_of(text)
    except InvalidQueryError:
        return []


def _is_understood(text: str, reading: _Reading) -> bool:
    try:
        _read(text, reading)
    except InvalidQueryError:
        return False
    return True
