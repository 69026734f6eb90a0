"""Read faces from the database into the arrays that grouping needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Integer, Select, case, cast, func, or_, select
from sqlalchemy.orm import Session

from rollcall.model_version import weights_of
from rollcall.people import dates
from rollcall.people.clusters import Faces
from rollcall.people.evidence import WEAK_SCORE, WEAK_SHARPNESS, WEAK_SIDE, Births, births
from rollcall.people.linkage import UNKNOWN
from rollcall.storage.library import chunks
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
    stated: NDArray[np.bool_]  # (n,) whether a person or the host said so
    probability: NDArray[np.float64]  # (n,) of that
    quality: NDArray[np.float64]  # (n,) of faces for lists: larger is better
    seen: NDArray[np.bool_]  # (n,) whether grouping has looked at a face

    def __len__(self) -> int:
        return len(self.face_ids)


def comparable() -> Select[Any]:
    """Return a statement for the faces that are shown and have an embedding."""
    moment = cast(FaceRow.video_time * 100, Integer) % _A_VIDEO
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
        VerdictRow.age_low,
        VerdictRow.age_high,
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
        .where(FaceRow.present, ~EmbeddingRow.stale, or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
        .order_by(FaceRow.id)
    )


def ungrouped(session: Session, limit: int) -> list[int]:
    """Return the faces that grouping has not looked at, up to a number, in the order of their numbers."""
    statement = comparable().with_only_columns(FaceRow.id).where(FacePersonRow.face_id.is_(None)).limit(limit)
    return list(session.scalars(statement))


def read_faces(session: Session, statements: Iterable[Select[Any]] | None = None) -> LibraryFaces:
    """Return the faces of statements made by `comparable`, or all of them.

    Only embeddings of one network are compared: the one that made most of them.
    """
    rows: list[list[Any]] = []
    vectors: list[bytes] = []
    versions: dict[str, int] = {}
    for statement in (comparable(),) if statements is None else statements:
        for row in session.execute(statement, execution_options={"yield_per": _ROWS}):
            versions[row[2]] = versions.get(row[2], 0) + 1
            rows.append([*row[:3], *row[4:]])
            vectors.append(row[3])
    by_weights: dict[str, int] = {}
    for version, count in versions.items():
        by_weights[weights_of(version)] = by_weights.get(weights_of(version), 0) + count
    if not by_weights:
        return _built(session, [], np.zeros((0, 128), np.float16))
    weights = max(by_weights, key=lambda name: (by_weights[name], name))
    wanted = {version for version in versions if weights_of(version) == weights}
    keep = [index for index, row in enumerate(rows) if row[2] in wanted]
    matrix = np.frombuffer(b"".join(vectors[index] for index in keep), "<f2").reshape(len(keep), -1)
    return _built(session, [rows[index] for index in keep], matrix)


def faces_of(session: Session, person_ids: Sequence[int]) -> LibraryFaces:
    """Return the faces of some people."""
    return read_faces(
        session,
        [comparable().where(FacePersonRow.person_id.in_(part)) for part in chunks(list(person_ids))],
    )


def faces_by_id(session: Session, face_ids: Sequence[int]) -> LibraryFaces:
    """Return some faces by their numbers."""
    return read_faces(session, [comparable().where(FaceRow.id.in_(part)) for part in chunks(list(face_ids))])


def _built(session: Session, rows: Sequence[Sequence[Any]], matrix: NDArray[np.float16]) -> LibraryFaces:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 18
    (ids, photos, _, score, sharpness, width, height, age, low, high, given_low, given_high, taken) = columns[:13]
    person, state, source, probability, detected = columns[13:]
    given = _numbers(given_low)
    ages = np.where(np.isnan(given), _numbers(age), (given + _numbers(given_high)) / 2)
    deviation = np.where(
        np.isnan(given), (_numbers(high) - _numbers(low)) / _DEVIATIONS, (_numbers(given_high) - given) / 4 + 0.3
    )
    years = np.array([dates.year_of(one) for one in taken], np.float64)
    side = np.minimum(_numbers(width), _numbers(height))
    found = np.array(detected, np.bool_)
    weak = (side < WEAK_SIDE) | (_numbers(sharpness) < WEAK_SHARPNESS) | (found & (_numbers(score) < WEAK_SCORE))
    people = np.array([UNKNOWN if one is None else one for one in person], np.int64)
    stated = np.array([one is not None and one != "auto" for one in source], np.bool_)
    confirmed = np.array([one == "confirmed" for one in state], np.bool_)
    labels = np.where(confirmed, people, UNKNOWN)
    # A person with hints alone, and no confirmed face, is found by these.
    certain = set(labels.tolist())
    hinted = np.array([stated[i] and people[i] not in certain for i in range(len(people))], np.bool_)
    labels = np.where(hinted, people, labels)
    face_ids = np.array(ids, np.int64)
    return LibraryFaces(
        face_ids,
        Faces(
            matrix,
            np.array(photos, np.int64),
            ages.astype(np.float32),
            births(ages, deviation, years),
            weak,
            labels,
            _rejected(session, face_ids),
            known_births(session),
        ),
        years,
        people,
        stated,
        np.nan_to_num(_numbers(probability)),
        np.log1p(side) + 0.5 * np.log1p(_numbers(sharpness)) + 2.0 * _numbers(score),
        np.array([one is not None for one in source], np.bool_),
    )


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _rejected(session: Session, face_ids: NDArray[np.int64]) -> list[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for face_id, person_id in session.execute(select(PersonRejectionRow.face_id, PersonRejectionRow.person_id)):
        found.setdefault(face_id, set()).add(person_id)
    nobody: frozenset[int] = frozenset()
    return [frozenset(found[one]) if one in found else nobody for one in face_ids.tolist()]


def known_births(session: Session) -> dict[int, Births]:
    """Return the birth dates that persons stated, by person."""
    rows = session.execute(select(PersonRow.id, PersonRow.birth_date).where(PersonRow.birth_date.is_not(None)))
    result = {}
    for person_id, text in rows:
        first, last = dates.range_of(str(text))
        result[person_id] = Births(np.array((first + last) / 2), np.array(max((last - first) / 4, 0.1)))
    return result
