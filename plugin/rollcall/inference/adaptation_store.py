"""Adaptations in the database: stored for each network, applied to stored predictions, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from rollcall.ages import AGES
from rollcall.inference.adaptation import FEATURES, Adaptation, features, from_dict
from rollcall.model_version import weights_of
from rollcall.records import Box, Face
from rollcall.settings import TagSettings
from rollcall.storage.estimates import prediction_columns, unpack
from rollcall.storage.library import now
from rollcall.storage.tables import AdaptationRow, EmbeddingRow, FaceRow, PhotoRow, PredictionRow, VerdictRow
from rollcall.tags import projection

#: How many photos' predictions are rewritten in one transaction.
PORTION: Final = 200


class StoredAdaptation(NamedTuple):
    """One adaptation as it is stored."""

    id: int
    made_at: str
    in_use: bool
    network: str  # `ModelVersion.weights` of the attribute network that it was fitted for
    report: Mapping[str, Any]


class Example(NamedTuple):
    """A face with the networks' own predictions and its corrections; None where an attribute was not corrected."""

    photo_id: int
    face: Face
    age: tuple[int, int] | None  # completed years, both ends included
    gender: str | None  # any label


def current(session: Session, model_version: str) -> Adaptation | None:
    """Return the adaptation in use for the predictions of a model version; None if there is none."""
    row = session.scalar(
        select(AdaptationRow)
        .where(AdaptationRow.in_use, AdaptationRow.model_version == weights_of(model_version))
        .order_by(AdaptationRow.id.desc())
        .limit(1)
    )
    return None if row is None else from_dict(row.parameters)


def add(session: Session, model_version: str, learnt: Adaptation, report: Mapping[str, Any]) -> int:
    """Store an adaptation, in use from now on; return its number."""
    row = AdaptationRow(
        made_at=now(),
        in_use=True,
        model_version=weights_of(model_version),
        parameters=learnt.as_dict(),
        report=dict(report),
    )
    session.add(row)
    session.flush()
    return row.id


def undo(session: Session) -> int | None:
    """Withdraw the newest adaptation in use; return its number, None if there is none."""
    row = session.scalar(select(AdaptationRow).where(AdaptationRow.in_use).order_by(AdaptationRow.id.desc()).limit(1))
    if row is None:
        return None
    row.in_use = False
    session.flush()
    return row.id


def all_adaptations(session: Session) -> list[StoredAdaptation]:
    """Return all stored adaptations, the newest first."""
    rows = session.scalars(select(AdaptationRow).order_by(AdaptationRow.id.desc()))
    return [StoredAdaptation(row.id, row.made_at, row.in_use, row.model_version, row.report) for row in rows]


def examples(session: Session, model_version: str, uncorrected: int) -> Iterator[Example]:
    """Yield the corrected faces, then up to `uncorrected` others, spread evenly over the library by number."""
    network = weights_of(model_version)
    faces = (
        select(PredictionRow, EmbeddingRow, VerdictRow, FaceRow)
        .join(FaceRow, FaceRow.id == PredictionRow.face_id)
        .outerjoin(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.present, ~PredictionRow.stale)
    )
    corrected = and_(~VerdictRow.dismissed, or_(VerdictRow.age_low.is_not(None), VerdictRow.gender_given))
    total = session.scalar(select(func.count()).select_from(FaceRow)) or 0
    step = max(total // max(uncorrected, 1), 1)
    for statement in (
        faces.where(corrected).order_by(FaceRow.id),
        faces.where(VerdictRow.face_id.is_(None), FaceRow.id % step == 0).order_by(FaceRow.id).limit(uncorrected),
    ):
        for prediction, vector, verdict, row in session.execute(statement):
            if weights_of(prediction.model_version) != network:
                continue
            age = None
            if verdict is not None and verdict.age_low is not None and verdict.age_high is not None:
                age = (verdict.age_low, verdict.age_high)
            gender = verdict.gender if verdict is not None and verdict.gender_given else None
            yield Example(row.photo_id, _as_estimated(row, prediction, vector), age, gender)


def _as_estimated(row: FaceRow, prediction: PredictionRow, vector: EmbeddingRow | None) -> Face:
    """Return a stored face with the networks' own predictions, without an adaptation."""
    distribution = prediction.network_age_distribution or prediction.age_distribution
    p_female = prediction.p_female if prediction.network_p_female is None else prediction.network_p_female
    return Face(
        box=Box(row.x, row.y, row.width, row.height),
        landmarks=(),
        score=row.score,
        sharpness=row.sharpness,
        age_distribution=None if distribution is None else unpack(distribution),
        p_female=p_female,
        embedding=None if vector is None else unpack(vector.vector),
    )


def apply_portion(session: Session, settings: TagSettings, after: int = 0) -> int | None:
    """Apply the adaptation in use to the networks' own predictions for `PORTION` photos with a number above `after`.

    Returns the last photo's number; None if there are no more photos.
    """
    ids = session.scalars(
        select(PhotoRow.id).where(PhotoRow.id > after, PhotoRow.face_count > 0).order_by(PhotoRow.id).limit(PORTION)
    ).all()
    if not ids:
        return None
    in_use: dict[str, Adaptation | None] = {}
    touched: set[int] = set()
    rows = session.execute(
        select(PredictionRow, EmbeddingRow, FaceRow)
        .join(FaceRow, FaceRow.id == PredictionRow.face_id)
        .outerjoin(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id.in_(ids), ~PredictionRow.stale)
    ).all()
    for prediction, vector, row in rows:
        version = prediction.model_version
        if version not in in_use:
            in_use[version] = current(session, version)
        learnt = in_use[version]
        if learnt is None and prediction.network_age_distribution is None and prediction.network_p_female is None:
            continue
        face = _as_estimated(row, prediction, vector)
        for name, value in prediction_columns(face if learnt is None else learnt.applied(face)).items():
            setattr(prediction, name, value)
        touched.add(row.photo_id)
    session.flush()
    for photo_id in sorted(touched):
        projection.recompute(session, photo_id, settings)
    return ids[-1]


def as_arrays(found: list[Example]) -> dict[str, NDArray[Any]]:
    """Return examples as the arrays that `analyzer.fit_adaptation` takes, by name; n is the number of examples.

    `age` (n, 101) and `p_female` (n,) are predictions, uniform where there are none; `features` (n, 512) are those of
    the embedding, 0 where there is none; `low`, `high` and `female` (n,) are the corrections, -1 where there are none;
    `photo` (n,) is the number of the photo.
    """
    count = len(found)
    result: dict[str, NDArray[Any]] = {
        "age": np.full((count, AGES), 1 / AGES, np.float32),
        "p_female": np.full(count, 0.5, np.float32),
        "features": np.zeros((count, FEATURES), np.float32),
        "low": np.full(count, -1, np.int64),
        "high": np.full(count, -1, np.int64),
        "female": np.full(count, -1, np.int64),
        "photo": np.array([one.photo_id for one in found], np.int64),
    }
    for row, one in enumerate(found):
        if one.face.embedding is not None:
            result["features"][row] = features(one.face.embedding)
        if one.face.age_distribution is not None:
            result["age"][row] = one.face.age_distribution
            if one.age is not None:
                result["low"][row], result["high"][row] = one.age
        if one.face.p_female is not None:
            result["p_female"][row] = one.face.p_female
            if one.gender in ("female", "male"):
                result["female"][row] = one.gender == "female"
    return result
