"""The names of people in a query: where they stand and whom they mean, and the query once they are called otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rollcall.errors import InvalidQueryError
from rollcall.search.grammar.naming import with_names
from rollcall.search.grammar.tokens import Kind, quoted, tokens_of, unquoted
from rollcall.search.roster import Roster, name_words


class Reference(NamedTuple):
    """A name in a query."""

    start: int  # its first character, and the one behind its last
    end: int
    people: tuple[int, ...]  # whom it means, by number


def references(query: str, roster: Roster) -> list[Reference]:
    """Return the names in a query that are people's own; "my daughter" names whoever that is at the time.

    Raises
    ------
    InvalidQueryError
        If `person:` has a name that nobody has.
    """
    found = []
    for token in with_names(query, tokens_of(query), roster).tokens:
        if token.kind is Kind.NAME:
            reference = _own(query, token.start, token.end, roster)
            if reference is not None:
                found.append(reference)
    return found


def _own(query: str, start: int, end: int, roster: Roster) -> Reference | None:
    """Return the name that a part of a query begins with: Anna of "Anna", "Annas" and "Anna's daughter"."""
    text = query[start:end]
    if text.lower().startswith("person:"):
        value = unquoted(text.partition(":")[2].strip())
        return Reference(start, end, _called(value, roster) or ((int(value),) if value.isdigit() else ()))
    # From the longest part on: "Anna Lena's daughter" is not about Anna.
    for stop in range(len(text), 0, -1):
        inside = stop < len(text) and text[stop - 1].isalnum() and text[stop].isalnum()
        # Within a word only the s of a genitive may follow.
        if inside and text[stop:].partition(" ")[0] != "s":
            continue
        people = _called(text[:stop], roster) if text[:stop].strip() == text[:stop] else ()
        if people:
            return Reference(start, start + stop, people)
    return None


def _called(name: str, roster: Roster) -> tuple[int, ...]:
    words = name_words(name)
    return roster.named(words) or roster.partly_named(words)


def renamed(query: str, wanted: Sequence[Reference], roster: Roster) -> str:
    """Return a query in which names mean the people they meant when it was written, whatever these are called now.

    Parameters
    ----------
    wanted
        The names of the query in their order, with whom they have to mean; one of nobody stays as it is.
    """
    for reference in reversed(wanted):
        before = query[: reference.start]
        for text in _texts(query, reference, roster):
            rest = text + query[reference.end :]
            if _means(rest, reference.people, roster):
                query = before + rest
                break
    return query


def _texts(query: str, reference: Reference, roster: Roster) -> list[str]:
    """Return what may stand for a name, in the order of preference: its own text, the present name, the number."""
    texts = [query[reference.start : reference.end]]
    if len(reference.people) == 1:
        (person,) = reference.people
        name = roster.shown(person)
        texts += [name, f"person:{quoted(name)}"] if person in roster.names else []
        texts.append(f"person:{person}")
    return texts


def _means(query: str, people: tuple[int, ...], roster: Roster) -> bool:
    """Return whether a query begins with a name that means just some people."""
    try:
        found = references(query, roster)
    except InvalidQueryError:
        return False
    return bool(found) and found[0].start == 0 and found[0].people == people
