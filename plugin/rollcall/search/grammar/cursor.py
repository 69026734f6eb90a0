"""A position in the tokens of a query, from which the rules of the grammar read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.search.grammar.notes import Note
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.identity import Identity
from rollcall.search.roster import NOBODY, Roster
from rollcall.sentences import Sentence

#: Parentheses and negations within each other; more are refused.
MOST_DEPTH: Final = 40


class Mark(NamedTuple):
    """A place to go back to."""

    at: int
    notes: int


class Cursor:
    """Reads tokens one by one; a rule that does not apply goes back to where it began.

    Parameters
    ----------
    query
        The text as it was typed, for errors.
    today
        What relative dates are counted from.
    people
        Who the tokens of names are, by their texts.
    roster
        Who is known by name, for names in fields.
    """

    def __init__(
        self,
        query: str,
        tokens: Sequence[Token],
        notes: Sequence[Note],
        today: date,
        people: Mapping[str, Identity] | None = None,
        roster: Roster = NOBODY,
    ) -> None:
        self.query, self.tokens, self.today = query, list(tokens), today
        self.people, self.roster = people or {}, roster
        self.notes: list[Note] = list(notes)
        self.at = 0
        self._depth = 0
        length = len(query.rstrip())
        self._end = Token(Kind.END, "", length, length, "")

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token, or one that follows it."""
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else self._end

    @property
    def last_end(self) -> int:
        """Where the token before this position ends in the query."""
        return self.tokens[self.at - 1].end if self.at else 0

    def take(self) -> Token:
        """Return the next token, and go on behind it."""
        token = self.peek()
        self.at += token.kind is not Kind.END
        return token

    def next_is(self, *words: str, ahead: int = 0) -> bool:
        """Return whether the next token is one of some words or signs."""
        token = self.peek(ahead)
        return token.kind in (Kind.WORD, Kind.SIGN) and token.text in words

    def accept(self, *words: str) -> Token | None:
        """Return the next token if it is one of some words or signs, and go on behind it."""
        return self.take() if self.next_is(*words) else None

    def accept_all(self, *words: str) -> bool:
        """Return whether the next tokens are these words, and go on behind them if so."""
        if not all(self.next_is(word, ahead=ahead) for ahead, word in enumerate(words)):
            return False
        self.at += len(words)
        return True

    def mark(self) -> Mark:
        """Return this position."""
        return Mark(self.at, len(self.notes))

    def go_back(self, mark: Mark) -> None:
        """Return to a position, and forget the notes made since."""
        self.at = mark.at
        del self.notes[mark.notes :]

    def note(self, text: str, alternative: str | None = None) -> None:
        """Add a note once."""
        note = Note(text, alternative)
        if note not in self.notes:
            self.notes.append(note)

    def enter(self) -> None:
        """Begin a parenthesis or a negation.

        Raises
        ------
        InvalidQueryError
            If too many are within each other.
        """
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self.error(
                self.peek(), Sentence("parentheses and negations nest at most %(most)s deep", most=MOST_DEPTH)
            )

    def leave(self) -> None:
        """End a parenthesis or a negation."""
        self._depth -= 1

    def error(
        self, at: Token | int, message: str, expected: Sequence[str] = (), suggestions: Sequence[str] = ()
    ) -> InvalidQueryError:
        """Return the error of a token or a position in the query; suggestions are complete queries."""
        position = at if isinstance(at, int) else at.start
        return InvalidQueryError(self.query, position, message, expected, suggestions=suggestions)

    def replaced(self, first: Token | int, last: Token | int, text: str) -> str:
        """Return the query with a text in place of what stands from one token, or position, to the end of another."""
        start = first if isinstance(first, int) else first.start
        end = last if isinstance(last, int) else last.end
        return " ".join(f"{self.query[:start]} {text} {self.query[end:]}".split())
