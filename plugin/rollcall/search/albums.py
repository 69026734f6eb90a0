"""Albums, read from the public views: what each is, and the term of its photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from rollcall.errors import NotFoundError
from rollcall.search.grammar import parse
from rollcall.search.identifiers import storable
from rollcall.search.roster import Roster
from rollcall.search.terms import And, InAlbum, Not, Or, Term


@dataclass(frozen=True, slots=True)
class Album:
    """An album: the photos that a query means, photos that were put into it by hand, or both."""

    album_id: int
    uid: str
    name: str
    query: str | None  # with the present names of people
    language: str | None  # of the query, by preference
    min_probability: float  # photos that the query means with a lower one are not in it
    shared: bool  # guests of the home network may see it
    added: int  # photos that were put into it by hand
    left_out: int  # photos that were taken out of it by hand
    created_at: str  # UTC, ISO 8601


_SELECT: Final = (
    "SELECT album_id, uid, name, query, language, min_probability, shared, added, left_out, created_at FROM v1_albums"
)
_BY_NAME: Final = "ORDER BY LOWER(name), album_id"


def albums(session: Session, album_ids: Sequence[int] | None = None) -> list[Album]:
    """Return all albums, or those of some numbers, by name."""
    statement = text(f"{_SELECT} {_BY_NAME}")
    if album_ids is not None:
        known = [number for number in album_ids if storable(number)]
        statement = text(f"{_SELECT} WHERE album_id IN :ids {_BY_NAME}")
        statement = statement.bindparams(bindparam("ids", known, expanding=True))
    return [_album(row._mapping) for row in session.execute(statement).all()]


def _album(row: Any) -> Album:
    return Album(**{**row, "shared": bool(row["shared"])})


def album(session: Session, album_id: int) -> Album:
    """Return the album of a number.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    found = albums(session, [album_id])
    if not found:
        raise NotFoundError("album", album_id)
    return found[0]


def album_term(session: Session, album_id: int, roster: Roster) -> Term:
    """Return the term of the photos of an album.

    Raises
    ------
    NotFoundError
        If there is no such album.
    InvalidQueryError
        If its query cannot be understood any more: somebody whom it names is gone.
    """
    one = album(session, album_id)
    states: dict[str, set[int]] = {"added": set(), "left_out": set()}
    rows = session.execute(
        text("SELECT photo_id, state FROM v1_album_photos WHERE album_id = :id"), {"id": one.album_id}
    )
    for photo_id, state in rows:
        states[state].add(photo_id)
    added = InAlbum(one.album_id, "added", one.name, frozenset(states["added"]))
    if one.query is None:
        return added
    term = parse(one.query, one.language, roster)
    if states["added"]:
        term = Or((term, added))
    if states["left_out"]:
        term = And((term, Not(InAlbum(one.album_id, "left_out", one.name, frozenset(states["left_out"])))))
    return term
