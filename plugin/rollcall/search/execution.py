"""Running a query that is parsed: its photos by probability or by date, in SQL or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall.search import column_search, functions
from rollcall.search.candidates import load_photos
from rollcall.search.identifiers import LARGEST
from rollcall.search.planning import (
    SHOWN,
    Statement,
    count_statement,
    has_answer,
    is_stored_group,
    statement,
    take_apart,
)
from rollcall.search.ranking import Ranked, RankedSearch
from rollcall.search.similarity import SimilarFaces
from rollcall.search.terms import Everything, ShowsKnown, ShowsPerson, Similar, SimilarTo, SqlParameters, Term
from rollcall.storage.database import Database
from rollcall.storage.library import chunks

#: Pages that end beyond so many photos are taken from the whole list.
_FAR: Final = 5_000


class Match(NamedTuple):
    """A photo that is meant."""

    photo_id: int
    path: str  # as the database holds it; "" where it was not asked for
    probability: float


class Page(NamedTuple):
    """Which of the photos that are meant are wanted."""

    min_probability: float
    limit: int | None = None
    offset: int = 0
    paths: bool = True  # of many photos they take longer than the photos
    behind: Ranked | None = None  # a photo of the same results, which stands just before the page

    @property
    def stop(self) -> int | None:
        """The end of the page; None if it has none."""
        return None if self.limit is None else self.offset + self.limit

    @property
    def parameters(self) -> dict[str, object]:
        """The values of `LIMIT :limit OFFSET :offset`."""
        return {"limit": LARGEST if self.limit is None else self.limit, "offset": self.offset}


def similar_photos(database: Database, session: Session, term: Term) -> dict[int, dict[int, float]]:
    """Return for each face that a query compares with the photos that show the same person, with probabilities."""
    faces = {one.face_id for one in term.walk() if isinstance(one, Similar)}
    return {face_id: SimilarFaces(database, session, face_id).all() for face_id in faces}


def by_probability(database: Database, session: Session, term: Term, page: Page) -> list[Match]:
    """Return photos, the most probable first, and by number where they are equally probable."""
    if page.limit == 0:
        return []
    in_columns = _in_columns(database, session, term, page.min_probability)
    if in_columns is not None and page.behind is not None and page.limit is not None:
        return _matches(session, in_columns.most_probable(page.limit, page.behind), page)
    if in_columns is not None:
        # Far down the list it is quicker to look up all that are meant at once.
        far = page.stop is None or page.stop > _FAR
        found = in_columns.everything(page.stop) if far else in_columns.most_probable(page.stop or 0)
        return _matches(session, found[page.offset :], page)
    ranked = _ranked(database, session, term, page.min_probability, page.stop)
    if ranked is not None:
        return _matches(session, ranked[page.offset :], page)
    meant = _in_sql(database, session, term, page.min_probability)
    if meant is None:
        return _in_memory(database, session, term, page.min_probability)[page.offset : page.stop]
    wanted, parameters = meant.sql, {**meant.parameters, **page.parameters}
    if page.behind is not None:
        # The first comparison is what an index of probabilities serves.
        wanted = (
            f"SELECT * FROM ({meant.sql}) AS meant WHERE probability <= :behind"
            " AND (probability < :behind OR photo_id > :behind_id)"
        )
        parameters |= {"behind": page.behind.probability, "behind_id": page.behind.photo_id, "offset": 0}
    rows = session.execute(
        text(f"{wanted}\nORDER BY probability DESC, photo_id\nLIMIT :limit OFFSET :offset"), parameters
    )
    return [Match(int(row[0]), str(row[1]), float(row[2])) for row in rows]


def is_match(database: Database, session: Session, term: Term, photo_id: int, min_probability: float) -> bool:
    """Return whether a photo is shown and meant."""
    shown = session.execute(text(f"SELECT 1 FROM v1_photos p WHERE p.photo_id = :id AND {SHOWN}"), {"id": photo_id})
    if shown.first() is None:
        return False
    photos = load_photos(session, [photo_id], similar_photos(database, session, term))
    return any(term.match(photo) >= min_probability for photo in photos)


def count(database: Database, session: Session, term: Term, min_probability: float) -> int:
    """Return how many photos are meant."""
    if has_answer(term, min_probability):
        counted = count_statement(term, min_probability)
        return int(session.execute(text(counted.sql), dict(counted.parameters)).scalar() or 0)
    in_columns = _in_columns(database, session, term, min_probability)
    in_all = None if in_columns is None else in_columns.count()
    if in_all is not None:
        return in_all
    ranked = _ranked(database, session, term, min_probability, None)
    if ranked is not None:
        return len(ranked)
    found = _in_sql(database, session, term, min_probability)
    if found is None:
        return len(_in_memory(database, session, term, min_probability))
    counted_rows = text(f"SELECT COUNT(*) FROM ({found.sql}) AS meant")
    return int(session.execute(counted_rows, dict(found.parameters)).scalar() or 0)


def by_date(database: Database, session: Session, term: Term, page: Page) -> list[Match]:
    """Return photos, the newest first; those without a capture time last."""
    parameters = page.parameters
    if isinstance(term, Everything):
        # Walks along the index of capture times, and reads no further than it must.
        found = f"SELECT p.photo_id, p.full_path, 1.0 FROM v1_photos p WHERE {SHOWN}"
    else:
        # An index of probabilities is no help with dates: stored groups are looked for in the columns, too.
        in_columns = None if page.stop is None else _in_columns(database, session, term, page.min_probability, True)
        if in_columns is not None:
            return _matches(session, _newest(session, in_columns, page), page)
        meant = _in_sql(database, session, term, page.min_probability)
        if meant is None:
            newest = _newest_first(session, _in_memory(database, session, term, page.min_probability))
            return newest[page.offset : page.stop]
        parameters |= meant.parameters
        found = (
            f"SELECT p.photo_id, found.path, found.probability FROM ({meant.sql}) AS found"
            " JOIN v1_photos p ON p.photo_id = found.photo_id"
        )
    order = "ORDER BY p.taken_local DESC NULLS LAST, p.photo_id DESC LIMIT :limit OFFSET :offset"
    rows = session.execute(text(f"{found} {order}"), parameters)
    return [Match(int(row[0]), str(row[1]), float(row[2])) for row in rows]


def _newest(session: Session, in_columns: column_search.ColumnSearch, page: Page) -> list[Ranked]:
    """Return a page of what is meant, the newest first: from its first photo on if the one before it is known."""
    if page.behind is not None and page.limit is not None:
        taken = session.execute(text("SELECT taken_local FROM photos WHERE id = :id"), {"id": page.behind.photo_id})
        row = taken.first()
        if row is not None:
            return in_columns.newest(page.limit, (str(row[0] or ""), page.behind.photo_id))
    return in_columns.newest(page.limit or 0, offset=page.offset)


def older_than(session: Session, photo_id: int, limit: int | None) -> list[Match]:
    """Return the photos that follow one in the order of capture times, the newest first."""
    taken = session.execute(text("SELECT taken_local FROM v1_photos WHERE photo_id = :id"), {"id": photo_id}).scalar()
    left = LARGEST if limit is None else limit
    values: dict[str, object] = {"id": photo_id, "taken": taken, "limit": left}
    found: list[Match] = []
    start = f"SELECT p.photo_id, p.full_path FROM v1_photos p WHERE {SHOWN} AND "
    if taken is not None:
        dated = "(p.taken_local, p.photo_id) < (:taken, :id) ORDER BY p.taken_local DESC NULLS LAST, p.photo_id DESC"
        rows = session.execute(text(f"{start}{dated} LIMIT :limit"), values)
        found = [Match(int(row[0]), str(row[1]), 1.0) for row in rows]
        left -= len(found)
        values |= {"id": LARGEST, "limit": left}
    if left > 0:
        undated = "p.taken_local IS NULL AND p.photo_id < :id ORDER BY p.photo_id DESC"
        rows = session.execute(text(f"{start}{undated} LIMIT :limit"), values)
        found += [Match(int(row[0]), str(row[1]), 1.0) for row in rows]
    return found


def _in_columns(
    database: Database, session: Session, term: Term, min_probability: float, by_date: bool = False
) -> column_search.ColumnSearch | None:
    """Return a query that is ready to run in the columns; None where one index has the answer, or they are no help."""
    if not by_date and is_stored_group(term) and (functions.supported(session) or has_answer(term, min_probability)):
        return None
    return column_search.search(database, session, term, min_probability)


def _ranked(
    database: Database, session: Session, term: Term, min_probability: float, wanted: int | None
) -> list[Ranked] | None:
    """Return the most probable photos, found without evaluating every one; None where that is no gain."""
    if min_probability <= 0 or is_stored_group(term):
        return None
    # Few photos are similar to a face, or show somebody by name: all are soon found.
    few = any(
        all(isinstance(source, SimilarTo | ShowsPerson | ShowsKnown) for source in sources)
        for sources in term.candidate_sources()
    )
    if wanted is None and not few:
        return None
    return RankedSearch(database, session, term, min_probability).most_probable(wanted or LARGEST)


def _matches(session: Session, ranked: Sequence[Ranked], page: Page) -> list[Match]:
    if not page.paths:
        return [Match(one.photo_id, "", one.probability) for one in ranked]
    found: dict[int, str] = {}
    for part in chunks(ranked):
        ids: BindParameter[list[int]] = bindparam("ids", [one.photo_id for one in part], expanding=True)
        rows = session.execute(text("SELECT photo_id, full_path FROM v1_photos WHERE photo_id IN :ids").bindparams(ids))
        found |= {row[0]: row[1] for row in rows}
    return [Match(one.photo_id, found[one.photo_id], one.probability) for one in ranked]


def _in_sql(database: Database, session: Session, term: Term, min_probability: float) -> Statement | None:
    """Return the statement of all photos that are meant, ready to run; None where the database lacks its functions."""
    if functions.supported(session):
        functions.register(session, similar_photos(database, session, term))
    elif not has_answer(term, min_probability):
        return None
    return statement(term, min_probability)


def _in_memory(database: Database, session: Session, term: Term, min_probability: float) -> list[Match]:
    """Return all photos that are meant, without SQL's functions: every photo that meets the conditions is evaluated."""
    similar = similar_photos(database, session, term)
    parameters = SqlParameters.of(session)
    condition = take_apart(term, parameters).condition if min_probability > 0 else SHOWN
    found = []
    rows = session.execute(
        text(f"SELECT p.photo_id, p.full_path FROM v1_photos p WHERE {condition}"), dict(parameters.values)
    ).all()
    for part in chunks(rows):
        paths = {int(photo_id): str(path) for photo_id, path in part}
        for photo in load_photos(session, list(paths), similar):
            probability = term.match(photo)
            if probability >= min_probability:
                found.append(Match(photo.photo_id, paths[photo.photo_id], probability))
    return sorted(found, key=lambda match: (-match.probability, match.photo_id))


def _newest_first(session: Session, matches: Sequence[Match]) -> list[Match]:
    times: dict[int, str] = {}
    for part in chunks(matches):
        ids: BindParameter[list[int]] = bindparam("ids", [match.photo_id for match in part], expanding=True)
        select = text("SELECT photo_id, taken_local FROM v1_photos WHERE photo_id IN :ids").bindparams(ids)
        times |= {row[0]: row[1] or "" for row in session.execute(select).all()}
    return sorted(matches, key=lambda match: (times[match.photo_id], match.photo_id), reverse=True)
