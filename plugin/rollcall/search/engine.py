"""Searching: parse a query, run it, and collect what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.orm import Session

from rollcall.errors import ConflictError, InvalidQueryError, NotFoundError
from rollcall.search import execution
from rollcall.search.albums import album_term
from rollcall.search.execution import Match, Page
from rollcall.search.grammar import Interpretation, Note, interpret, parse
from rollcall.search.hits import Hit, faces_of_hits
from rollcall.search.identifiers import LARGEST
from rollcall.search.planning import statement
from rollcall.search.ranking import Ranked
from rollcall.search.roster import roster_of
from rollcall.search.similarity import embedding_of
from rollcall.search.terms import And, Everything, Similar, Term
from rollcall.sentences import Sentence
from rollcall.storage.database import Database
from rollcall.storage.library import path_of_text

#: What the photos that were found are sorted by.
Order = Literal["probability", "date"]
#: Photos with a lower probability are left out unless asked for.
MIN_PROBABILITY: Final = 0.05


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query is understood and run."""

    tree: str  # one term a line, indented by depth
    sql: str
    parameters: Mapping[str, object]
    notes: tuple[Note, ...] = ()  # what it may have meant otherwise


def search(
    database: Database,
    query: str,
    *,
    limit: int | None = None,
    offset: int = 0,
    min_probability: float = MIN_PROBABILITY,
    faces: bool = True,
    order: Order = "probability",
    after: int | None = None,
    language: str | None = None,
    album: int | None = None,
) -> list[Hit]:
    """Return the photos that a query means.

    Parameters
    ----------
    limit, offset
        How many photos at most, and how many to leave out first.
    min_probability
        Leave out photos with a lower probability, 0..1.
    faces
        Return what is known of the photos' faces too.
    order
        "probability": the most probable first; "date": the newest first, those without a capture time last.
    after
        With all photos by date: the number of the photo to go on behind, which takes as long at the end of a large
        library as at its beginning.
    language
        The language to prefer, such as "de"; None finds it out. English is always understood.
    album
        Only photos of the album of this number.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood, or names a face that is unknown or has no embedding.
    NotFoundError
        If there is no such album.
    StoreError
        If the database cannot be read.
    """
    page = _page(min_probability, limit, offset)
    with database.read() as session:
        term = _term(session, query, language, album)
        if order == "date" and isinstance(term, Everything) and after is not None:
            matches = execution.older_than(session, min(after, LARGEST), page.limit)
        else:
            matches = _matches(database, session, term, page, order)
        found = faces_of_hits(session, term, [match.photo_id for match in matches]) if faces else {}
    return [
        Hit(match.photo_id, path_of_text(match.path), match.probability, found.get(match.photo_id, ()))
        for match in matches
    ]


def ranked(
    database: Database,
    query: str,
    *,
    limit: int | None = None,
    offset: int = 0,
    min_probability: float = MIN_PROBABILITY,
    order: Order = "probability",
    language: str | None = None,
    album: int | None = None,
    behind: Ranked | None = None,
) -> list[Ranked]:
    """Return the numbers and probabilities of the photos that `search` returns, which of thousands is quicker.

    Parameters
    ----------
    behind
        What stands at the place before `offset` in the same results, if that is known: then those before it need not
        be found again.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood, or names a face that is unknown or has no embedding.
    NotFoundError
        If there is no such album.
    StoreError
        If the database cannot be read.
    """
    page = _page(min_probability, limit, offset)._replace(paths=False, behind=behind)
    with database.read() as session:
        matches = _matches(database, session, _term(session, query, language, album), page, order)
    return [Ranked(match.photo_id, match.probability) for match in matches]


def _page(min_probability: float, limit: int | None, offset: int) -> Page:
    return Page(min_probability, None if limit is None else min(limit, LARGEST // 2), min(offset, LARGEST // 2))


def _matches(database: Database, session: Session, term: Term, page: Page, order: Order) -> list[Match]:
    run = execution.by_date if order == "date" else execution.by_probability
    return run(database, session, term, page)


def is_match(
    database: Database,
    query: str,
    photo_id: int,
    *,
    min_probability: float = MIN_PROBABILITY,
    language: str | None = None,
    album: int | None = None,
) -> bool:
    """Return whether a photo is among those that a query means, by a look at this photo alone.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood, or names a face that is unknown or has no embedding.
    NotFoundError
        If there is no such album.
    StoreError
        If the database cannot be read.
    """
    with database.read() as session:
        term = _term(session, query, language, album)
        return execution.is_match(database, session, term, photo_id, min_probability)


def count(
    database: Database,
    query: str,
    *,
    min_probability: float = MIN_PROBABILITY,
    language: str | None = None,
    album: int | None = None,
) -> int:
    """Return how many photos a query means, with `album` only those of the album of this number.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood, or names a face that is unknown or has no embedding.
    NotFoundError
        If there is no such album.
    StoreError
        If the database cannot be read.
    """
    with database.read() as session:
        term = _term(session, query, language, album)
        return execution.count(database, session, term, min_probability)


def _term(session: Session, query: str, language: str | None, album: int | None) -> Term:
    """Return the term of a query, with an album of the photos that are in that, too."""
    if album is None and not query.strip():
        return Everything()  # no word can be a name
    roster = roster_of(session)
    term = parse(query, language, roster)
    _check_faces(session, query, term)
    if album is None:
        return term
    inside = album_term(session, album, roster)
    _check_faces(session, query, inside)
    return inside if isinstance(term, Everything) else And((inside, term))


def read(database: Database, query: str, language: str | None = None) -> Interpretation:
    """Return how a query is understood, with the names that are known.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood.
    StoreError
        If the database cannot be read.
    """
    with database.read() as session:
        return interpret(query, language=language, roster=roster_of(session))


def explain(query: str, language: str | None = None, database: Database | None = None) -> Explanation:
    """Return how a query is understood and run, without running it: faces that it names are not looked up.

    Parameters
    ----------
    database
        Where to look up names; without one no word is a name.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood.
    StoreError
        If the database cannot be read.
    """
    term, notes = interpret(query, language=language) if database is None else read(database, query, language)
    sql, parameters = statement(term, MIN_PROBABILITY)
    return Explanation("\n".join(_lines(term)), sql, parameters, notes)


def _lines(term: Term, depth: int = 0) -> Iterator[str]:
    yield "  " * depth + str(term)
    for child in term.children():
        yield from _lines(child, depth + 1)


def _check_faces(session: Session, query: str, term: Term) -> None:
    """Raise InvalidQueryError if a face that the query compares with is unknown or has no embedding."""
    for similar in term.walk():
        if not isinstance(similar, Similar):
            continue
        try:
            embedding_of(session, similar.face_id)
        except NotFoundError as error:
            raise InvalidQueryError(
                query,
                similar.position,
                Sentence("there is no face %(face_id)s", face_id=similar.face_id),
                [Sentence("the number of a face; `rollcall search --json` shows it")],
            ) from error
        except ConflictError as error:
            raise InvalidQueryError(
                query,
                similar.position,
                Sentence("face %(face_id)s cannot be compared with others", face_id=similar.face_id),
                [Sentence("a face that can be compared; set attributes.embeddings to on and index the photo again")],
            ) from error
