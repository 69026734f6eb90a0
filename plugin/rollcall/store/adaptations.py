"""Corrections of the estimates that were learnt: kept by version, applied to what is stored, undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from rollcall import matching
from rollcall.adaptation import FEATURES, Adaptation, features, of_dict
from rollcall.records import Box, Face
from rollcall.settings import TagSettings
from rollcall.store import results
from rollcall.store.photos import now
from rollcall.store.tables import Adaptation as Row
from rollcall.store.tables import Embedding, FaceRow, Photo, Prediction, Verdict

#: Photos whose estimates are written anew in one transaction.
PART: Final = 200


class Learnt(NamedTuple):
    """One correction of the estimates."""

    id: int
    made_at: str
    standing: bool
    network: str
    report: Mapping[str, Any]


class Example(NamedTuple):
    """A face with what the networks say of it, and what a person said: None where nothing."""

    photo_id: int
    face: Face
    age: tuple[int, int] | None
    gender: str | None


def current(session: Session, model_version: str) -> Adaptation | None:
    """Return the correction that is in use for what a model version estimates."""
    row = session.scalar(
        select(Row)
        .where(Row.standing, Row.model_version == matching.network(model_version))
        .order_by(Row.id.desc())
        .limit(1)
    )
    return None if row is None else of_dict(row.parameters)


def add(session: Session, model_version: str, learnt: Adaptation, report: Mapping[str, Any]) -> int:
    """Keep a correction, to be used from now on; return its number."""
    row = Row(
        made_at=now(),
        standing=True,
        model_version=matching.network(model_version),
        parameters=learnt.as_dict(),
        report=dict(report),
    )
    session.add(row)
    session.flush()
    return row.id


def undo(session: Session) -> int | None:
    """Let the newest correction that stands stand no more; return its number, None if there is none."""
    row = session.scalar(select(Row).where(Row.standing).order_by(Row.id.desc()).limit(1))
    if row is None:
        return None
    row.standing = False
    session.flush()
    return row.id


def all_of_them(session: Session) -> list[Learnt]:
    """Return every correction that was kept, the newest first."""
    rows = session.scalars(select(Row).order_by(Row.id.desc()))
    return [Learnt(row.id, row.made_at, row.standing, row.model_version, row.report) for row in rows]


def examples(session: Session, model_version: str, silent: int) -> Iterator[Example]:
    """Yield the faces that a person spoke of, and up to `silent` others, spread over the library."""
    network = matching.network(model_version)
    faces = (
        select(Prediction, Embedding, Verdict, FaceRow)
        .join(FaceRow, FaceRow.id == Prediction.face_id)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .outerjoin(Verdict, Verdict.face_id == FaceRow.id)
        .where(FaceRow.present, Prediction.model_version != results.STALE)
    )
    spoken = and_(~Verdict.dismissed, or_(Verdict.age_low.is_not(None), Verdict.gender_given))
    total = session.scalar(select(func.count()).select_from(FaceRow)) or 0
    step = max(total // max(silent, 1), 1)
    for statement in (
        faces.where(spoken).order_by(FaceRow.id),
        faces.where(Verdict.face_id.is_(None), FaceRow.id % step == 0).order_by(FaceRow.id).limit(silent),
    ):
        for prediction, vector, verdict, row in session.execute(statement):
            if matching.network(prediction.model_version) != network:
                continue
            age = None
            if verdict is not None and verdict.age_low is not None and verdict.age_high is not None:
                age = (verdict.age_low, verdict.age_high)
            gender = verdict.gender if verdict is not None and verdict.gender_given else None
            yield Example(row.photo_id, _as_estimated(row, prediction, vector), age, gender)


def _as_estimated(row: FaceRow, prediction: Prediction, vector: Embedding | None) -> Face:
    """Return a stored face as the networks saw it."""
    distribution = prediction.network_age_distribution or prediction.age_distribution
    p_female = prediction.p_female if prediction.network_p_female is None else prediction.network_p_female
    return Face(
        box=Box(row.x, row.y, row.width, row.height),
        landmarks=(),
        score=row.score,
        sharpness=row.sharpness,
        age_distribution=None if distribution is None else results.unpack(distribution),
        p_female=p_female,
        embedding=None if vector is None else results.unpack(vector.vector),
    )


def write_anew(session: Session, settings: TagSettings, after: int = 0) -> tuple[int, int] | None:
    """Correct the stored estimates of some photos as is in use now, from what the networks said.

    Returns the last photo's number and how many faces there were; None behind the last photo.
    """
    ids = session.scalars(
        select(Photo.id).where(Photo.id > after, Photo.face_count > 0).order_by(Photo.id).limit(PART)
    ).all()
    if not ids:
        return None
    in_use: dict[str, Adaptation | None] = {}
    touched: set[int] = set()
    rows = session.execute(
        select(Prediction, Embedding, FaceRow)
        .join(FaceRow, FaceRow.id == Prediction.face_id)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id.in_(ids), Prediction.model_version != results.STALE)
    ).all()
    for prediction, vector, row in rows:
        version = prediction.model_version
        if version not in in_use:
            in_use[version] = current(session, version)
        learnt = in_use[version]
        if learnt is None and prediction.network_age_distribution is None and prediction.network_p_female is None:
            continue
        face = _as_estimated(row, prediction, vector)
        for name, value in results.estimates(face if learnt is None else learnt.applied(face)).items():
            setattr(prediction, name, value)
        touched.add(row.photo_id)
    session.flush()
    for photo_id in sorted(touched):
        results.refresh(session, photo_id, settings)
    return ids[-1], len(rows)


def as_arrays(found: list[Example]) -> dict[str, NDArray[Any]]:
    """Return examples as the arrays of `rollcall_model.adapt.Examples`; faces without an age or gender are unknown."""
    count = len(found)
    result: dict[str, NDArray[Any]] = {
        "age": np.full((count, 101), 1 / 101, np.float32),
        "p_female": np.full(count, 0.5, np.float32),
        "looks": np.zeros((count, FEATURES), np.float32),
        "low": np.full(count, -1, np.int64),
        "high": np.full(count, -1, np.int64),
        "female": np.full(count, -1, np.int64),
        "photo": np.array([one.photo_id for one in found], np.int64),
    }
    for row, one in enumerate(found):
        if one.face.embedding is not None:
            result["looks"][row] = features(one.face.embedding)
        if one.face.age_distribution is not None:
            result["age"][row] = one.face.age_distribution
            if one.age is not None:
                result["low"][row], result["high"][row] = one.age
        if one.face.p_female is not None:
            result["p_female"][row] = one.face.p_female
            if one.gender in ("female", "male"):
                result["female"][row] = one.gender == "female"
    return result
