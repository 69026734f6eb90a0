"""Read faces from the database into the arrays that grouping needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Integer, Select, and_, bindparam, case, cast, func, or_, select
from sqlalchemy.orm import Session

from rollcall.model_version import weights_of
from rollcall.people import dates
from rollcall.people.clusters import Faces
from rollcall.people.evidence import WEAK_SCORE, WEAK_SHARPNESS, WEAK_SIDE, Births, births
from rollcall.people.linkage import UNKNOWN
from rollcall.people.stated_births import known_births
from rollcall.search import nuisance
from rollcall.storage import revisions, sqlite
from rollcall.storage.library import CHUNK, chunks
from rollcall.storage.tables import (
    EmbeddingRow,
    FacePersonRow,
    FaceRow,
    PersonRejectionRow,
    PersonRow,
    PhotoRow,
    PredictionRow,
    VerdictRow,
)

#: Standard deviations in the central interval of a prediction (80 %).
_DEVIATIONS: Final = 2.56
_ROWS: Final = 20_000
#: Frames of a video have so many numbers.
_A_VIDEO: Final = 10_000_000


@dataclass
class LibraryFaces:
    """Faces of the database that can be compared, in the order of their numbers."""

    face_ids: NDArray[np.int64]  # (n,)
    faces: Faces
    taken: NDArray[np.float64]  # (n,) capture dates in years; NaN where unknown
    person: NDArray[np.int64]  # (n,) whom a face is at present; UNKNOWN for nobody
    stated: NDArray[np.bool_]  # (n,) whether a person or the host said so, if only by naming the group of it
    certain: NDArray[np.bool_]  # (n,) whether they said so of this face
    probability: NDArray[np.float64]  # (n,) of that
    quality: NDArray[np.float64]  # (n,) of faces for lists: larger is better
    seen: NDArray[np.bool_]  # (n,) whether grouping has looked at a face

    def __len__(self) -> int:
        return len(self.face_ids)

    def joined(self, others: LibraryFaces) -> LibraryFaces:
        """Return these faces and others, in the order of their numbers."""
        ours, theirs = self.faces, others.faces
        assert ours.births is not None and theirs.births is not None
        both = LibraryFaces(
            np.concatenate([self.face_ids, others.face_ids]),
            Faces(
                np.concatenate([ours.vectors, theirs.vectors]),
                np.concatenate([ours.photos, theirs.photos]),
                np.concatenate([ours.ages, theirs.ages]),
                Births(*(np.concatenate(pair) for pair in zip(ours.births, theirs.births, strict=True))),
                np.concatenate([ours.weak, theirs.weak]),
                np.concatenate([ours.labels, theirs.labels]),
                [*ours.rejected, *theirs.rejected],
                ours.known_births,
            ),
            *(
                np.concatenate([getattr(self, name), getattr(others, name)])
                for name in ("taken", "person", "stated", "certain", "probability", "quality", "seen")
            ),
        )
        return both.take(np.argsort(both.face_ids))

    def take(self, rows: NDArray[np.int64]) -> LibraryFaces:
        """Return some of the faces, by their rows."""
        of = self.faces
        assert of.births is not None
        return LibraryFaces(
            self.face_ids[rows],
            Faces(
                of.vectors[rows],
                of.photos[rows],
                of.ages[rows],
                Births(of.births.mean[rows], of.births.deviation[rows]),
                of.weak[rows],
                of.labels[rows],
                [of.rejected[row] for row in rows.tolist()],
                of.known_births,
            ),
            self.taken[rows],
            self.person[rows],
            self.stated[rows],
            self.certain[rows],
            self.probability[rows],
            self.quality[rows],
            self.seen[rows],
        )


@cache
def comparable() -> Select[Any]:
    """Return a statement for the faces that are shown and have an embedding."""
    moment = cast(FaceRow.video_time * 100, Integer) % _A_VIDEO
    # What follows from the estimate of a birth date is no evidence for it.
    estimated = and_(VerdictRow.age_derived, PersonRow.birth_date.is_(None))
    columns: tuple[Any, ...] = (
        FaceRow.id,
        # Two faces of one photo are two people. Those of a video are only if one frame shows them.
        case((FaceRow.video_time.is_(None), FaceRow.photo_id), else_=-(FaceRow.photo_id * _A_VIDEO + moment)),
        EmbeddingRow.model_version,
        EmbeddingRow.vector,
        FaceRow.score,
        FaceRow.sharpness,
        FaceRow.width * func.coalesce(PhotoRow.width, 1),
        FaceRow.height * func.coalesce(PhotoRow.height, 1),
        PredictionRow.age,
        PredictionRow.age_low,
        PredictionRow.age_high,
        case((estimated, None), else_=VerdictRow.age_low),
        case((estimated, None), else_=VerdictRow.age_high),
        case((PhotoRow.taken_source == "file time", None), else_=PhotoRow.taken_local),
        FacePersonRow.person_id,
        FacePersonRow.state,
        FacePersonRow.source,
        FacePersonRow.probability,
        FaceRow.detected,
    )
    return (
        select(*columns)
        .join(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
        .join(PhotoRow, PhotoRow.id == FaceRow.photo_id)
        .outerjoin(PredictionRow, PredictionRow.face_id == FaceRow.id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .outerjoin(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
        .outerjoin(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(FaceRow.present, ~EmbeddingRow.stale, or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
        .order_by(FaceRow.id)
    )


def ungrouped(session: Session, limit: int) -> list[int]:
    """Return the faces that grouping has not looked at, up to a number, in the order of their numbers.

    Only photos that changed since grouping was done with all of them are looked through.
    """
    done = revisions.grouped(session)
    session.flush()
    found = session.connection().execute(_ungrouped(done is not None), {"limit": limit, "done": done})
    return list(found.scalars())


@cache
def _ungrouped(of_changed: bool) -> Select[int]:
    statement = comparable().with_only_columns(FaceRow.id).where(FacePersonRow.face_id.is_(None))
    if of_changed:
        changed = select(PhotoRow.id).where(PhotoRow.revision > bindparam("done")).scalar_subquery()
        statement = statement.where(FaceRow.photo_id.in_(changed))
    return statement.limit(bindparam("limit"))


def photo_ids(photos: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of the photos and videos that faces are of, (n,), by `Faces.photos`."""
    return np.where(photos < 0, -photos // _A_VIDEO, photos)


def photos_of(session: Session, face_ids: Iterable[int]) -> set[int]:
    """Return the photos of some faces."""
    found: set[int] = set()
    for part in chunks(sorted(face_ids)):
        found |= set(session.connection().execute(_PHOTOS, {"ids": part}).scalars())
    return found


_PHOTOS: Final = select(FaceRow.photo_id).where(FaceRow.id.in_(bindparam("ids", expanding=True)))


def unassigned_beside(session: Session, person_ids: Sequence[int]) -> list[int]:
    """Return the faces of nobody on photos that show some people."""
    theirs = select(FaceRow.photo_id).join(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
    found: set[int] = set()
    for part in chunks(list(person_ids)):
        found |= set(
            session.scalars(
                select(FaceRow.id)
                .join(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
                .where(FacePersonRow.person_id.is_(None))
                .where(FaceRow.photo_id.in_(theirs.where(FacePersonRow.person_id.in_(part))))
            )
        )
    return sorted(found)


def read_faces(session: Session, statements: Iterable[Select[Any]] | None = None) -> LibraryFaces:
    """Return the faces of statements made by `comparable`, or all of them.

    Only embeddings of one network are compared: the one that made most of them.
    """
    if statements is None:
        columns, vectors, _ = read_all(session)
        return built(session, columns, vectors)
    return _read(session, [(statement, {}) for statement in statements])


def _read(
    session: Session,
    statements: Iterable[tuple[Select[Any], dict[str, Any]]],
    births_of: dict[int, Births] | None = None,
) -> LibraryFaces:
    # A connection has less to do than a session, which counts where few rows are read.
    session.flush()
    connection = session.connection()
    rows = [row for statement, values in statements for row in connection.execute(statement, values).all()]
    wanted = set(_most(Counter(row[2] for row in rows)))
    rows = [row for row in rows if row[2] in wanted]
    return built(session, [columns_of(rows)], vectors_in(rows), births_of)


def read_all(session: Session) -> tuple[list[FaceColumns], NDArray[np.float16], str]:
    """Return the columns of all faces, in parts, their embeddings (n, d), and the weights that these are of."""
    counted = select(EmbeddingRow.model_version, func.count()).group_by(EmbeddingRow.model_version)
    counts: dict[str, int] = dict(session.execute(counted).all())
    wanted = _most(counts)
    statement = comparable().where(EmbeddingRow.model_version.in_(wanted))
    columns: list[FaceColumns] = []
    matrix = vectors_in([])
    count = 0
    with sqlite.unmapped(session.connection()):
        found = session.execute(statement, execution_options={"yield_per": _ROWS})
        for part in found.partitions():
            vectors = vectors_in(part)
            if not columns:
                # Space for all of them at once: what is joined from parts is held twice.
                matrix = np.empty((sum(counts[one] for one in wanted), vectors.shape[1]), np.float16)
            matrix[count : count + len(part)] = vectors
            count += len(part)
            columns.append(columns_of(part))
    return columns, matrix[:count], weights_of(wanted[0]) if wanted else ""


def _most(counts: Mapping[str, int]) -> list[str]:
    """Return the model versions of the weights that most of the embeddings are of."""
    by_weights: Counter[str] = Counter()
    for version, count in counts.items():
        by_weights[weights_of(version)] += count
    if not by_weights:
        return []
    weights = max(by_weights, key=lambda name: (by_weights[name], name))
    return [version for version in counts if weights_of(version) == weights]


def vectors_in(rows: Sequence[Any]) -> NDArray[np.float16]:
    """Return the embeddings (n, d) of rows of `comparable`, all of one network, as they are compared."""
    if not rows:
        return np.zeros((0, 128), np.float16)
    stored = np.frombuffer(b"".join(row[3] for row in rows), "<f2").reshape(len(rows), -1)
    return nuisance.compared(stored, rows[0][2])


def faces_of(session: Session, person_ids: Sequence[int]) -> LibraryFaces:
    """Return the faces of some people."""
    return read_faces(
        session,
        [comparable().where(FacePersonRow.person_id.in_(part)) for part in chunks(list(person_ids))],
    )


def faces_by_id(session: Session, face_ids: Sequence[int], births_of: dict[int, Births] | None = None) -> LibraryFaces:
    """Return some faces by their numbers; the birth dates of people are read unless they are given."""
    return _read(session, [(_by_id(), {"ids": part}) for part in chunks(list(face_ids))], births_of)


@cache
def _by_id() -> Select[Any]:
    # Made once: to put it together takes as long as to run it.
    return comparable().where(FaceRow.id.in_(bindparam("ids", expanding=True)))


class FaceColumns(NamedTuple):
    """What is read of n faces, as arrays."""

    face_ids: NDArray[np.int64]
    photos: NDArray[np.int64]
    ages: NDArray[np.float32]
    birth_means: NDArray[np.float64]
    birth_deviations: NDArray[np.float64]
    taken: NDArray[np.float64]
    weak: NDArray[np.bool_]
    people: NDArray[np.int64]
    stated: NDArray[np.bool_]
    confirmed: NDArray[np.bool_]
    probability: NDArray[np.float64]
    quality: NDArray[np.float64]
    seen: NDArray[np.bool_]


def columns_of(rows: Sequence[Any]) -> FaceColumns:
    """Return rows of `comparable` as arrays; columns after its own do not matter."""
    by_column: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 19
    (ids, photos, _, _, score, sharpness, width, height, age, low, high, given_low, given_high) = by_column[:13]
    taken, person, state, source, probability, detected = by_column[13:19]
    given = _numbers(given_low)
    ages = np.where(np.isnan(given), _numbers(age), (given + _numbers(given_high)) / 2)
    deviation = np.where(
        np.isnan(given), (_numbers(high) - _numbers(low)) / _DEVIATIONS, (_numbers(given_high) - given) / 4 + 0.3
    )
    years = np.array([dates.year_of(one) for one in taken], np.float64)
    side = np.minimum(_numbers(width), _numbers(height))
    found = np.array(detected, np.bool_)
    born = births(ages, deviation, years)
    return FaceColumns(
        np.array(ids, np.int64),
        np.array(photos, np.int64),
        ages.astype(np.float32),
        born.mean,
        born.deviation,
        years,
        (side < WEAK_SIDE) | (_numbers(sharpness) < WEAK_SHARPNESS) | (found & (_numbers(score) < WEAK_SCORE)),
        np.array([UNKNOWN if one is None else one for one in person], np.int64),
        np.array([one is not None and one != "auto" for one in source], np.bool_),
        np.array([one == "confirmed" for one in state], np.bool_),
        np.nan_to_num(_numbers(probability)),
        np.log1p(side) + 0.5 * np.log1p(_numbers(sharpness)) + 2.0 * _numbers(score),
        np.array([one is not None for one in source], np.bool_),
    )


def built(
    session: Session,
    parts: Sequence[FaceColumns],
    matrix: NDArray[np.float16],
    births_of: dict[int, Births] | None = None,
    rejected: list[frozenset[int]] | None = None,
) -> LibraryFaces:
    """Return faces from their columns, in parts, and their embeddings (n, d); what is said of people is read.

    The people whom each face is not are read unless they are given.
    """
    if len(parts) == 1:
        columns = parts[0]
    else:
        columns = FaceColumns(*map(np.concatenate, zip(*(parts or [columns_of([])]), strict=True)))
    labels = np.where(columns.confirmed, columns.people, UNKNOWN)
    # A person with hints alone, and no confirmed face, is found by these.
    hinted = columns.stated.copy()
    hinted[hinted] = ~np.isin(columns.people[hinted], labels[columns.confirmed])
    return LibraryFaces(
        columns.face_ids,
        Faces(
            matrix,
            columns.photos,
            columns.ages,
            Births(columns.birth_means, columns.birth_deviations),
            columns.weak,
            np.where(hinted, columns.people, labels),
            rejections(session, columns.face_ids) if rejected is None else rejected,
            known_births(session) if births_of is None else births_of,
        ),
        columns.taken,
        columns.people,
        columns.stated,
        columns.stated & columns.confirmed,
        columns.probability,
        columns.quality,
        columns.seen,
    )


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


@cache
def _rejections_of() -> Select[int, int]:
    columns = (PersonRejectionRow.face_id, PersonRejectionRow.person_id)
    return select(*columns).where(PersonRejectionRow.face_id.in_(bindparam("ids", expanding=True)))


def rejections(session: Session, face_ids: NDArray[np.int64]) -> list[frozenset[int]]:
    """Return the people whom n faces are not, (n,)."""
    found: dict[int, set[int]] = {}
    connection = session.connection()
    rows = (
        connection.execute(_rejections_of(), {"ids": face_ids.tolist()})
        if len(face_ids) <= CHUNK
        else connection.execute(select(PersonRejectionRow.face_id, PersonRejectionRow.person_id))
    )
    for face_id, person_id in rows:
        found.setdefault(face_id, set()).add(person_id)
    nobody: frozenset[int] = frozenset()
    return [frozenset(found[one]) if one in found else nobody for one in face_ids.tolist()]
