"""Running a query: one SQL statement where the database can, in memory where it cannot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.media import paths
from rollcall.records import Box
from rollcall.search import functions
from rollcall.search.grammar import parse
from rollcall.search.ranking import SHOWN, Ranked, Search, is_stored
from rollcall.search.similarity import SimilarFaces
from rollcall.search.terms import (
    DistinctPeople,
    Everything,
    FaceFacts,
    InGroup,
    Not,
    Only,
    People,
    PhotoFacts,
    Similar,
    SimilarTo,
    Sql,
    Term,
)
from rollcall.storage.database import Database
from rollcall.storage.library import chunks

#: What the photos that were found are sorted by.
Order = Literal["probability", "date"]
#: Photos less likely to be meant than this are left out unless asked for.
MIN_PROBABILITY = 0.05
_GROUPS = tuple(ages.AGE_GROUPS)


@dataclass(frozen=True, slots=True)
class HitFace:
    """A face of a photo that was found; `probability` is how likely it is one of those asked for."""

    face_id: int
    box: Box
    age: float | None
    age_interval: tuple[float, float] | None
    p_female: float | None
    probability: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found."""

    photo_id: int
    path: Path
    probability: float
    faces: tuple[HitFace, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query was understood and is run."""

    tree: str
    sql: str
    parameters: Mapping[str, object]


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
) -> list[Hit]:
    """Return the photos that a query means; with `faces` what is known of their faces too.

    By `order` the likeliest come first, or the newest: those without a capture time last. All photos by date can be
    gone on with `after` a photo's number, which takes as long at the end of a large library as at its beginning.

    Raises
    ------
    InvalidQueryError
        If the query cannot be understood.
    StoreError
        If the database cannot be read.
    """
    term = parse(query)
    with database.read() as session:
        if order == "date" and isinstance(term, Everything) and after is not None:
            rows = _older(session, after, limit)
        elif order == "date":
            rows = _by_date(session, database, term, limit, offset, min_probability)
        else:
            rows = _rows(session, database, term, limit, offset, min_probability)
        found = _faces(session, term, [row[0] for row in rows]) if faces else {}
    return [
        Hit(photo_id, Path(paths.from_text(path)), probability, found.get(photo_id, ()))
        for photo_id, path, probability in rows
    ]


def count(database: Database, query: str, *, min_probability: float = MIN_PROBABILITY) -> int:
    """Return how many photos a query means."""
    term = parse(query)
    with database.read() as session:
        if not functions.supported(session):
            return len(_rows(session, database, term, None, 0, min_probability))
        ranked = _ranked(session, database, term, None, min_probability)
        if ranked is not None:
            return len(ranked)
        statement, parameters = _statement(term, min_probability)
        _prepare(session, database, term)
        return int(session.execute(text(f"SELECT COUNT(*) FROM ({statement})"), parameters).scalar() or 0)


def explain(query: str) -> Explanation:
    """Return how a query is understood and run."""
    term = parse(query)
    statement, parameters = _statement(term, MIN_PROBABILITY)
    return Explanation("\n".join(_drawn(term)), statement, parameters)


def _drawn(term: Term, depth: int = 0) -> Iterator[str]:
    yield "  " * depth + str(term)
    for child in term.children():
        yield from _drawn(child, depth + 1)


def _statement(term: Term, min_probability: float) -> tuple[str, dict[str, object]]:
    """Return the statement, unordered, that gives photo, path and probability of all that are meant."""
    sql = Sql()
    needs = [cover[0] for cover in term.candidate_sources() if len(cover) == 1 and isinstance(cover[0], InGroup)]
    if isinstance(term, People) and term.person.group is not None and min_probability > 0:
        # The everyday case reads the answer off one index, which has no line for what is certainly not there.
        where = f"d.name = {sql.bind(term.person.group)} AND d.at_least = {sql.bind(term.count)}"
        return (
            "SELECT d.photo_id AS photo_id, p.full_path AS path, d.probability AS probability\n"
            "FROM photo_groups d JOIN v1_photos p ON p.photo_id = d.photo_id\n"
            f"WHERE {where} AND d.probability >= {sql.bind(min_probability)} AND {SHOWN}"
        ), sql.parameters
    expression = term.sql(sql)
    source, where = "v1_photos p", SHOWN
    needs = [need for need in needs if is_stored(need, min_probability * 0.999)]
    if needs and min_probability > 0:
        # No photo can be likelier to be meant than it is to show what is needed.
        need = needs[0]
        source = "photo_groups d JOIN v1_photos p ON p.photo_id = d.photo_id"
        where += (
            f" AND d.name = {sql.bind(need.name)} AND d.at_least = {sql.bind(need.at_least)}"
            f" AND d.probability >= {sql.bind(min_probability * 0.999)}"
        )
    return (
        "SELECT photo_id, path, probability FROM (\n"
        f"  SELECT p.photo_id AS photo_id, p.full_path AS path, {expression} AS probability\n"
        f"  FROM {source}\n  WHERE {where}\n) AS found\nWHERE probability >= {sql.bind(min_probability)}"
    ), sql.parameters


def _rows(
    session: Session, database: Database, term: Term, limit: int | None, offset: int, min_probability: float
) -> list[tuple[int, str, float]]:
    if not functions.supported(session):
        return _in_memory(session, database, term, limit, offset, min_probability)
    ranked = _ranked(session, database, term, None if limit is None else offset + limit, min_probability)
    if ranked is not None:
        return _with_paths(session, ranked[offset:])
    statement, parameters = _statement(term, min_probability)
    _prepare(session, database, term)
    parameters |= {"how_many": -1 if limit is None else limit, "from": offset}
    rows = session.execute(
        text(f"{statement}\nORDER BY probability DESC, photo_id\nLIMIT :how_many OFFSET :from"), parameters
    )
    return [(int(row[0]), str(row[1]), float(row[2])) for row in rows]


def _by_date(
    session: Session, database: Database, term: Term, limit: int | None, offset: int, min_probability: float
) -> list[tuple[int, str, float]]:
    """Return what is meant, the newest first."""
    parameters: dict[str, object] = {"how_many": -1 if limit is None else limit, "from": offset}
    if isinstance(term, Everything):
        # Walks along the index of capture times, and reads no further than it must.
        found = f"SELECT p.photo_id, p.full_path, 1.0 FROM v1_photos p WHERE {SHOWN}"
    elif functions.supported(session):
        statement, more = _statement(term, min_probability)
        parameters |= more
        _prepare(session, database, term)
        found = (
            f"SELECT p.photo_id, found.path, found.probability FROM ({statement}) AS found"
            " JOIN v1_photos p ON p.photo_id = found.photo_id"
        )
    else:
        rows = _in_memory(session, database, term, None, 0, min_probability)
        times: dict[int, str] = {}
        for part in chunks(rows):
            ids: BindParameter[list[int]] = bindparam("ids", [row[0] for row in part], expanding=True)
            select = text("SELECT photo_id, taken_local FROM v1_photos WHERE photo_id IN :ids").bindparams(ids)
            times |= {row[0]: row[1] or "" for row in session.execute(select)}
        rows.sort(key=lambda row: (times[row[0]], row[0]), reverse=True)
        return rows[offset : None if limit is None else offset + limit]
    order = "ORDER BY p.taken_local DESC, p.photo_id DESC LIMIT :how_many OFFSET :from"
    return [(int(row[0]), str(row[1]), float(row[2])) for row in session.execute(text(f"{found} {order}"), parameters)]


def _older(session: Session, after: int, limit: int | None) -> list[tuple[int, str, float]]:
    """Return the photos that follow one in the order of capture times, the newest first."""
    taken = session.execute(text("SELECT taken_local FROM v1_photos WHERE photo_id = :id"), {"id": after}).scalar()
    left = sys.maxsize if limit is None else limit
    values: dict[str, object] = {"id": after, "taken": taken, "how_many": left}
    found: list[tuple[int, str, float]] = []
    start = f"SELECT p.photo_id, p.full_path FROM v1_photos p WHERE {SHOWN} AND "
    if taken is not None:
        dated = "(p.taken_local, p.photo_id) < (:taken, :id) ORDER BY p.taken_local DESC, p.photo_id DESC"
        rows = session.execute(text(f"{start}{dated} LIMIT :how_many"), values)
        found = [(int(row[0]), str(row[1]), 1.0) for row in rows]
        left -= len(found)
        values |= {"id": sys.maxsize, "how_many": left}
    if left > 0:
        undated = "p.taken_local IS NULL AND p.photo_id < :id ORDER BY p.photo_id DESC"
        rows = session.execute(text(f"{start}{undated} LIMIT :how_many"), values)
        found += [(int(row[0]), str(row[1]), 1.0) for row in rows]
    return found


def _is_group(term: Term) -> bool:
    """Say whether a query asks for a stored group and nothing else: then an index has the answer."""
    return isinstance(term, People) and term.person.group is not None


def _ranked(
    session: Session, database: Database, term: Term, wanted: int | None, min_probability: float
) -> list[Ranked] | None:
    """Return the likeliest photos, found without looking at every one; None where that is no gain."""
    if min_probability <= 0 or _is_group(term):
        return None
    # Whoever looks like a face, there are few of them: all are soon found.
    few = any(all(isinstance(source, SimilarTo) for source in cover) for cover in term.candidate_sources())
    if wanted is None and not few:
        return None
    return Search(database, session, term, min_probability).best(wanted or sys.maxsize)


def _with_paths(session: Session, ranked: Sequence[Ranked]) -> list[tuple[int, str, float]]:
    paths: dict[int, str] = {}
    for part in chunks(ranked):
        ids: BindParameter[list[int]] = bindparam("ids", [one.photo_id for one in part], expanding=True)
        rows = session.execute(text("SELECT photo_id, full_path FROM v1_photos WHERE photo_id IN :ids").bindparams(ids))
        paths |= {row[0]: row[1] for row in rows}
    return [(one.photo_id, paths[one.photo_id], one.probability) for one in ranked]


def asked_faces(term: Term) -> list[int]:
    """Return the faces that a query asks for the likes of."""
    own = [term.face_id] if isinstance(term, Similar) else []
    return own + [face for child in term.children() for face in asked_faces(child)]


def _prepare(session: Session, database: Database, term: Term) -> None:
    """Find person looks like the faces asked for, and let SQL know."""
    functions.register(session, {face: SimilarFaces(database, session, face).all() for face in asked_faces(term)})


def _in_memory(
    session: Session, database: Database, term: Term, limit: int | None, offset: int, min_probability: float
) -> list[tuple[int, str, float]]:
    """Do without SQL's functions: look at every photo."""
    similar = {face: SimilarFaces(database, session, face).all() for face in asked_faces(term)}
    found = []
    rows = session.execute(text(f"SELECT p.photo_id, p.full_path FROM v1_photos p WHERE {SHOWN}")).all()
    for part in chunks(rows):
        paths = {int(photo_id): str(path) for photo_id, path in part}
        for photo in photo_facts(session, list(paths), similar):
            probability = term.match(photo)
            if probability >= min_probability:
                found.append((photo.photo_id, paths[photo.photo_id], probability))
    found.sort(key=lambda row: (-row[2], row[0]))
    return found[offset : None if limit is None else offset + limit]


def photo_facts(
    session: Session, photo_ids: Sequence[int], similar: Mapping[int, Mapping[int, float]] | None = None
) -> Iterator[PhotoFacts]:
    """Yield what a query may ask of some photos."""
    for part in chunks(photo_ids):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        faces: dict[int, list[FaceFacts]] = {}
        columns = ", ".join(f"p_{name}" for name in _GROUPS)
        for row in session.execute(
            text(
                "SELECT photo_id, face_id, score, p_female, age_distribution, age_source, age_low, age_high,"
                f" {columns} FROM v1_faces WHERE photo_id IN :ids ORDER BY face_id"
            ).bindparams(ids)
        ):
            distribution = None if row[4] is None else np.frombuffer(row[4], "<f2").astype(np.float32)
            said = (int(row[6]), int(row[7])) if row[5] == "user" else None
            groups = dict(zip(_GROUPS, row[8:], strict=True))
            faces.setdefault(row[0], []).append(FaceFacts(row[1], row[2], row[3], distribution, said, groups))
        tags: dict[int, set[str]] = {}
        for photo_id, tag in session.execute(
            text("SELECT photo_id, tag FROM v1_tags WHERE state = 'applied' AND photo_id IN :ids").bindparams(ids)
        ):
            tags.setdefault(photo_id, set()).add(tag)
        for row in session.execute(
            text("SELECT photo_id, path, taken_local, reviewed FROM v1_photos WHERE photo_id IN :ids").bindparams(ids)
        ):
            likes = {face: found[row[0]] for face, found in (similar or {}).items() if row[0] in found}
            yield PhotoFacts(
                row[0],
                row[1],
                row[2],
                tuple(faces.get(row[0], ())),
                frozenset(tags.get(row[0], ())),
                bool(row[3]),
                likes,
            )


def _kinds(term: Term) -> list[People | Only]:
    """Return the people that a query asks for; those it does not want are not among them."""
    if isinstance(term, People | Only):
        return [term]
    if isinstance(term, DistinctPeople):
        return list(term.people)
    return [] if isinstance(term, Not) else [kind for child in term.children() for kind in _kinds(child)]


def _faces(session: Session, term: Term, photo_ids: Sequence[int]) -> dict[int, tuple[HitFace, ...]]:
    """Return the faces of some photos, each with the probability to be one of those asked for."""
    kinds = [kind.person for kind in _kinds(term)]
    chance = {
        face.face_id: max((face.p(person) for person in kinds), default=1.0)
        for photo in photo_facts(session, photo_ids)
        for face in photo.faces
    }
    result: dict[int, list[HitFace]] = {}
    for part in chunks(photo_ids):
        for row in session.execute(
            text(
                "SELECT photo_id, face_id, x, y, width, height, age, age_low, age_high, p_female"
                " FROM v1_faces WHERE photo_id IN :ids ORDER BY face_id"
            ).bindparams(bindparam("ids", list(part), expanding=True))
        ):
            interval = None if row[7] is None else (row[7], row[8])
            result.setdefault(row[0], []).append(
                HitFace(row[1], Box(*row[2:6]), row[6], interval, row[9], chance.get(row[1], 0.0))
            )
    return {photo_id: tuple(faces) for photo_id, faces in result.items()}


def to_json(hit: Hit) -> str:
    """Return a hit as one line of JSON."""
    return json.dumps(as_dict(hit), ensure_ascii=False)


def as_dict(hit: Hit) -> dict[str, object]:
    """Return a hit as plain values; boxes are fractions of the upright picture."""
    return {
        "photo_id": hit.photo_id,
        "path": paths.to_text(str(hit.path)),
        "probability": round(hit.probability, 6),
        "faces": [
            {
                "face_id": face.face_id,
                "box": [round(v, 5) for v in face.box],
                "age": None if face.age is None else round(face.age, 2),
                "age_interval": None if face.age_interval is None else [round(v, 2) for v in face.age_interval],
                "p_female": None if face.p_female is None else round(face.p_female, 4),
                "probability": round(face.probability, 6),
            }
            for face in hit.faces
        ],
    }
