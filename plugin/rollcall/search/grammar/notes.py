"""What a person should know of how a query was understood."""

from __future__ import annotations

from typing import NamedTuple

from rollcall.search.terms import Term


class Note(NamedTuple):
    """One thing that a query may have meant otherwise, or that was changed to understand it."""

    text: str  # a sentence
    alternative: str | None = None  # a query of the other reading

    def __str__(self) -> str:
        return self.text if self.alternative is None else f"{self.text}; for the other reading: {self.alternative}"


class Interpretation(NamedTuple):
    """A query as it was understood."""

    term: Term
    notes: tuple[Note, ...] = ()
